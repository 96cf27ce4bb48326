//! What workers tell while they work, and what came of each call.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::job::{Job, Work};
use crate::clock::Watch;

/// One call that was let through.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Grant {
    /// Its place in the order in which workers asked.
    pub(crate) asked: u64,
    /// When it was let through, since the start.
    pub(crate) at: Duration,
    /// How long its worker waited for that.
    pub(crate) waited: Duration,
    /// How often it had been refused before.
    pub(crate) refusals: u32,
}

/// The job as the workers share it.
#[derive(Debug)]
pub(crate) struct Board {
    calls: Vec<Work>,
    watch: Watch,
    next: AtomicUsize,
    waiting: AtomicUsize,
    in_flight: AtomicUsize,
    served: AtomicUsize,
    refused: AtomicU64,
    returned: AtomicU64,
    grants: Mutex<Vec<Grant>>,
}

/// The board at one instant.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Glance {
    /// Time since the start.
    pub(crate) elapsed: Duration,
    /// Calls that were served.
    pub(crate) served: usize,
    /// Calls of the job.
    pub(crate) total: usize,
    /// Workers that wait.
    pub(crate) waiting: usize,
    /// Calls on their way.
    pub(crate) in_flight: usize,
    /// Answers with status 429.
    pub(crate) refused: u64,
    /// Tokens that went back to whoever was next.
    pub(crate) returned: u64,
}

impl Board {
    /// Returns a board with all of a job open. The time starts.
    pub(crate) fn new(job: &Job) -> Self {
        Self {
            calls: job.calls.clone(),
            watch: Watch::start(),
            next: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            in_flight: AtomicUsize::new(0),
            served: AtomicUsize::new(0),
            refused: AtomicU64::new(0),
            returned: AtomicU64::new(0),
            grants: Mutex::new(Vec::with_capacity(job.calls.len())),
        }
    }

    /// Takes the next call, with its place in the order; the worker waits from here on.
    pub(crate) fn take(&self) -> Option<(u64, Work)> {
        let place = self.next.fetch_add(1, Ordering::Relaxed);
        let work = *self.calls.get(place)?;
        self.waiting.fetch_add(1, Ordering::Relaxed);
        Some((u64::try_from(place).unwrap_or(u64::MAX), work))
    }

    /// Returns the time since the start.
    pub(crate) fn elapsed(&self) -> Duration {
        self.watch.elapsed()
    }

    /// Notes that a call leaves.
    pub(crate) fn leaves(&self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes that a call is back with its answer.
    pub(crate) fn is_back(&self) {
        self.served.fetch_add(1, Ordering::Relaxed);
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    /// Notes that a call came back with 429, so that its worker waits again.
    pub(crate) fn is_refused(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.waiting.fetch_add(1, Ordering::Relaxed);
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes that the process of a call is dead, so that the call waits for another.
    pub(crate) fn is_lost(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.waiting.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes a call that was let through.
    pub(crate) fn grant(&self, grant: Grant) {
        self.grants.lock().unwrap_or_else(PoisonError::into_inner).push(grant);
    }

    /// Notes tokens that went back.
    pub(crate) fn gives_back(&self, tokens: u64) {
        self.returned.fetch_add(tokens, Ordering::Relaxed);
    }

    /// Returns all calls that were let through, in that order.
    pub(crate) fn grants(&self) -> Vec<Grant> {
        let mut grants = self.grants.lock().unwrap_or_else(PoisonError::into_inner).clone();
        grants.sort_by_key(|grant| grant.at);
        grants
    }

    /// Returns how things stand.
    pub(crate) fn glance(&self) -> Glance {
        Glance {
            elapsed: self.watch.elapsed(),
            served: self.served.load(Ordering::Relaxed),
            total: self.calls.len(),
            waiting: self.waiting.load(Ordering::Relaxed),
            in_flight: self.in_flight.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
            returned: self.returned.load(Ordering::Relaxed),
        }
    }
}
