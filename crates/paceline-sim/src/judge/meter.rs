//! The state of one limit. Integers only: a replay in virtual time must not be refused by a rounding error.

use super::bucket::Bucket;
use super::limit::{Algorithm, Limit};
use super::log::SlidingLog;
use super::verdict::Wait;
use super::window::{FixedWindow, InFlight};

/// What a call asks of one limit before it may start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// The call does not touch this limit.
    Nothing,
    /// Nothing is charged yet, but something must be left: output is counted as it is produced.
    Something,
    /// So much must be there, and is charged.
    Amount(u64),
}

impl Need {
    /// The least whole amount that must be free.
    pub(super) fn whole(self) -> u64 {
        match self {
            Self::Nothing => 0,
            Self::Something => 1,
            Self::Amount(amount) => amount,
        }
    }
}

/// The four ways a limit comes back.
#[derive(Clone, Debug)]
pub(super) enum Meter {
    Bucket(Bucket),
    Window(FixedWindow),
    Log(SlidingLog),
    InFlight(InFlight),
}

impl Meter {
    /// Starts a limit unused. `phase_us` is the drawn phase, for a fixed window that names none.
    pub(super) fn new(limit: &Limit, phase_us: u64) -> Self {
        let window_us = limit.window_us();
        match limit.algorithm {
            Algorithm::TokenBucket { capacity } => {
                Self::Bucket(Bucket::new(limit.amount, capacity, window_us))
            }
            Algorithm::FixedWindow { phase_ms } => {
                let phase_us = phase_ms.map_or(phase_us, |ms| ms.saturating_mul(1_000));
                Self::Window(FixedWindow::new(limit.amount, window_us, phase_us))
            }
            Algorithm::SlidingLog => Self::Log(SlidingLog::new(limit.amount, window_us)),
            Algorithm::Concurrency => Self::InFlight(InFlight::new(limit.amount)),
        }
    }

    /// Brings the limit up to date; time never goes back.
    pub(super) fn advance(&mut self, now_us: u64) {
        match self {
            Self::Bucket(bucket) => bucket.advance(now_us),
            Self::Window(window) => window.advance(now_us),
            Self::Log(log) => log.advance(now_us),
            Self::InFlight(_) => {}
        }
    }

    /// Returns how long the need must wait, if it must.
    pub(super) fn wait(&self, need: Need) -> Option<Wait> {
        match self {
            _ if need == Need::Nothing => None,
            Self::Bucket(bucket) => bucket.wait(need),
            Self::Window(window) => window.wait(need.whole()),
            Self::Log(log) => log.wait(need.whole()),
            Self::InFlight(in_flight) => in_flight.wait(need.whole()),
        }
    }

    /// Charges a call and returns the stamp that a later return needs.
    pub(super) fn charge(&mut self, call: u64, amount: u64) -> u64 {
        match self {
            Self::Bucket(bucket) => bucket.charge(amount),
            Self::Window(window) => window.charge(amount),
            Self::Log(log) => log.charge(call, amount),
            Self::InFlight(in_flight) => in_flight.charge(amount),
        }
        match self {
            Self::Window(window) => window.period(),
            _ => 0,
        }
    }

    /// Gives back what is still counted of a call's charge.
    pub(super) fn give_back(&mut self, call: u64, stamp: u64, amount: u64) {
        match self {
            Self::Bucket(bucket) => bucket.give_back(amount),
            Self::Window(window) => window.give_back(stamp, amount),
            Self::Log(log) => log.give_back(call, amount),
            Self::InFlight(in_flight) => in_flight.give_back(amount),
        }
    }

    /// Takes one for a refused call, as far as something is left.
    pub(super) fn charge_refusal(&mut self, call: u64) {
        match self {
            Self::Bucket(bucket) => bucket.charge_refusal(),
            Self::InFlight(_) => {}
            _ if self.available() > 0 => {
                self.charge(call, 1);
            }
            _ => {}
        }
    }

    /// Returns what is left in whole units; below zero is debt.
    pub(super) fn available(&self) -> i64 {
        match self {
            Self::Bucket(bucket) => bucket.available(),
            Self::Window(window) => window.available(),
            Self::Log(log) => log.available(),
            Self::InFlight(in_flight) => in_flight.available(),
        }
    }

    /// Returns the most that could be available.
    pub(super) fn capacity(&self) -> u64 {
        match self {
            Self::Bucket(bucket) => bucket.capacity(),
            Self::Window(window) => window.amount(),
            Self::Log(log) => log.amount(),
            Self::InFlight(in_flight) => in_flight.amount(),
        }
    }

    /// Returns the microseconds until all is back if nothing more is charged; 0 where time does not bring it back.
    pub(super) fn full_in_us(&self) -> u64 {
        match self {
            Self::Bucket(bucket) => bucket.full_in_us(),
            Self::Window(window) => window.full_in_us(),
            Self::Log(log) => log.full_in_us(),
            Self::InFlight(_) => 0,
        }
    }
}

/// Returns `amount − used`, saturating at the ends of `i64`.
pub(super) fn left(amount: u64, used: u64) -> i64 {
    let left = i128::from(amount) - i128::from(used);
    i64::try_from(left).unwrap_or(if left < 0 { i64::MIN } else { i64::MAX })
}
