//! The screen as a function of what is known: which panel is where.

pub(crate) mod chart;
mod confirm;
mod events;
mod footer;
mod header;
mod help;
mod limits;
mod line;
mod resources;
mod spark;
mod trends;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::app::{App, Mode};
use super::theme::Theme;

/// The smallest screen on which anything can be read.
const LEAST: (u16, u16) = (60, 14);

/// From which width on there are two columns of panels.
const WIDE: u16 = 140;

/// Draws everything, `now` by the program's clock in seconds.
pub(crate) fn render(frame: &mut Frame<'_>, app: &App, theme: Theme, now: f64) {
    let area = frame.area();
    if area.width < LEAST.0 || area.height < LEAST.1 {
        return too_small(frame, area);
    }
    let header = header::height(app, area.width);
    let rows = [Constraint::Length(header), Constraint::Min(0), Constraint::Length(1)];
    let [top, middle, bottom] = Layout::vertical(rows).areas(area);
    header::render(frame, top, app, theme, now);
    footer::render(frame, bottom, app, theme);
    match app.mode {
        Mode::Chart(chart) => chart::render(frame, middle, app, theme, chart),
        _ => main(frame, middle, app, theme),
    }
    match &app.mode {
        Mode::Help => help::render(frame, area, theme),
        Mode::Confirm(order) => confirm::render(frame, area, order, theme),
        _ => {}
    }
    if !theme.has_signs() {
        plainly(frame);
    }
}

/// Puts a sign of ASCII where something was cut.
fn plainly(frame: &mut Frame<'_>) {
    for cell in &mut frame.buffer_mut().content {
        if cell.symbol() == "…" {
            cell.set_symbol("~");
        }
    }
}

fn too_small(frame: &mut Frame<'_>, area: Rect) {
    let said = format!(
        "paceline top needs {} x {} characters, and has {} x {}. Make the window larger, or press q.",
        LEAST.0, LEAST.1, area.width, area.height
    );
    frame.render_widget(Paragraph::new(said).wrap(ratatui::widgets::Wrap { trim: true }), area);
}

fn main(frame: &mut Frame<'_>, area: Rect, app: &App, theme: Theme) {
    let wide = area.width >= WIDE;
    let (left, right) = if wide {
        let columns = [Constraint::Percentage(62), Constraint::Length(2), Constraint::Min(0)];
        let [left, _, right] = Layout::horizontal(columns).areas(area);
        (left, Some(right))
    } else {
        (area, None)
    };
    let rows = app.rows();
    let chosen = app.row();
    let limits = chosen.map_or(0, |row| row.resource.limits.len());
    let lanes = chosen.map_or(0, |row| row.resource.lanes.len().max(1));
    let room = left.height;
    let trends = if right.is_none() && room >= 30 { trends::HEIGHT } else { 0 };
    // What is left over is for events; each panel gives way a little where there is little room.
    let most = |rows: usize, part: u16| length(rows).min((room / part).max(2));
    let heights = [most(rows.len().max(1), 4) + 2, most(limits.max(1), 3) + 1, most(lanes, 5) + 2, trends];
    let [first, second, third, fourth, rest] = Layout::vertical([
        Constraint::Length(heights[0]),
        Constraint::Length(heights[1]),
        Constraint::Length(heights[2]),
        Constraint::Length(heights[3]),
        Constraint::Min(0),
    ])
    .areas(left);
    resources::render(frame, first, app, &rows, theme);
    if let Some(row) = chosen {
        limits::render(frame, second, app, row, theme);
        line::render(frame, third, app, row, theme);
    }
    let (trend, log) = right.map_or((fourth, rest), |right| (rest, right));
    trends::render(frame, trend, app, chosen, theme);
    events::render(frame, log, app, theme);
}

fn length(rows: usize) -> u16 {
    u16::try_from(rows).unwrap_or(u16::MAX)
}

/// Returns a line that leads over a panel: its title, and more of less weight.
fn rule<'a>(title: &str, more: &str, width: u16, theme: Theme) -> Line<'a> {
    let colon = if more.is_empty() { "" } else { ":" };
    let title = format!("{title}{colon}");
    let more = if more.is_empty() { String::new() } else { format!("{more} ") };
    let shown = title.chars().count() + more.chars().count() + 4;
    let rest = theme.rule().repeat(usize::from(width).saturating_sub(shown));
    Line::from(vec![
        Span::styled(format!("{0}{0} ", theme.rule()), theme.frame()),
        Span::styled(format!("{title} "), theme.title()),
        Span::styled(more, theme.dim()),
        Span::styled(rest, theme.frame()),
    ])
}

/// Draws lines from the top of an area, as many as fit.
fn draw(frame: &mut Frame<'_>, area: Rect, lines: Vec<Line<'_>>) {
    frame.render_widget(Paragraph::new(lines), area);
}

/// Returns an area of this size in the middle of another.
fn middle(area: Rect, width: u16, height: u16) -> Rect {
    let (width, height) = (width.min(area.width), height.min(area.height));
    Rect::new(area.x + (area.width - width) / 2, area.y + (area.height - height) / 2, width, height)
}

/// Returns the signs of a box.
fn borders(theme: Theme) -> ratatui::symbols::border::Set<'static> {
    use ratatui::symbols::border;
    const ASCII: border::Set<'static> = border::Set {
        top_left: "+",
        top_right: "+",
        bottom_left: "+",
        bottom_right: "+",
        vertical_left: "|",
        vertical_right: "|",
        horizontal_top: "-",
        horizontal_bottom: "-",
    };
    if theme.has_signs() { border::PLAIN } else { ASCII }
}
