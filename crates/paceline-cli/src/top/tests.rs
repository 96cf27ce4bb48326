//! The screen at several sizes, and what keys do.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use serde_json::json;

use super::app::{Act, App, Mode, Sort};
use super::fixed;
use super::log::News;
use super::render::render;
use super::sample::{Sample, count};
use super::source::Order;
use super::theme::{Colours, Theme};

/// Returns a store at second `at` of a made-up minute.
fn sample(at: u64) -> Sample {
    let used = 18_000 + 400 * (at % 30);
    let mut tokens = fixed::limit("tokens_per_minute", 30_000, Some(60.0), used);
    tokens.held = 1_500;
    tokens.left -= 1_500;
    tokens.full_in_seconds = None;
    let limits = vec![
        fixed::limit("requests_per_minute", 500, Some(60.0), 30 + at),
        tokens,
        fixed::limit("concurrent_requests", 8, None, 3 + at % 5),
    ];
    let lanes = vec![
        fixed::lane(Some("batch"), 12, 10 * at),
        fixed::lane(Some("chat"), 1, 5 * at),
        fixed::lane(None, 0, 2),
    ];
    let mut busy = fixed::resource("openai/gpt-4o", limits, lanes);
    busy.in_flight = 3 + at % 5;
    let calls = fixed::limit("requests_per_day", 1_000, Some(86_400.0), 400 + at);
    let mut paused = fixed::resource("anthropic/claude", vec![calls], vec![fixed::lane(None, 2, 7)]);
    (paused.paused, paused.paused_for_seconds) = (true, Some(48.0));
    let mut idle = fixed::resource("gemini/flash", Vec::new(), Vec::new());
    idle.in_flight = 1;
    let mut sample = fixed::of(vec![busy, paused, idle]);
    sample.at = format!("2026-11-22T12:{:02}:{:02}.250Z", 30 + at / 60, at % 60);
    sample
}

fn app() -> App {
    let mut app = App::new("http://127.0.0.1:7411".to_owned(), 1.0, None);
    for at in 0..65 {
        app.looked(sample(at), count(at));
        let when = format!("2026-11-22T12:{:02}:{:02}.400Z", 30 + at / 60, at % 60);
        if at > 58 {
            let data = json!({"at": when, "resource": "openai/gpt-4o", "waited_seconds": 3.4});
            app.happened(&News { name: "granted".to_owned(), data });
        }
        if at == 62 {
            let reason = "busy: openai/gpt-4o: 900 wanted of limit openai/gpt-4o/tokens_per_minute, 100 left";
            let data = json!({"at": when, "resource": "openai/gpt-4o", "reason": reason});
            app.happened(&News { name: "refused".to_owned(), data });
        }
    }
    app
}

fn press(app: &mut App, code: KeyCode) -> Option<Act> {
    app.key(KeyEvent::new(code, KeyModifiers::NONE))
}

fn type_in(app: &mut App, text: &str) {
    text.chars().for_each(|letter| assert_eq!(press(app, KeyCode::Char(letter)), None));
}

fn shown_with(app: &App, theme: Theme, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| render(frame, app, theme, 70.0)).unwrap();
    terminal.backend().to_string()
}

fn shown(app: &App, width: u16, height: u16) -> String {
    shown_with(app, Theme::new(Colours::Many, true), width, height)
}

fn names(app: &App) -> Vec<String> {
    app.rows().iter().map(|row| row.resource.name.clone()).collect()
}

#[test]
fn the_whole_screen_at_80_by_24() {
    insta::assert_snapshot!(shown(&app(), 80, 24));
}

#[test]
fn the_whole_screen_at_120_by_40() {
    insta::assert_snapshot!(shown(&app(), 120, 40));
}

#[test]
fn the_whole_screen_at_200_by_60() {
    insta::assert_snapshot!(shown(&app(), 200, 60));
}

#[test]
fn the_whole_screen_without_signs() {
    let text = shown_with(&app(), Theme::new(Colours::None, false), 100, 30);
    assert!(text.is_ascii(), "{text}");
    insta::assert_snapshot!(text);
}

