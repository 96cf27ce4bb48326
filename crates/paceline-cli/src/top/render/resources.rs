//! The resources, a line each: what binds, who waits, how fast it goes.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::super::app::{App, Row};
use super::super::sample::Sample;
use super::super::theme::{STRONG, Theme};
use super::super::words::{cut, cut_front, perhaps, short};
use super::spark;
use crate::text::grouped;

/// The widths of the columns behind the name: what binds, waiting, oldest, in flight, grants.
const COLUMNS: [usize; 5] = [20, 7, 11, 10, 9];

pub(super) fn render(frame: &mut Frame<'_>, area: Rect, app: &App, rows: &[Row<'_>], theme: Theme) {
    let all = app.sample.iter().flat_map(Sample::resources).count();
    let room = usize::from(area.height.saturating_sub(2));
    let at = rows.iter().position(|row| is_chosen(app, row)).unwrap_or(0);
    let first = (at + 1).saturating_sub(room);
    let shown = if rows.len() < all { format!("{} of {all}", rows.len()) } else { all.to_string() };
    let hidden = rows.len().saturating_sub(room);
    let filter = if app.filter.is_empty() { String::new() } else { format!(", with \"{}\"", app.filter) };
    let scroll = if hidden > 0 { format!(", {hidden} more by scrolling") } else { String::new() };
    let more = format!("{shown}, sorted by {}{filter}{scroll}", app.sort.name());
    let width = usize::from(area.width);
    let spare = if width >= 100 { (width / 6).min(30) } else { 0 };
    let name = width.saturating_sub(2 + COLUMNS.iter().sum::<usize>() + spare);
    let mut lines = vec![
        super::rule("Resources", &more, area.width, theme),
        Line::styled(heading(name, spare), theme.dim()),
    ];
    if rows.is_empty() {
        let said = if all == 0 {
            "  none yet: nobody has said what its limits are"
        } else {
            "  none has that in its name; Esc shows all"
        };
        lines.push(Line::styled(said, theme.dim()));
    }
    lines.extend(rows.iter().skip(first).take(room).map(|row| line(app, row, name, spare, theme)));
    super::draw(frame, area, lines);
}

fn heading(name: usize, spare: usize) -> String {
    let [binds, waiting, oldest, flight, grants] = COLUMNS;
    let spark = if spare > 4 { "  waiting before" } else { "" };
    format!(
        "  {:<name$}{:<binds$}{:>waiting$}{:>oldest$}{:>flight$}{:>grants$}{spark}",
        "resource", "waits for", "waiting", "oldest", "in flight", "grants/s",
    )
}

fn is_chosen(app: &App, row: &Row<'_>) -> bool {
    app.chosen.as_ref().is_some_and(|(ledger, name)| *ledger == row.ledger.name && *name == row.resource.name)
}

fn line<'a>(app: &App, row: &Row<'_>, name: usize, spare: usize, theme: Theme) -> Line<'a> {
    let [binds, waiting, oldest, flight, grants] = COLUMNS;
    let resource = row.resource;
    let chosen = is_chosen(app, row);
    let state = cut(&row.state(), binds - 1);
    let style = match row.binding {
        _ if resource.paused => theme.bad(),
        Some(_) => theme.waits(),
        None => theme.dim(),
    };
    let wait_style = if resource.waiting > 0 { theme.waits() } else { theme.dim() };
    let rate = row.grants.map_or_else(|| "-".to_owned(), short);
    let mut spans = vec![
        Span::styled(if chosen { theme.pointer() } else { "  " }, theme.title()),
        Span::styled(
            format!("{:<name$}", cut_front(&resource.name, name.saturating_sub(1))),
            if chosen { STRONG } else { ratatui::style::Style::new() },
        ),
        Span::styled(format!("{state:<binds$}"), style),
        Span::styled(format!("{:>waiting$}", grouped(resource.waiting)), wait_style),
        Span::styled(format!("{:>oldest$}", perhaps(resource.oldest())), wait_style),
        Span::raw(format!("{:>flight$}{rate:>grants$}", grouped(resource.in_flight))),
    ];
    if spare > 4 {
        let course = app.history.course(&row.ledger.name, &resource.name);
        let values: Vec<f64> = course.map(|course| course.waiting.values().collect()).unwrap_or_default();
        let top = values.iter().copied().fold(1.0, f64::max);
        spans.push(Span::styled(
            format!("  {}", spark::line(values.into_iter(), top, spare - 2, theme)),
            theme.used(),
        ));
    }
    Line::from(spans)
}
