//! How the chosen resource went: a little chart a line.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::super::app::{App, Row};
use super::super::theme::Theme;
use super::super::words::{lasting, short};
use super::spark;

/// How many lines it takes where each chart is one line high.
pub(super) const HEIGHT: u16 = 6;

/// The width of the names and of the values.
const SIDE: usize = 24;

pub(super) fn render(frame: &mut Frame<'_>, area: Rect, app: &App, row: Option<Row<'_>>, theme: Theme) {
    let Some(row) = row.filter(|_| area.height >= HEIGHT) else { return };
    let Some(course) = app.history.course(&row.ledger.name, &row.resource.name) else { return };
    let series = [
        ("waiting", &course.waiting),
        ("oldest wait", &course.oldest),
        ("in flight", &course.in_flight),
        ("grants/s", &course.grants),
        ("refused/s", &course.refusals),
    ];
    let high = usize::from((area.height - 1) / 5).clamp(1, 6);
    let width = usize::from(area.width).saturating_sub(SIDE);
    let mut lines = vec![super::rule("Lately", &row.resource.name, area.width, theme)];
    for (name, series) in series {
        let all: Vec<f64> = series.values().collect();
        let values: Vec<f64> = all.iter().rev().take(width).rev().copied().collect();
        let top = values.iter().copied().fold(0.0, f64::max);
        let text = |value: f64| if name == "oldest wait" { lasting(value) } else { short(value) };
        let last = values.last().copied().map_or_else(|| "-".to_owned(), text);
        for (at, bars) in spark::rows(&values, top, width, high, theme).into_iter().enumerate() {
            let side = match at {
                0 if high == 1 => format!("  {name:<12}{last:>8} "),
                0 if top > 0.0 => format!("  {name:<12}{:>8} ", format!("of {}", text(top))),
                0 => format!("  {name:<12}"),
                _ if at + 1 == high => format!("  {:<12}{last:>8} ", ""),
                _ => String::new(),
            };
            lines.push(Line::from(vec![
                Span::raw(format!("{side:<SIDE$}")),
                Span::styled(bars, theme.used()),
            ]));
        }
    }
    super::draw(frame, area, lines);
}
