//! The store, the time, and in words what binds now and who waits.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

use super::super::app::App;
use super::super::log::time_of_day;
use super::super::theme::Theme;
use super::super::words::{cut, cut_front, lasting};

/// Returns how many lines it takes.
pub(super) fn height(app: &App, width: u16) -> u16 {
    1 + super::length(wrapped(&app.headline(), usize::from(width)).len()) + u16::from(app.stale.is_some())
}

pub(super) fn render(frame: &mut Frame<'_>, area: Rect, app: &App, theme: Theme, now: f64) {
    let width = usize::from(area.width);
    let time = app.sample.as_ref().map_or_else(String::new, |sample| time_of_day(&sample.at));
    let every = format!("{time} UTC, every {}", lasting(app.interval));
    let every = if app.sample.is_some() { every } else { String::new() };
    let name = "paceline top";
    let room = width.saturating_sub(name.len() + every.len() + 4);
    let place = cut_front(&app.place, room);
    let gap = width.saturating_sub(name.len() + 2 + place.chars().count() + every.len());
    let mut lines = vec![Line::from(vec![
        Span::styled(name, theme.title()),
        Span::raw(format!("  {place}{}", " ".repeat(gap))),
        Span::styled(every, theme.dim()),
    ])];
    if let Some(stale) = &app.stale {
        let ago = lasting((now - stale.at).max(0.0));
        let said = format!("STALE since {} UTC ({ago}): {}", stale.since, stale.reason);
        lines.push(Line::styled(cut(&said, width), theme.bad()));
    }
    let waits = app.rows().iter().any(|row| row.binding.is_some());
    let style = if waits { theme.waits() } else { Style::new().add_modifier(Modifier::BOLD) };
    let style = if app.stale.is_some() { theme.dim() } else { style };
    lines.extend(wrapped(&app.headline(), width).into_iter().map(|line| Line::styled(line, style)));
    super::draw(frame, area, lines);
}

/// Breaks a text into two lines at most, between words.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    if text.chars().count() <= width {
        return vec![text.to_owned()];
    }
    let (mut first, mut rest) = (String::new(), text);
    while let Some((word, more)) = rest.split_once(' ') {
        if first.chars().count() + word.chars().count() + 1 > width {
            break;
        }
        first.push_str(word);
        first.push(' ');
        rest = more;
    }
    vec![cut(first.trim_end(), width), cut(rest, width)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_headlines_take_two_lines() {
        assert_eq!(wrapped("gpt waits for tokens", 40), ["gpt waits for tokens"]);
        assert_eq!(wrapped("gpt waits for tokens", 14), ["gpt waits for", "tokens"]);
        assert_eq!(wrapped("gpt waits for tokens and more", 10), ["gpt waits", "for token…"]);
    }
}
