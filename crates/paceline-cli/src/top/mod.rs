//! `paceline top`: a store at a glance, live.

mod app;
mod binding;
mod event;
#[cfg(test)]
mod fixed;
mod history;
mod log;
mod once;
mod render;
mod sample;
mod screen;
mod source;
#[cfg(test)]
mod tests;
mod theme;
mod words;

use std::io::{IsTerminal, stdout};
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

pub(crate) use source::{Source, only, open};

use crate::clock::{self, Watch};
use crate::failure::Failure;
use app::{Act, App};
use event::{Events, Message};
use screen::Screen;
use theme::Theme;

/// How it is looked, and at what.
#[derive(Debug, Clone)]
pub(crate) struct Look {
    /// The time between looks.
    pub(crate) interval: Duration,
    /// The resources to show, as a glob.
    pub(crate) only: Option<String>,
}

/// How something is shown that is no screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    /// As a table.
    Table,
    /// As a document of JSON.
    Document,
    /// As one frame of a screen of so many columns and lines, after so many looks.
    Frame { size: (u16, u16), looks: u32 },
}

/// The least time between two frames: what comes sooner is drawn together.
const FRAME: Duration = Duration::from_millis(40);

/// Returns whether a screen can be shown: the standard output is a terminal.
pub(crate) fn has_terminal() -> bool {
    stdout().is_terminal()
}

/// Looks once, or as often as a frame takes, and returns what is printed.
pub(crate) fn once(mut source: Box<dyn Source>, look: &Look, shown: Shown) -> Result<String, Failure> {
    let watch = Watch::start();
    let mut app = App::new(source.place(), look.interval.as_secs_f64(), look.only.clone());
    let looks = if let Shown::Frame { looks, .. } = shown { looks.max(1) } else { 1 };
    for at in 0..looks {
        if at > 0 {
            std::thread::park_timeout(look.interval);
        }
        app.looked(source.look()?, watch.elapsed().as_secs_f64());
    }
    match shown {
        Shown::Table => Ok(once::table(&app)),
        Shown::Document => Ok(once::document(&app)?.to_string() + "\n"),
        Shown::Frame { size, .. } => once::frame(&app, theme(), size, watch.elapsed().as_secs_f64()),
    }
}

/// Shows the store on the terminal until it is quit, or `over` says that it is.
pub(crate) fn watch(source: Box<dyn Source>, look: &Look, over: impl Fn() -> bool) -> Result<(), Failure> {
    check_terminal()?;
    let watch = Watch::start();
    let mut app = App::new(source.place(), look.interval.as_secs_f64(), look.only.clone());
    let events = Events::start(source, look.interval)?;
    let mut screen = Screen::take().map_err(Failure::io("the terminal"))?;
    let theme = theme();
    loop {
        let now = watch.elapsed().as_secs_f64();
        let drawn = screen.terminal.draw(|frame| render::render(frame, &app, theme, now));
        drawn.map_err(Failure::io("the terminal"))?;
        let until = watch.elapsed() + FRAME;
        let mut next = events.messages.recv_timeout(Duration::from_secs(1));
        loop {
            let message = match next {
                Ok(message) => message,
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            };
            if !take(&mut app, message, &events, watch.elapsed().as_secs_f64()) {
                return Ok(());
            }
            next = events.messages.recv_timeout(until.saturating_sub(watch.elapsed()));
        }
        if over() {
            return Ok(());
        }
        if !screen::is_taken() {
            return Err(Failure::Input("a part of paceline top failed; what it said is above".to_owned()));
        }
    }
}

/// Takes in a message; returns whether it goes on.
fn take(app: &mut App, message: Message, events: &Events, now: f64) -> bool {
    match message {
        Message::End => return false,
        Message::Resized => {}
        Message::Looked(Ok(sample)) => app.looked(sample, now),
        Message::Looked(Err(reason)) => app.failed(reason, &clock::written(clock::unix_ms()), now),
        Message::News(news) => app.happened(&news),
        Message::Ordered(order, done) => app.ordered(&order, done),
        Message::Key(key) => match app.key(key) {
            None => {}
            Some(Act::Quit) => return false,
            Some(Act::Order(order)) => events.order(order),
        },
    }
    true
}

/// Refuses terminals on which nothing can be drawn.
pub(crate) fn check_terminal() -> Result<(), Failure> {
    let term = std::env::var("TERM").unwrap_or_default();
    if !has_terminal() {
        return Err(Failure::Input("the standard output is no terminal; `--once` prints a table".to_owned()));
    }
    if matches!(term.as_str(), "" | "dumb") {
        return Err(Failure::Input(format!(
            "nothing can be drawn on this terminal (TERM is {}); `paceline top --once` prints a table",
            if term.is_empty() { "not set" } else { &term }
        )));
    }
    Ok(())
}

fn theme() -> Theme {
    Theme::of(|name| std::env::var(name).ok())
}