#[test]
fn a_store_that_is_away_is_stale() {
    let mut app = app();
    app.failed("nothing answers there (connection refused)".to_owned(), "2026-11-22T12:31:05Z", 65.0);
    app.failed("nothing answers there (connection refused)".to_owned(), "2026-11-22T12:31:06Z", 66.0);
    insta::assert_snapshot!(shown(&app, 80, 24));
    app.looked(sample(68), 68.0);
    let text = shown(&app, 80, 24);
    assert!(!text.contains("STALE") && text.contains("seen again after 3 s"), "{text}");
}

#[test]
fn a_store_that_was_never_seen_says_why() {
    let mut app = App::new("redis://localhost:6379".to_owned(), 1.0, None);
    assert!(shown(&app, 80, 24).contains("Looking at redis://localhost:6379"));
    app.failed("connection refused".to_owned(), "2026-11-22T12:31:05Z", 0.0);
    let text = shown(&app, 80, 24);
    assert!(text.contains("STALE since 12:31:05 UTC") && text.contains("connection refused"), "{text}");
    app.looked(Sample::default(), 1.0);
    assert!(shown(&app, 80, 24).contains("none yet"));
}

#[test]
fn a_window_that_is_too_small_says_so() {
    let app = app();
    for (width, height) in [(59, 24), (80, 13), (20, 5)] {
        let text = shown(&app, width, height);
        assert!(text.contains("needs"), "{text}");
    }
    assert!(shown(&app, 60, 14).contains("Limits of openai/gpt-4o"));
    // No size draws beyond its edges.
    for (width, height) in [(1, 1), (60, 14), (61, 15), (139, 14), (140, 15), (300, 100)] {
        shown(&app, width, height);
    }
}

#[test]
fn charts_are_one_for_each_limit_and_what_lines_do() {
    let mut app = app();
    press(&mut app, KeyCode::Enter);
    press(&mut app, KeyCode::Right);
    insta::assert_snapshot!("chart_of_a_limit", shown(&app, 80, 24));
    press(&mut app, KeyCode::Left);
    press(&mut app, KeyCode::Left);
    press(&mut app, KeyCode::Left);
    assert_eq!(app.mode, Mode::Chart(6), "from the first to the last but one");
    insta::assert_snapshot!("chart_of_grants", shown(&app, 120, 40));
    press(&mut app, KeyCode::Esc);
    assert_eq!(app.mode, Mode::Main);
}

#[test]
fn help_says_what_keys_do() {
    let mut app = app();
    press(&mut app, KeyCode::Char('?'));
    insta::assert_snapshot!(shown(&app, 80, 24));
    assert_eq!(press(&mut app, KeyCode::Char('x')), None);
    assert_eq!(app.mode, Mode::Main);
}

#[test]
fn a_pause_is_asked_for_twice() {
    let mut app = app();
    assert_eq!(app.row().unwrap().resource.name, "openai/gpt-4o", "the longest line of equal waits");
    assert_eq!(press(&mut app, KeyCode::Char('p')), None);
    insta::assert_snapshot!(shown(&app, 80, 24));
    assert_eq!(press(&mut app, KeyCode::Char('n')), None);
    assert!(shown(&app, 80, 24).contains("nothing was changed"));
    press(&mut app, KeyCode::Char('p'));
    let order = Order::Pause { resource: "openai/gpt-4o".to_owned() };
    assert_eq!(press(&mut app, KeyCode::Char('y')), Some(Act::Order(order.clone())));
    app.ordered(&order, Ok(()));
    assert!(shown(&app, 80, 24).contains("openai/gpt-4o is paused until it is resumed"));
    app.ordered(&order, Err("the key has not the scope admin".to_owned()));
    assert!(shown(&app, 80, 24).contains("failed: the key has not the scope admin"));
    press(&mut app, KeyCode::Char('r'));
    let order = Order::Resume { resource: "openai/gpt-4o".to_owned() };
    assert_eq!(press(&mut app, KeyCode::Char('y')), Some(Act::Order(order)));
}

