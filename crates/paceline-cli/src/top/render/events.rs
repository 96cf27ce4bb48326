//! What happened, the newest first.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::super::app::App;
use super::super::log::{Entry, Weight};
use super::super::theme::Theme;
use super::super::words::{cut, cut_front};

pub(super) fn render(frame: &mut Frame<'_>, area: Rect, app: &App, theme: Theme) {
    if area.height < 2 {
        return;
    }
    let mut lines = vec![super::rule("Events", "the newest first, UTC", area.width, theme)];
    let room = usize::from(area.height - 1);
    let mut entries = app.log.newest().take(room).peekable();
    if entries.peek().is_none() {
        lines.push(Line::styled("  none since this began to look", theme.dim()));
    }
    lines.extend(entries.map(|entry| line(entry, usize::from(area.width), theme)));
    super::draw(frame, area, lines);
}

fn line<'a>(entry: &Entry, width: usize, theme: Theme) -> Line<'a> {
    let (sign, style) = match entry.weight {
        Weight::Usual => (" ", theme.dim()),
        Weight::Notable => ("*", theme.title()),
        Weight::Bad => ("!", theme.bad()),
    };
    let about = cut_front(&entry.about, (width / 3).min(40));
    let head = format!("{sign} {} ", entry.time);
    let name = format!("{:<12} ", entry.name);
    let rest = if about.is_empty() { entry.detail.clone() } else { format!("{about}  {}", entry.detail) };
    let room = width.saturating_sub(head.chars().count() + name.chars().count());
    Line::from(vec![Span::styled(head, style), Span::styled(name, style), Span::raw(cut(&rest, room))])
}
