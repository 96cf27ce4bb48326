//! A sliding window that remembers every charge.

use std::collections::VecDeque;

use super::meter::left;
use super::verdict::Wait;

#[derive(Clone, Debug)]
struct Entry {
    at_us: u64,
    call: u64,
    amount: u64,
}

/// A charge made at `t` counts in `t ≤ now < t + window`.
#[derive(Clone, Debug)]
pub(super) struct SlidingLog {
    amount: u64,
    window_us: u64,
    entries: VecDeque<Entry>,
    used: u64,
    now_us: u64,
}

impl SlidingLog {
    pub(super) fn new(amount: u64, window_us: u64) -> Self {
        Self { amount, window_us, entries: VecDeque::new(), used: 0, now_us: 0 }
    }

    pub(super) fn amount(&self) -> u64 {
        self.amount
    }

    pub(super) fn advance(&mut self, now_us: u64) {
        self.now_us = self.now_us.max(now_us);
        while let Some(oldest) = self.entries.front()
            && oldest.at_us + self.window_us <= self.now_us
        {
            self.used -= oldest.amount;
            self.entries.pop_front();
        }
    }

    pub(super) fn wait(&self, need: u64) -> Option<Wait> {
        if need > self.amount {
            return Some(Wait::Never);
        }
        let mut excess = (self.used + need).checked_sub(self.amount).filter(|&excess| excess > 0)?;
        for entry in &self.entries {
            excess = excess.saturating_sub(entry.amount);
            if excess == 0 {
                return Some(Wait::Us(self.leaves_in_us(entry)));
            }
        }
        Some(Wait::Never)
    }

    pub(super) fn charge(&mut self, call: u64, amount: u64) {
        if amount > 0 {
            self.entries.push_back(Entry { at_us: self.now_us, call, amount });
            self.used += amount;
        }
    }

    /// Takes a return out of the call's own entries, the latest first; what has left the window is lost.
    pub(super) fn give_back(&mut self, call: u64, amount: u64) {
        let mut owed = amount;
        for entry in self.entries.iter_mut().rev().filter(|entry| entry.call == call) {
            let returned = owed.min(entry.amount);
            entry.amount -= returned;
            self.used -= returned;
            owed -= returned;
            if owed == 0 {
                break;
            }
        }
    }

    pub(super) fn available(&self) -> i64 {
        left(self.amount, self.used)
    }

    pub(super) fn full_in_us(&self) -> u64 {
        self.entries.back().map_or(0, |entry| self.leaves_in_us(entry))
    }

    fn leaves_in_us(&self, entry: &Entry) -> u64 {
        entry.at_us + self.window_us - self.now_us
    }
}