#[test]
fn a_filter_leaves_what_has_it_in_its_name() {
    let mut app = app();
    press(&mut app, KeyCode::Char('/'));
    type_in(&mut app, "GPTq");
    assert_eq!(names(&app), Vec::<String>::new());
    press(&mut app, KeyCode::Backspace);
    assert_eq!(names(&app), ["openai/gpt-4o"]);
    assert!(shown(&app, 80, 24).contains("filter: GPT_"), "{}", shown(&app, 80, 24));
    press(&mut app, KeyCode::Enter);
    assert_eq!(app.row().unwrap().resource.name, "openai/gpt-4o");
    assert!(shown(&app, 80, 24).contains("Resources: 1 of 3"), "{}", shown(&app, 80, 24));
    press(&mut app, KeyCode::Char('/'));
    type_in(&mut app, "x");
    press(&mut app, KeyCode::Esc);
    assert_eq!(app.filter, "GPT", "what was typed last is dropped");
    press(&mut app, KeyCode::Esc);
    assert_eq!(names(&app).len(), 3);
}

#[test]
fn resources_are_sorted_by_what_is_asked_for() {
    let mut app = app();
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.push((app.sort, names(&app).first().cloned().unwrap_or_default()));
        press(&mut app, KeyCode::Char('s'));
    }
    let first = |name: &str| name.to_owned();
    let is = [
        (Sort::Waiting, first("openai/gpt-4o")),
        (Sort::Taken, first("openai/gpt-4o")),
        (Sort::Grants, first("openai/gpt-4o")),
        (Sort::Name, first("anthropic/claude")),
    ];
    assert_eq!(seen, is);
    assert_eq!(app.sort, Sort::Waiting, "and around");
}

#[test]
fn the_choice_stays_with_its_resource() {
    let mut app = app();
    press(&mut app, KeyCode::End);
    assert_eq!(app.row().unwrap().resource.name, "gemini/flash");
    press(&mut app, KeyCode::Char('s'));
    press(&mut app, KeyCode::Char('s'));
    app.looked(sample(66), 66.0);
    assert_eq!(app.row().unwrap().resource.name, "gemini/flash");
    let mut gone = sample(67);
    gone.ledgers[0].resources.pop();
    app.looked(gone, 67.0);
    assert_eq!(app.row().unwrap().resource.name, "openai/gpt-4o", "what is gone is not chosen");
}

#[test]
fn what_no_event_tells_is_seen_from_look_to_look() {
    let mut app = App::new("redis://localhost".to_owned(), 1.0, None);
    let look = |waiting, granted, paused| {
        let tokens = fixed::limit("tokens_per_minute", 100, Some(60.0), 100);
        let lane = fixed::lane(None, waiting, granted);
        let mut resource = fixed::resource("gpt", vec![tokens], vec![lane]);
        resource.paused = paused;
        fixed::of(vec![resource])
    };
    app.looked(look(0, 0, false), 0.0);
    app.looked(look(3, 5, false), 1.0);
    app.looked(look(3, 5, true), 2.0);
    app.looked(look(0, 5, false), 3.0);
    let lines: Vec<String> =
        app.log.newest().map(|entry| format!("{} {}: {}", entry.name, entry.about, entry.detail)).collect();
    let is = [
        "line gpt: nobody waits any more",
        "resumed gpt: ",
        "paused gpt: until it is resumed",
        "line gpt: waits for tokens/min",
        "granted gpt: 5 calls",
    ];
    assert_eq!(lines, is);
}

#[test]
fn only_what_is_asked_for_is_shown() {
    let mut app = App::new("http://h".to_owned(), 1.0, Some("openai/*".to_owned()));
    app.looked(sample(0), 0.0);
    assert_eq!(names(&app), ["openai/gpt-4o"]);
    let data = json!({"resource": "anthropic/claude"});
    app.happened(&News { name: "granted".to_owned(), data });
    assert_eq!(app.log.newest().count(), 0);
}

#[test]
fn control_c_ends_it_everywhere() {
    for code in [KeyCode::Enter, KeyCode::Char('/'), KeyCode::Char('p'), KeyCode::Char('?')] {
        let mut app = app();
        press(&mut app, code);
        let key = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(app.key(key), Some(Act::Quit));
    }
}
