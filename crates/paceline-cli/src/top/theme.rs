//! Colours and signs. A colour is never the only sign: what it says is there in words, signs or weight as well.

use ratatui::style::{Color, Modifier, Style};

/// How things look on this terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Theme {
    colours: Colours,
    /// Whether signs beyond ASCII are shown.
    signs: bool,
}

/// How many colours there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Colours {
    None,
    Sixteen,
    Many,
}

/// What stands out: keys that can be pressed, and what is chosen.
pub(crate) const STRONG: Style = Style::new().add_modifier(Modifier::BOLD);

impl Theme {
    /// Returns the look with so many colours.
    #[cfg(test)]
    pub(crate) fn new(colours: Colours, signs: bool) -> Self {
        Self { colours, signs }
    }

    /// Returns the look that fits what the environment says of the terminal.
    pub(crate) fn of(variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let term = set("TERM").unwrap_or_default();
        let colours = if set("NO_COLOR").is_some() || term.ends_with("-mono") || term.starts_with("vt1") {
            Colours::None
        } else if set("COLORTERM").is_some() || term.contains("256") || term.contains("direct") {
            Colours::Many
        } else {
            Colours::Sixteen
        };
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set).unwrap_or_default();
        let plain = matches!(locale.as_str(), "C" | "POSIX")
            || (locale.contains('.') && !locale.to_lowercase().replace('-', "").ends_with("utf8"));
        Self { colours, signs: !plain }
    }

    fn colour(self, many: u8, sixteen: Color) -> Style {
        match self.colours {
            Colours::None => Style::new(),
            Colours::Sixteen => Style::new().fg(sixteen),
            Colours::Many => Style::new().fg(Color::Indexed(many)),
        }
    }

    /// What is used of a limit.
    pub(crate) fn used(self) -> Style {
        self.colour(75, Color::Blue)
    }

    /// What is reserved.
    pub(crate) fn held(self) -> Style {
        self.colour(140, Color::Magenta)
    }

    /// What is less important.
    pub(crate) fn dim(self) -> Style {
        match self.colours {
            Colours::None => Style::new(),
            Colours::Sixteen => Style::new().add_modifier(Modifier::DIM),
            Colours::Many => Style::new().fg(Color::Indexed(245)),
        }
    }

    /// What is well.
    pub(crate) fn good(self) -> Style {
        self.colour(71, Color::Green)
    }

    /// What waits.
    pub(crate) fn waits(self) -> Style {
        self.colour(214, Color::Yellow).add_modifier(Modifier::BOLD)
    }

    /// What is wrong.
    pub(crate) fn bad(self) -> Style {
        self.colour(203, Color::Red).add_modifier(Modifier::BOLD)
    }

    /// What leads over something.
    pub(crate) fn title(self) -> Style {
        self.colour(110, Color::Cyan).add_modifier(Modifier::BOLD)
    }

    /// Lines around panels.
    pub(crate) fn frame(self) -> Style {
        self.colour(240, Color::DarkGray)
    }

    /// Returns the sign of what is used, of what is reserved, and of what is left.
    pub(crate) fn bar(self) -> [&'static str; 3] {
        if self.signs { ["█", "▒", "·"] } else { ["#", "=", "."] }
    }

    /// Returns the signs of a sparkline, the lowest first.
    pub(crate) fn sparks(self) -> &'static [&'static str] {
        if self.signs {
            &["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"]
        } else {
            &["_", ".", ":", "-", "=", "+", "*", "#"]
        }
    }

    /// Returns what stands in front of what is chosen.
    pub(crate) fn pointer(self) -> &'static str {
        if self.signs { "▸ " } else { "> " }
    }

    /// Returns whether signs beyond ASCII are shown.
    pub(crate) fn has_signs(self) -> bool {
        self.signs
    }

    /// Returns the sign of a line that leads to the right.
    pub(crate) fn rule(self) -> &'static str {
        if self.signs { "─" } else { "-" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> Theme {
        Theme::of(|name| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn the_environment_says_what_the_terminal_can_do() {
        let many = Theme::new(Colours::Many, true);
        assert_eq!(of(&[("TERM", "xterm-256color")]), many);
        assert_eq!(of(&[("TERM", "foot"), ("COLORTERM", "truecolor")]), many);
        assert_eq!(of(&[("TERM", "linux")]), Theme::new(Colours::Sixteen, true));
        assert_eq!(of(&[("TERM", "xterm-256color"), ("NO_COLOR", "1")]), Theme::new(Colours::None, true));
        assert_eq!(of(&[("TERM", "xterm-256color"), ("NO_COLOR", "")]), many);
        assert_eq!(of(&[("TERM", "vt100"), ("LC_ALL", "C")]), Theme::new(Colours::None, false));
        assert_eq!(
            of(&[("TERM", "vt220"), ("LANG", "de_DE.ISO-8859-1")]),
            Theme::new(Colours::Sixteen, false)
        );
        assert_eq!(of(&[("TERM", "tmux-256color"), ("LANG", "C.UTF-8")]), many);
    }
}
