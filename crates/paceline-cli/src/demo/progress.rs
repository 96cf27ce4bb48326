//! Live progress on the standard error, where that is a terminal.

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;

use super::board::{Board, Glance};
use crate::text::grouped;

const INTERVAL: Duration = Duration::from_millis(100);
const BAR: usize = 24;

/// A line that is written anew until this is dropped.
#[derive(Debug)]
pub(crate) struct Progress(Option<JoinHandle<()>>);

impl Progress {
    /// Shows nothing, where somebody else has the terminal.
    pub(crate) fn hidden() -> Self {
        Self(None)
    }

    /// Shows boards by name, one after the other on one line.
    pub(crate) fn show(boards: Vec<(&'static str, Arc<Board>)>) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self(None);
        }
        Self(Some(tokio::spawn(async move {
            let mut ticks = tokio::time::interval(INTERVAL);
            loop {
                ticks.tick().await;
                let lines: Vec<String> =
                    boards.iter().map(|(name, board)| line(name, &board.glance())).collect();
                write(&format!("\r{}\x1b[K", lines.join("   ")));
            }
        })))
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(task) = self.0.take() {
            task.abort();
            write("\r\x1b[K");
        }
    }
}

fn write(text: &str) {
    // Progress that cannot be shown is not worth stopping for.
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

fn line(name: &str, glance: &Glance) -> String {
    let done = (BAR * glance.served).checked_div(glance.total).unwrap_or(BAR);
    let bar = format!("{}{}", "█".repeat(done), "░".repeat(BAR - done));
    format!(
        "{name}{bar} {:>5.1} s  {}/{} served  {} in flight  {} waiting  {} × 429  {} tokens returned",
        glance.elapsed.as_secs_f64(),
        glance.served,
        glance.total,
        glance.in_flight,
        glance.waiting,
        grouped(glance.refused),
        grouped(glance.returned),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_fills_with_what_is_served() {
        let glance = Glance {
            elapsed: Duration::from_millis(1_500),
            served: 50,
            total: 100,
            waiting: 7,
            in_flight: 3,
            refused: 1_000,
            returned: 0,
        };
        let text = line("", &glance);
        assert_eq!(text.matches('█').count(), BAR / 2);
        assert!(text.contains("  1.5 s  50/100 served  3 in flight  7 waiting  1,000 × 429"), "{text}");
    }
}
