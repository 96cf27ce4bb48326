//! One look for scripts: a plain table, a document of JSON, or one frame of the screen.

use std::fmt::Write as _;

use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier};
use ratatui::{Terminal, backend::TestBackend};
use serde_json::{Value, json};

use super::app::{App, Row};
use super::sample::{Lane, Limit, count, signed};
use super::theme::Theme;
use super::words::{lasting, perhaps, whole};
use crate::failure::Failure;
use crate::text::{Align, BOLD, Table, grouped};

/// Returns what is seen as text for people.
pub(crate) fn table(app: &App) -> String {
    let at = app.sample.as_ref().map_or("", |sample| sample.at.as_str());
    let mut text = format!("{}  {at}\n{BOLD}{}{BOLD:#}\n", app.place, app.headline());
    for row in app.rows() {
        text.push_str(&resource(row));
    }
    text
}

fn resource(row: Row<'_>) -> String {
    let resource = row.resource;
    let oldest =
        resource.oldest().map_or_else(String::new, |oldest| format!(" (oldest {})", lasting(oldest)));
    let paused = match (resource.paused, resource.paused_for_seconds) {
        (false, _) => String::new(),
        (true, None) => ", PAUSED until it is resumed".to_owned(),
        (true, Some(left)) => format!(", PAUSED for {}", lasting(left)),
    };
    let mut text = format!(
        "\n{BOLD}{}{BOLD:#}  {} waiting{oldest}, {} in flight{paused}\n",
        resource.name,
        grouped(resource.waiting),
        grouped(resource.in_flight)
    );
    let mut limits = Table::new(&[
        ("limit", Align::Left),
        ("used", Align::Right),
        ("reserved", Align::Right),
        ("left", Align::Right),
        ("at most", Align::Right),
        ("full again", Align::Right),
    ]);
    for limit in &resource.limits {
        limits.row([
            limit.short(&resource.name).to_owned(),
            grouped(limit.used),
            grouped(limit.held),
            grouped(limit.left),
            grouped(limit.most),
            full_again(limit),
        ]);
    }
    text.push_str(&limits.within(80, 2));
    if !resource.lanes.is_empty() {
        let mut lanes = Table::new(&[
            ("lane", Align::Left),
            ("waiting", Align::Right),
            ("oldest", Align::Right),
            ("granted", Align::Right),
        ]);
        resource.lanes.iter().for_each(|lane| lanes.row(cells(lane)));
        text.push_str(&lanes.within(80, 2));
    }
    text
}

fn cells(lane: &Lane) -> [String; 4] {
    let name = lane.name.as_deref().unwrap_or("(no lane)").to_owned();
    let oldest = perhaps(lane.oldest_seconds.filter(|_| lane.waiting > 0));
    [name, grouped(lane.waiting), oldest, grouped(lane.granted)]
}

fn full_again(limit: &Limit) -> String {
    let text = match (limit.paused, limit.paused_for_seconds, limit.full_in_seconds) {
        (true, Some(left), _) => format!("paused {}", lasting(left)),
        (true, None, _) => "paused".to_owned(),
        (false, _, Some(full)) if full > 0.0 => lasting(full),
        (false, _, None) if limit.used + limit.held > 0 => "on release".to_owned(),
        (false, _, _) => "is full".to_owned(),
    };
    if limit.shadow { format!("{text}, shadow") } else { text }
}

/// Returns what is seen as a document: the sample as `GET /v1/snapshot` has it, with what follows from it.
pub(crate) fn document(app: &App) -> Result<Value, Failure> {
    let mut document =
        serde_json::to_value(&app.sample).map_err(|error| Failure::Input(error.to_string()))?;
    let lines: Vec<Value> = app.rows().into_iter().map(line).collect();
    if let Some(fields) = document.as_object_mut() {
        fields.insert("store".to_owned(), json!(app.place));
        fields.insert("headline".to_owned(), json!(app.headline()));
        fields.insert("lines".to_owned(), Value::Array(lines));
    }
    Ok(document)
}

