//! The line of the chosen resource, lane by lane.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::super::app::{App, Row};
use super::super::sample::Lane;
use super::super::theme::Theme;
use super::super::words::{cut, lasting, perhaps, short};
use crate::text::grouped;

/// The widths of the columns behind the name: waiting, oldest, when the head goes, grants a second, grants.
const COLUMNS: [usize; 5] = [9, 12, 12, 10, 12];

pub(super) fn render(frame: &mut Frame<'_>, area: Rect, app: &App, row: Row<'_>, theme: Theme) {
    let resource = row.resource;
    let room = usize::from(area.height.saturating_sub(2));
    let hidden = resource.lanes.len().saturating_sub(room);
    let refused = app.history.course(&row.ledger.name, &resource.name).and_then(|it| it.refusals.recent());
    let refused = refused.filter(|rate| *rate > 0.0);
    let refused = refused.map_or_else(String::new, |rate| format!(", {} refused a second", short(rate)));
    let more = if hidden > 0 { format!("; {hidden} more lanes do not fit") } else { String::new() };
    let more = format!(
        "{} waiting, {} in flight{refused}{more}",
        grouped(resource.waiting),
        grouped(resource.in_flight)
    );
    let width = usize::from(area.width);
    let name = width.saturating_sub(COLUMNS.iter().sum::<usize>()).min(34);
    let [waiting, oldest, goes, grants, granted] = COLUMNS;
    let heading = format!(
        "  {:<name$}{:>waiting$}{:>oldest$}{:>goes$}{:>grants$}{:>granted$}",
        "lane",
        "waiting",
        "oldest",
        "head goes",
        "grants/s",
        "granted",
        name = name - 2,
    );
    let mut lines = vec![
        super::rule(&format!("Line of {}", resource.name), &more, area.width, theme),
        Line::styled(heading, theme.dim()),
    ];
    let mut lanes: Vec<&Lane> = resource.lanes.iter().collect();
    lanes.sort_by_key(|lane| (lane.waiting == 0, lane.name.is_none(), lane.name.clone()));
    if lanes.is_empty() {
        lines.push(Line::styled("  nobody has asked lately", theme.dim()));
    }
    lines.extend(lanes.into_iter().take(room).map(|lane| line_of(app, row, lane, name, theme)));
    super::draw(frame, area, lines);
}

fn line_of<'a>(app: &App, row: Row<'_>, lane: &Lane, name: usize, theme: Theme) -> Line<'a> {
    let [waiting, oldest, goes, grants, granted] = COLUMNS;
    let course = app.history.course(&row.ledger.name, &row.resource.name);
    let rate = course.and_then(|course| course.grants_of(lane.name.as_deref()));
    let rate = rate.map_or_else(|| "-".to_owned(), short);
    let goes_in = row.binding.and_then(|binding| binding.goes_in).filter(|_| lane.waiting > 0);
    let goes_in = goes_in.map_or_else(|| "-".to_owned(), |left| format!("in ~{}", lasting(left)));
    let style = if lane.waiting > 0 { theme.waits() } else { theme.dim() };
    let shown = cut(lane.name.as_deref().unwrap_or("(no lane)"), name - 3);
    Line::from(vec![
        Span::raw(format!("  {shown:<width$}", width = name - 2)),
        Span::styled(format!("{:>waiting$}", grouped(lane.waiting)), style),
        Span::styled(
            format!("{:>oldest$}", perhaps(lane.oldest_seconds.filter(|_| lane.waiting > 0))),
            style,
        ),
        Span::raw(format!("{goes_in:>goes$}{rate:>grants$}{:>granted$}", grouped(lane.granted))),
    ])
}
