//! What limits and the line looked like over time, sampled at even distances.

use paceline_core::{LimitSpec, Millis, Snapshot};
use serde::Serialize;

use super::draw::real;

/// How many samples the arrivals are divided into.
const SAMPLES: u64 = 240;

/// Samples at even distances from the start on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Series {
    /// The distance of samples, in milliseconds.
    pub interval_ms: Millis,
    /// How many waited.
    pub waiting: Vec<u64>,
    /// For each limit the part of it that was in use, what is held included; above 1 is debt.
    pub limits: Vec<(String, Vec<f64>)>,
}

impl Series {
    /// Returns a series without samples for traffic whose last arrival is at this time.
    pub(super) fn new(last_arrival_ms: Millis, limits: &[LimitSpec]) -> Self {
        let interval_ms = last_arrival_ms.div_ceil(SAMPLES).max(100);
        let limits = limits.iter().map(|limit| (limit.id.to_string(), Vec::new())).collect();
        Self { interval_ms, waiting: Vec::new(), limits }
    }

    /// Returns the time of the next sample if that lies before another time.
    pub(super) fn due_before(&self, other_ms: Millis) -> Option<Millis> {
        let taken = u64::try_from(self.waiting.len()).unwrap_or(u64::MAX);
        Some(taken.saturating_mul(self.interval_ms)).filter(|due_ms| *due_ms < other_ms)
    }

    /// Takes a sample.
    pub(super) fn take(&mut self, snapshot: &Snapshot, waiting: u64) {
        self.waiting.push(waiting);
        for (name, parts) in &mut self.limits {
            let view = snapshot.limits.iter().find(|view| *view.name == **name);
            let part = view.map_or(0.0, |view| real(view.used + view.held) / real(view.most.max(1)));
            parts.push((part * 10_000.0).round() / 10_000.0);
        }
    }
}
