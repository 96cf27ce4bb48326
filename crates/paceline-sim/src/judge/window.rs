//! The counters: one that starts anew at each boundary, and one that counts what is in flight.

use super::meter::left;
use super::verdict::Wait;

/// A counter that is reset at each boundary.
#[derive(Clone, Debug)]
pub(super) struct FixedWindow {
    amount: u64,
    window_us: u64,
    phase_us: u64,
    used: u64,
    now_us: u64,
}

impl FixedWindow {
    pub(super) fn new(amount: u64, window_us: u64, phase_us: u64) -> Self {
        Self { amount, window_us, phase_us: phase_us % window_us, used: 0, now_us: 0 }
    }

    pub(super) fn amount(&self) -> u64 {
        self.amount
    }

    /// Numbers the period that is current; the one before the first boundary is 0.
    pub(super) fn period(&self) -> u64 {
        self.shifted_us() / self.window_us
    }

    pub(super) fn advance(&mut self, now_us: u64) {
        let before = self.period();
        self.now_us = self.now_us.max(now_us);
        if self.period() != before {
            self.used = 0;
        }
    }

    pub(super) fn wait(&self, need: u64) -> Option<Wait> {
        if need > self.amount {
            return Some(Wait::Never);
        }
        (self.used + need > self.amount).then(|| Wait::Us(self.full_in_us()))
    }

    pub(super) fn charge(&mut self, amount: u64) {
        self.used += amount;
    }

    pub(super) fn give_back(&mut self, period: u64, amount: u64) {
        if period == self.period() {
            self.used = self.used.saturating_sub(amount);
        }
    }

    pub(super) fn available(&self) -> i64 {
        left(self.amount, self.used)
    }

    pub(super) fn full_in_us(&self) -> u64 {
        self.window_us - self.shifted_us() % self.window_us
    }

    fn shifted_us(&self) -> u64 {
        self.now_us + (self.window_us - self.phase_us)
    }
}

/// A counter of what is in flight.
#[derive(Clone, Debug)]
pub(super) struct InFlight {
    amount: u64,
    used: u64,
}

impl InFlight {
    pub(super) fn new(amount: u64) -> Self {
        Self { amount, used: 0 }
    }

    pub(super) fn amount(&self) -> u64 {
        self.amount
    }

    pub(super) fn wait(&self, need: u64) -> Option<Wait> {
        if need > self.amount {
            return Some(Wait::Never);
        }
        (self.used + need > self.amount).then_some(Wait::Unknown)
    }

    pub(super) fn charge(&mut self, amount: u64) {
        self.used += amount;
    }

    pub(super) fn give_back(&mut self, amount: u64) {
        self.used = self.used.saturating_sub(amount);
    }

    pub(super) fn available(&self) -> i64 {
        left(self.amount, self.used)
    }
}
