//! A token bucket with continuous refill.

use super::meter::Need;
use super::verdict::Wait;

/// The level is kept in units of 1/`window_us`, so that one microsecond refills exactly `amount` of them.
#[derive(Clone, Debug)]
pub(super) struct Bucket {
    amount: i128,
    window_us: i128,
    capacity: u64,
    level: i128,
    now_us: u64,
}

impl Bucket {
    pub(super) fn new(amount: u64, capacity: u64, window_us: u64) -> Self {
        let window_us = i128::from(window_us);
        let level = i128::from(capacity) * window_us;
        Self { amount: amount.into(), window_us, capacity, level, now_us: 0 }
    }

    pub(super) fn capacity(&self) -> u64 {
        self.capacity
    }

    pub(super) fn advance(&mut self, now_us: u64) {
        let elapsed = i128::from(now_us.saturating_sub(self.now_us));
        self.now_us = self.now_us.max(now_us);
        self.level = (self.level + elapsed * self.amount).min(self.brim());
    }

    pub(super) fn wait(&self, need: Need) -> Option<Wait> {
        let needed = match need {
            Need::Amount(amount) => self.scaled(amount),
            Need::Something | Need::Nothing => 1,
        };
        if needed > self.brim() {
            return Some(Wait::Never);
        }
        (needed > self.level).then(|| self.time_for(needed - self.level).map_or(Wait::Never, Wait::Us))
    }

    pub(super) fn charge(&mut self, amount: u64) {
        self.level -= self.scaled(amount);
    }

    pub(super) fn give_back(&mut self, amount: u64) {
        self.level = (self.level + self.scaled(amount)).min(self.brim());
    }

    pub(super) fn charge_refusal(&mut self) {
        self.level -= self.window_us.min(self.level.max(0));
    }

    pub(super) fn available(&self) -> i64 {
        i64::try_from(self.level.div_euclid(self.window_us)).unwrap_or(i64::MIN)
    }

    pub(super) fn full_in_us(&self) -> u64 {
        self.time_for(self.brim() - self.level).unwrap_or(u64::MAX)
    }

    fn brim(&self) -> i128 {
        self.scaled(self.capacity)
    }

    fn scaled(&self, amount: u64) -> i128 {
        i128::from(amount) * self.window_us
    }

    /// The microseconds, rounded up, that refill `missing`; none where nothing refills.
    fn time_for(&self, missing: i128) -> Option<u64> {
        let us = (missing + self.amount - 1).checked_div(self.amount)?;
        Some(u64::try_from(us).unwrap_or(u64::MAX))
    }
}
