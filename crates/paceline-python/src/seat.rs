//! A resource as Python callers use it: its handle, whether it limits tokens, and what its calls have used so far.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use paceline::Resource;

use crate::amounts::Amounts;

/// A resource that was looked up.
pub(crate) struct Seat {
    pub(crate) resource: Resource,
    /// Whether one of its limits counts tokens.
    pub(crate) limits_tokens: bool,
    /// The limiter through which it was looked up.
    pub(crate) owner: u64,
    /// How long its permits live.
    pub(crate) lease: Duration,
    learnt: Mutex<Learnt>,
}

/// What the last calls used.
#[derive(Default)]
struct Learnt {
    last: Vec<(u64, u64)>,
    next: usize,
}

/// How many calls are remembered, and how many make an estimate.
const KEPT: usize = 256;
const ENOUGH: usize = 20;

impl Seat {
    pub(crate) fn new(resource: Resource, owner: u64, lease: Duration) -> Self {
        let limits_tokens = resource.metrics().iter().any(|metric| metric.contains("token"));
        Self { resource, limits_tokens, owner, lease, learnt: Mutex::default() }
    }

    /// Notes what a call used.
    pub(crate) fn learn(&self, used: &Amounts) {
        if !self.limits_tokens {
            return;
        }
        let call = match (used.tokens, used.input, used.output.or(used.max_output)) {
            (None, None, None) => return,
            (Some(tokens), None, None) => (tokens, 0),
            (_, input, output) => (input.unwrap_or(0), output.unwrap_or(0)),
        };
        let mut learnt = self.learnt.lock().unwrap_or_else(PoisonError::into_inner);
        let next = learnt.next;
        match learnt.last.get_mut(next) {
            Some(oldest) => *oldest = call,
            None => learnt.last.push(call),
        }
        learnt.next = (next + 1) % KEPT;
    }

    /// Returns what nineteen of twenty calls stay below, once there were enough of them.
    pub(crate) fn estimate(&self) -> Option<Amounts> {
        let learnt = self.learnt.lock().unwrap_or_else(PoisonError::into_inner);
        if learnt.last.len() < ENOUGH {
            return None;
        }
        let most = |of: fn(&(u64, u64)) -> u64| {
            let mut used: Vec<u64> = learnt.last.iter().map(of).collect();
            used.sort_unstable();
            used.get(used.len() * 19 / 20).copied()
        };
        let (input, output) = (most(|call| call.0), most(|call| call.1));
        Some(Amounts { input, max_output: output, ..Amounts::default() })
    }
}