fn line(row: Row<'_>) -> Value {
    let waits_for = row.binding.map(|_| row.state());
    let limit = row.binding.and_then(|binding| match binding.why {
        super::binding::Why::Limit(limit) | super::binding::Why::LimitPaused(limit) => Some(&limit.name),
        _ => None,
    });
    let least = row.resource.limits.iter().map(|limit| signed(limit.left) / count(limit.most.max(1)));
    json!({
        "ledger": row.ledger.name,
        "resource": row.resource.name,
        "waiting": row.resource.waiting,
        "oldest_seconds": row.resource.oldest(),
        "waits_for": waits_for,
        "limit": limit,
        "head_goes_in_seconds": row.binding.and_then(|binding| binding.goes_in),
        "least_left_percent": least.reduce(f64::min).map(|part| whole(part * 100.0)),
    })
}

/// Returns the screen as it would be on a terminal of this size, with its colours as escape codes.
pub(crate) fn frame(
    app: &App,
    theme: Theme,
    (width, height): (u16, u16),
    now: f64,
) -> Result<String, Failure> {
    let Ok(mut terminal) = Terminal::new(TestBackend::new(width, height));
    let drawn = terminal.draw(|frame| super::render::render(frame, app, theme, now));
    drawn.map_err(|error| Failure::Input(error.to_string()))?;
    Ok(escaped(terminal.backend().buffer()))
}

fn escaped(buffer: &Buffer) -> String {
    let mut text = String::new();
    for y in 0..buffer.area.height {
        let mut style = String::new();
        let mut line = String::new();
        for x in 0..buffer.area.width {
            let Some(cell) = buffer.cell((x, y)) else { continue };
            let next = codes(cell.fg, cell.modifier);
            if next != style {
                let _ = write!(line, "\x1b[0{next}m");
                style = next;
            }
            line.push_str(cell.symbol());
        }
        text.push_str(line.trim_end());
        text.push_str(if style.is_empty() { "\n" } else { "\x1b[0m\n" });
    }
    text
}

fn codes(colour: Color, modifier: Modifier) -> String {
    let mut codes = match colour {
        Color::Indexed(index) => format!(";38;5;{index}"),
        Color::Red => ";31".to_owned(),
        Color::Green => ";32".to_owned(),
        Color::Yellow => ";33".to_owned(),
        Color::Blue => ";34".to_owned(),
        Color::Magenta => ";35".to_owned(),
        Color::Cyan => ";36".to_owned(),
        Color::DarkGray => ";90".to_owned(),
        _ => String::new(),
    };
    for (flag, code) in [(Modifier::BOLD, ";1"), (Modifier::DIM, ";2"), (Modifier::REVERSED, ";7")] {
        if modifier.contains(flag) {
            codes.push_str(code);
        }
    }
    codes
}

#[cfg(test)]
mod tests {
    use super::super::fixed;
    use super::super::theme::Colours;
    use super::*;

    fn app() -> App {
        let limits = vec![
            fixed::limit("tokens_per_minute", 30_000, Some(60.0), 30_100),
            fixed::limit("concurrent_requests", 4, None, 4),
        ];
        let mut app = App::new("http://127.0.0.1:7411".to_owned(), 1.0, None);
        let lanes = vec![fixed::lane(Some("batch"), 12, 400), fixed::lane(None, 0, 3)];
        app.looked(fixed::of(vec![fixed::resource("openai/gpt-4o", limits, lanes)]), 0.0);
        app
    }

    #[test]
    fn a_table_says_it_plainly() {
        let text = anstream::adapter::strip_str(&table(&app())).to_string();
        insta::assert_snapshot!(text);
    }

    #[test]
    fn a_document_has_the_sample_and_what_follows() {
        let document = document(&app()).unwrap();
        assert_eq!(document["ledgers"][0]["resources"][0]["limits"][0]["left"], -100);
        assert_eq!(document["lines"][0]["limit"], "openai/gpt-4o/concurrent_requests");
        assert_eq!(document["lines"][0]["waits_for"], "concurrent_requests");
        assert!(document["headline"].as_str().unwrap().contains("12 wait"), "{document}");
    }

    #[test]
    fn a_frame_has_its_size_and_its_colours() {
        let text = frame(&app(), Theme::new(Colours::Many, true), (80, 24), 0.0).unwrap();
        assert_eq!(text.lines().count(), 24);
        assert!(text.contains("\x1b[0;38;5;214;1m"), "{text}");
        let plain = frame(&app(), Theme::new(Colours::None, false), (80, 24), 0.0).unwrap();
        assert!(plain.is_ascii() && !plain.contains(";38"), "{plain}");
    }
}
