//! Meters: how much of a limit is left, when it comes back, and what a settlement may return.
//!
//! A meter knows neither lines nor holds. It is told the time, and the terms on which its limit works.

mod bucket;
mod fixed;
mod sliding;
mod terms;

pub(crate) use bucket::Bucket;
pub(crate) use fixed::Fixed;
pub(crate) use sliding::Sliding;
pub(crate) use terms::{Kind, Terms, periods, signed};

use crate::time::{Millis, NEVER, Now};

/// Beyond this no level and no count grows, in either direction: sums stay exact in a double.
pub(crate) const BOUND: i64 = 1 << 51;

/// How long a limit whose return depends on callers is at least taken to need, in milliseconds.
const MINUTE: Millis = 60_000;

/// Where a grant was counted, as its hold remembers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Note {
    /// Bucket: how often it had been full. Sliding window: the slot. Fixed window: the start of the period.
    pub(crate) at: i64,
    /// Fixed window: counted in the period before as well.
    pub(crate) before: bool,
    /// Fixed window: counted in the period after as well.
    pub(crate) after: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Meter {
    Bucket(Bucket),
    Sliding(Sliding),
    Fixed(Fixed),
}

impl Meter {
    /// Returns an untouched meter.
    pub(crate) fn new(terms: &Terms, now: Now) -> Self {
        match &terms.kind {
            Kind::Bucket { .. } => Self::Bucket(Bucket::full(terms, now)),
            Kind::Sliding { .. } => Self::Sliding(Sliding::default()),
            Kind::Fixed { boundaries, .. } => Self::Fixed(Fixed::new(boundaries, now.wall)),
        }
    }

    /// Lets time pass, and returns how much came back.
    #[inline]
    pub(crate) fn bring(&mut self, terms: &Terms, now: Now) -> i64 {
        match self {
            Self::Bucket(bucket) => bucket.bring(terms, now.clock),
            Self::Sliding(sliding) => sliding.bring(terms, now.clock),
            Self::Fixed(fixed) => fixed.bring(terms, now.wall),
        }
    }

    /// Returns what is left at the time it was brought to; below zero is debt.
    #[inline]
    pub(crate) fn left(&self, terms: &Terms, now: Now) -> i64 {
        match self {
            Self::Bucket(bucket) => bucket.level,
            Self::Sliding(sliding) => terms.amount - sliding.total,
            Self::Fixed(fixed) => terms.amount - fixed.used(terms, now.wall),
        }
    }

    /// Counts an amount, whatever is left.
    #[inline]
    pub(crate) fn charge(&mut self, terms: &Terms, now: Now, amount: i64) -> Note {
        match self {
            Self::Bucket(bucket) => bucket.charge(terms, amount),
            Self::Sliding(sliding) => sliding.charge(terms, now.clock, amount),
            Self::Fixed(fixed) => fixed.charge(terms, now.wall, amount),
        }
    }

    /// Takes back an amount from where it was counted, and returns how much of it was still there to return.
    #[inline]
    pub(crate) fn give_back(&mut self, terms: &Terms, note: Note, amount: i64) -> i64 {
        match self {
            Self::Bucket(bucket) => bucket.give_back(terms, note, amount),
            Self::Sliding(sliding) => sliding.give_back(note, amount),
            Self::Fixed(fixed) => fixed.give_back(terms, note, amount),
        }
    }

    /// Returns after what time this much is left if nothing settles.
    pub(crate) fn ready(&self, terms: &Terms, now: Now, need: i64) -> Millis {
        if need > terms.most {
            return if self.left(terms, now) >= need { 0 } else { NEVER };
        }
        match self {
            Self::Bucket(bucket) => bucket.ready(terms, now.clock, need),
            Self::Sliding(sliding) => sliding.ready(terms, now.clock, need),
            Self::Fixed(fixed) => fixed.ready(terms, now.wall, need),
        }
    }

    /// Returns after what time it would be full again if it were emptied now.
    pub(crate) fn full_by(&self, terms: &Terms, now: Now) -> Millis {
        match self {
            Self::Bucket(_) if terms.is_concurrency => MINUTE,
            Self::Bucket(bucket) => bucket.full_by(terms, now.clock),
            Self::Sliding(_) => Sliding::full_by(terms, now.clock),
            Self::Fixed(fixed) => fixed.full_by(terms, now.wall),
        }
        .max(if terms.until_settled { MINUTE } else { 0 })
    }
}
