//! The limits of the chosen resource: what is used, reserved and left, how fast, and when it is full again.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::super::app::{App, Row};
use super::super::binding::Why;
use super::super::history::Flow;
use super::super::sample::{Limit, count, signed};
use super::super::theme::Theme;
use super::super::words::{brief, cut_front, rate, roughly, short, whole};
use super::spark;

/// Where the columns are, in characters.
struct Widths {
    name: usize,
    bar: usize,
    /// Whether used and reserved are written out.
    numbers: bool,
    spark: usize,
}

impl Widths {
    fn of(width: usize) -> Self {
        let name = (width / 5).clamp(22, 34);
        let numbers = width >= 112;
        let spark = if numbers { ((width - 92) / 4).min(30) } else { 0 };
        let fixed = name + LEFT + FULL + RATE + spark + if numbers { NUMBERS } else { 0 };
        Self { name, bar: width.saturating_sub(fixed + 1), numbers, spark }
    }
}

const LEFT: usize = 19;
const FULL: usize = 14;
const RATE: usize = 11;
const NUMBERS: usize = 26;

pub(super) fn render(frame: &mut Frame<'_>, area: Rect, app: &App, row: Row<'_>, theme: Theme) {
    let [used, held, left] = theme.bar();
    let hidden = row.resource.limits.len().saturating_sub(usize::from(area.height.saturating_sub(1)));
    let more = if hidden > 0 { format!("; {hidden} more do not fit") } else { String::new() };
    let title = format!("Limits of {}", row.resource.name);
    let more = format!("{used} used {held} reserved {left} left, ! is waited for{more}");
    let mut lines = vec![super::rule(&title, &more, area.width, theme)];
    let widths = Widths::of(usize::from(area.width));
    if row.resource.limits.is_empty() {
        lines.push(Line::styled("  none: every call goes at once", theme.dim()));
    }
    let mut limits: Vec<&Limit> = row.resource.limits.iter().collect();
    // The one that is waited for is never among those that do not fit.
    limits.sort_by_key(|limit| !binds(row, limit));
    lines.extend(limits.into_iter().map(|limit| line(app, row, limit, &widths, theme)));
    super::draw(frame, area, lines);
}

fn binds(row: Row<'_>, limit: &Limit) -> bool {
    let why = row.binding.map(|binding| binding.why);
    matches!(why, Some(Why::Limit(bound) | Why::LimitPaused(bound)) if bound.name == limit.name)
}

fn line<'a>(app: &App, row: Row<'_>, limit: &Limit, widths: &Widths, theme: Theme) -> Line<'a> {
    let flow = app.history.flow(&row.ledger.name, &limit.name);
    let binds = binds(row, limit);
    let name = cut_front(&brief(limit.short(&row.resource.name)), widths.name - 2);
    let mut spans = vec![
        Span::styled(if binds { "! " } else { "  " }, theme.waits()),
        Span::styled(
            format!("{name:<width$}", width = widths.name - 2),
            if binds { theme.waits() } else { ratatui::style::Style::new() },
        ),
    ];
    spans.extend(bar(limit, widths.bar, theme));
    let left = format!("{} of {} left", short(signed(limit.left)), short(count(limit.most)));
    let style = if limit.left <= 0 { theme.bad() } else { ratatui::style::Style::new() };
    spans.push(Span::styled(format!("{left:>LEFT$}"), style));
    if widths.numbers {
        let numbers = format!("{} used, {} reserved", short(count(limit.used)), short(count(limit.held)));
        spans.push(Span::raw(format!("{numbers:>NUMBERS$}")));
    }
    let (full, style) = full(limit, theme);
    spans.push(Span::styled(format!("{full:>FULL$}"), style));
    let speed = flow.and_then(Flow::rate).filter(|_| !limit.is_concurrency());
    let speed = speed.map_or_else(String::new, |speed| rate(speed, limit.window_seconds));
    spans.push(Span::raw(format!("{speed:>RATE$}")));
    if widths.spark > 2 {
        let values: Vec<f64> = flow.map(|flow| flow.taken.values().collect()).unwrap_or_default();
        let text = spark::line(values.into_iter(), count(limit.most), widths.spark - 1, theme);
        spans.push(Span::styled(format!(" {text}"), theme.used()));
    }
    Line::from(spans)
}

/// Says when it is full again, or what holds it up.
fn full(limit: &Limit, theme: Theme) -> (String, ratatui::style::Style) {
    let (text, style) = match (limit.paused, limit.paused_for_seconds, limit.full_in_seconds) {
        (true, Some(left), _) => (format!("paused {}", roughly(left)), theme.bad()),
        (true, None, _) => ("PAUSED".to_owned(), theme.bad()),
        (false, _, _) if limit.shadow => ("shadow".to_owned(), theme.dim()),
        (false, _, Some(full)) if full <= 0.0 => ("is full".to_owned(), theme.good()),
        (false, _, Some(full)) => (format!("full in {}", roughly(full)), theme.dim()),
        (false, _, None) if limit.used + limit.held == 0 => ("is full".to_owned(), theme.good()),
        (false, _, None) => ("on release".to_owned(), theme.dim()),
    };
    (super::super::words::cut(&text, FULL - 1), style)
}

/// Returns the bar: what is used, what is reserved, what is left.
fn bar<'a>(limit: &Limit, width: usize, theme: Theme) -> [Span<'a>; 4] {
    let most = count(limit.most.max(1));
    let part = |amount: u64| {
        let cells = whole(count(amount) / most * count(u64::try_from(width).unwrap_or(0)));
        let cells = usize::try_from(cells).unwrap_or(width).min(width);
        if amount > 0 { cells.max(1) } else { 0 }
    };
    let used = part(limit.used).min(width);
    let held = part(limit.held).min(width - used);
    let [used_sign, held_sign, left_sign] = theme.bar();
    [
        Span::styled(used_sign.repeat(used), theme.used()),
        Span::styled(held_sign.repeat(held), theme.held()),
        Span::styled(left_sign.repeat(width - used - held), theme.dim()),
        Span::raw(" "),
    ]
}
