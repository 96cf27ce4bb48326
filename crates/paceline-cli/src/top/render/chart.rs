//! One series of the chosen resource at full size.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::super::app::{App, Row};
use super::super::history::{Flow, Series};
use super::super::sample::{Resource, count as real};
use super::super::theme::Theme;
use super::super::words::{lasting, rate, short};
use super::spark;

/// What is charted beside the limits.
const OTHERS: [&str; 5] = ["waiting", "oldest wait", "in flight", "grants a second", "refused a second"];

/// The width of the numbers on the left.
const SIDE: usize = 9;

/// What is drawn.
struct Shown<'a> {
    name: String,
    series: Option<&'a Series>,
    /// The top of the chart where that is known: what a limit has.
    most: Option<f64>,
    /// Whether the values are times.
    times: bool,
}

/// Returns how many charts a resource has.
pub(crate) fn count(resource: &Resource) -> usize {
    resource.limits.len() + OTHERS.len()
}

pub(super) fn render(frame: &mut Frame<'_>, area: Rect, app: &App, theme: Theme, chart: usize) {
    let Some(row) = app.row() else { return };
    let shown = shown(app, row, chart);
    let title = format!("{}: {}", row.resource.name, shown.name);
    let which = format!("chart {} of {}", chart + 1, count(row.resource));
    let mut lines = vec![super::rule(&title, &which, area.width, theme)];
    let width = usize::from(area.width).saturating_sub(SIDE + 1);
    let height = usize::from(area.height).saturating_sub(3);
    let points = shown.series.map(Series::points).unwrap_or_default();
    let values: Vec<f64> = points.iter().map(|(_, value)| *value).collect();
    let highest = values.iter().copied().fold(0.0, f64::max);
    let top = shown.most.unwrap_or(highest).max(highest).max(f64::MIN_POSITIVE);
    let written = |value: f64| if shown.times { lasting(value) } else { short(value) };
    let bars = spark::rows(&values, top, width, height, theme);
    for (at, bar) in bars.into_iter().enumerate() {
        let label = match at {
            0 if top > f64::MIN_POSITIVE => written(top),
            _ if at == height - height / 2 && top > f64::MIN_POSITIVE && height > 4 => written(top / 2.0),
            _ if at + 1 == height => "0".to_owned(),
            _ => String::new(),
        };
        lines.push(Line::from(vec![
            Span::styled(format!("{label:>SIDE$} "), theme.dim()),
            Span::styled(bar, theme.used()),
        ]));
    }
    let span = points.first().map_or(0.0, |(ago, _)| -ago);
    let stretch = values.len().div_ceil(width.max(1)).max(1);
    let columns = values.len().div_ceil(stretch).min(width);
    let from = if span > 0.0 { format!("{} ago", lasting(span)) } else { String::new() };
    let gap = width.saturating_sub(columns);
    let axis = format!("{:SIDE$} {:gap$}{from}", "", "");
    let ahead = (SIDE + 1 + width).saturating_sub(axis.chars().count() + 3);
    let axis = if columns >= from.len() + 5 {
        format!("{axis}{:ahead$}now", "")
    } else {
        format!("{:>width$}", "now", width = SIDE + 1 + width)
    };
    lines.push(Line::styled(axis, theme.dim()));
    lines.push(Line::raw(numbers(&values, &shown)));
    super::draw(frame, area, lines);
}

fn real_of(number: usize) -> f64 {
    real(u64::try_from(number).unwrap_or(0))
}

fn numbers(values: &[f64], shown: &Shown<'_>) -> String {
    let written = |value: f64| if shown.times { lasting(value) } else { short(value) };
    let (Some(last), false) = (values.last(), values.is_empty()) else {
        return format!("{:SIDE$} nothing was seen yet", "");
    };
    let mean = values.iter().sum::<f64>() / real_of(values.len());
    let highest = values.iter().copied().fold(0.0, f64::max);
    let of = shown.most.map_or_else(String::new, |most| format!(" of {}", written(most)));
    let (last, mean, highest) = (written(*last), written(mean), written(highest));
    format!("{:SIDE$} now {last}{of}, mean {mean}, highest {highest}", "")
}

fn shown<'a>(app: &'a App, row: Row<'_>, chart: usize) -> Shown<'a> {
    let (ledger, resource) = (&row.ledger.name, row.resource);
    if let Some(limit) = resource.limits.get(chart) {
        let flow = app.history.flow(ledger, &limit.name);
        let speed = flow.and_then(Flow::rate).filter(|_| !limit.is_concurrency());
        let speed = speed
            .map_or_else(String::new, |speed| format!(", {} spent now", rate(speed, limit.window_seconds)));
        let name = format!("{}, used and reserved{speed}", limit.short(&resource.name));
        let most = Some(real(limit.most));
        return Shown { name, series: flow.map(|flow| &flow.taken), most, times: false };
    }
    let at = chart - resource.limits.len();
    let course = app.history.course(ledger, &resource.name);
    let series = course.and_then(|course| {
        [&course.waiting, &course.oldest, &course.in_flight, &course.grants, &course.refusals]
            .get(at)
            .copied()
    });
    let name = OTHERS.get(at).copied().unwrap_or_default().to_owned();
    Shown { name, series, most: None, times: at == 1 }
}
