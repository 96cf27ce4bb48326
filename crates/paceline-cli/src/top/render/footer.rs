//! The keys, or what became of one.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::super::app::{App, Mode};
use super::super::theme::{STRONG, Theme};

const MAIN: [(&str, &str); 8] = [
    ("q", "quit"),
    ("Enter", "charts"),
    ("/", "filter"),
    ("s", "sort"),
    ("p", "pause"),
    ("r", "resume"),
    ("?", "help"),
    ("Up/Down", "move"),
];
const CHART: [(&str, &str); 5] =
    [("q", "quit"), ("Left/Right", "other charts"), ("Up/Down", "resource"), ("Esc", "back"), ("?", "help")];
const CONFIRM: [(&str, &str); 2] = [("y", "yes"), ("any other key", "no")];
const HELP: [(&str, &str); 1] = [("any key", "back")];

pub(super) fn render(frame: &mut Frame<'_>, area: Rect, app: &App, theme: Theme) {
    let line = match &app.mode {
        Mode::Filter(_) => Line::from(vec![
            Span::styled("filter: ", STRONG),
            Span::raw(format!("{}_", app.filter)),
            Span::styled("   Enter keeps it, Esc drops it", theme.dim()),
        ]),
        Mode::Main if app.notice.is_some() => notice(app, theme),
        Mode::Main => keys(&MAIN, theme),
        Mode::Chart(_) => keys(&CHART, theme),
        Mode::Confirm(_) => keys(&CONFIRM, theme),
        Mode::Help => keys(&HELP, theme),
    };
    frame.render_widget(line, area);
}

fn notice<'a>(app: &App, theme: Theme) -> Line<'a> {
    let (text, well) = app.notice.clone().unwrap_or_default();
    let style = if well { theme.good() } else { theme.bad() };
    Line::styled(if well { text } else { format!("failed: {text}") }, style)
}

fn keys<'a>(keys: &[(&'a str, &'a str)], theme: Theme) -> Line<'a> {
    let spans = keys.iter().flat_map(|(key, does)| {
        [Span::styled(*key, STRONG), Span::styled(format!(" {does}  "), theme.dim())]
    });
    Line::from(spans.collect::<Vec<_>>())
}
