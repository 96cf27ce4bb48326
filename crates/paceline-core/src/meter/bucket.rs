//! The bucket: refills continuously, or, at rate 0, only by what is given back.

use super::terms::{Kind, Terms};
use super::{BOUND, Note};
use crate::time::{Millis, NEVER, Now};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bucket {
    pub(crate) level: i64,
    /// What has been refilled of the next unit, in parts of the window.
    pub(crate) rest: i64,
    /// The tick up to which it has been refilled.
    pub(crate) at: i64,
    /// How often it has become full.
    pub(crate) fills: i64,
}

impl Bucket {
    pub(crate) fn full(terms: &Terms, now: Now) -> Self {
        Self { level: terms.most, rest: 0, at: terms.ticks(now.clock), fills: 0 }
    }

    pub(crate) fn bring(&mut self, terms: &Terms, clock: Millis) -> i64 {
        let tick = terms.ticks(clock);
        let dt = tick - self.at;
        if dt <= 0 {
            return 0;
        }
        self.at = tick;
        let before = self.level;
        self.refill(terms, dt);
        self.level - before
    }

    /// Whole windows first, then the rest with remainder, so that no product leaves the range of a double.
    fn refill(&mut self, terms: &Terms, dt: i64) {
        let window = window_of(terms);
        if window == 0 || self.level >= terms.most {
            return;
        }
        let (whole, dt) = (dt / window, dt % window);
        if whole > (terms.most - self.level) / terms.amount {
            return self.fill(terms);
        }
        self.level += whole * terms.amount;
        let x = dt * (terms.amount % window) + self.rest;
        self.level += dt * (terms.amount / window) + x / window;
        self.rest = x % window;
        if self.level >= terms.most {
            self.fill(terms);
        }
    }

    fn fill(&mut self, terms: &Terms) {
        self.level = terms.most;
        self.rest = 0;
        self.fills += 1;
    }

    #[inline]
    pub(crate) fn charge(&mut self, _: &Terms, amount: i64) -> Note {
        self.level = (self.level - amount).max(-BOUND);
        Note { at: self.fills, ..Note::default() }
    }

    /// Returns nothing if the bucket has been full since the grant, for then time has returned it.
    #[inline]
    pub(crate) fn give_back(&mut self, terms: &Terms, note: Note, amount: i64) -> i64 {
        if self.fills != note.at && !terms.is_concurrency {
            return 0;
        }
        let before = self.level;
        self.level = (before + amount).min(terms.most).max(before);
        if self.level >= terms.most && before < terms.most {
            self.fill(terms);
        }
        self.level - before
    }

    pub(crate) fn ready(&self, terms: &Terms, clock: Millis, need: i64) -> Millis {
        match self.ticks_to(terms, self.level, need) {
            Some(0) => 0,
            Some(ticks) => terms.until(self.at + ticks, clock),
            None => NEVER,
        }
    }

    pub(crate) fn full_by(&self, terms: &Terms, clock: Millis) -> Millis {
        match self.ticks_to(terms, self.level.min(0), terms.most) {
            Some(ticks) => terms.until(self.at + ticks, clock),
            None => NEVER,
        }
    }

    /// Returns the fewest ticks after which the rule of `refill` gives `need`.
    fn ticks_to(&self, terms: &Terms, level: i64, need: i64) -> Option<i64> {
        if level >= need {
            return Some(0);
        }
        let window = window_of(terms);
        if window == 0 {
            return None;
        }
        let missing = need - level;
        let whole = (missing - 1) / terms.amount;
        let parts = i128::from(missing - whole * terms.amount) * i128::from(window) - i128::from(self.rest);
        let amount = i128::from(terms.amount);
        let part = match i64::try_from(parts) {
            Ok(parts) => (parts + terms.amount - 1) / terms.amount,
            Err(_) => i64::try_from((parts + amount - 1) / amount).ok()?,
        };
        Some(whole.checked_mul(window)?.saturating_add(part))
    }

    /// Returns in what time it fills from nothing, 0 where time does not fill it.
    pub(crate) fn fills_in(terms: &Terms) -> Millis {
        let windows = (terms.most + terms.amount - 1) / terms.amount.max(1);
        let ticks = u64::try_from(window_of(terms).saturating_mul(windows)).unwrap_or(0);
        ticks.saturating_mul(terms.tick)
    }

    /// Starts over from nothing: what had been saved up is gone, debt stays.
    pub(crate) fn empty(&mut self) {
        self.level = self.level.min(0);
        self.rest = 0;
    }

    /// Takes over other terms of the same kind: what was spent stays spent, and more room comes only with time.
    pub(crate) fn adopt(&mut self, old: &Terms, new: &Terms) {
        let kept = self.level + new.most - old.most;
        self.level = if new.is_concurrency { kept } else { kept.min(self.level) }.max(-BOUND);
        if window_of(old) != window_of(new) || self.level >= new.most {
            self.rest = 0;
        }
    }
}

#[inline]
fn window_of(terms: &Terms) -> i64 {
    match terms.kind {
        Kind::Bucket { window } => window,
        _ => 0,
    }
}
