//! One limit as a list of what happened to it: every answer goes through the list from its beginning.

use std::collections::BTreeMap;

use paceline_core::{Algorithm, Counting, LimitSpec};

use super::bucket::{Bucket, EDGE, Event, Shape, ceil, tick};
use crate::exam::ask::On;

/// The two readings of one instant, in milliseconds.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Instant {
    /// The ledger's own clock.
    pub(super) clock: i128,
    /// The store's clock, with which boundaries are compared.
    pub(super) wall: i128,
}

/// Where a grant was charged, so that what comes back of it can be put there.
#[derive(Debug, Clone, Default)]
pub(super) struct Note {
    pub(super) generation: u64,
    fills: u64,
    places: Vec<i128>,
}

/// A limit, its configuration and its history.
#[derive(Debug, Clone)]
pub(super) struct Meter {
    pub(super) spec: LimitSpec,
    pub(super) generation: u64,
    /// A smaller amount that the provider reported, and until when it holds.
    pub(super) lowered: Option<(u64, i128)>,
    /// When pauses that end will have it restart from nothing.
    pub(super) restarts: BTreeMap<On, i128>,
    begin: (i128, Shape),
    events: Vec<(i128, Event)>,
    /// What was charged, by slot or period.
    spent: Vec<(i128, i128)>,
    /// The latest instant seen on the store's clock, and the number of its period.
    pub(super) latest: (i128, i128),
}

impl Meter {
    pub(super) fn new(spec: LimitSpec, generation: u64, now: Instant) -> Self {
        let shape = Shape { amount: 1, burst: 1, window: 1 };
        let mut meter = Self {
            spec,
            generation,
            lowered: None,
            restarts: BTreeMap::new(),
            begin: (now.clock, shape),
            events: Vec::new(),
            spent: Vec::new(),
            latest: (now.wall, 0),
        };
        meter.begin.1 = meter.shape();
        meter.events.push((now.clock, Event::Begin(meter.begin.1.burst)));
        meter
    }

    pub(super) fn is_concurrency(&self) -> bool {
        self.spec.algorithm == Algorithm::Concurrency
    }

    /// Whether permits are held apart rather than charged when they are granted.
    pub(super) fn holds(&self) -> bool {
        self.is_concurrency() || self.spec.counting == Counting::UntilSettled
    }

    /// The amount in force.
    pub(super) fn amount(&self) -> i128 {
        i128::from(self.lowered.map_or(self.spec.amount, |(amount, _)| amount.min(self.spec.amount)))
    }

    /// The most that can be granted at once.
    pub(super) fn most(&self) -> i128 {
        match self.spec.algorithm {
            Algorithm::TokenBucket { .. } => self.shape().burst,
            _ => self.amount(),
        }
    }

    /// How much a grant of one costs a lane.
    pub(super) fn unit(&self) -> i128 {
        ((1 << 40) / self.amount().max(self.most())).max(1)
    }

    /// A bucket's shape in force, the transit taken off.
    pub(super) fn shape(&self) -> Shape {
        let Algorithm::TokenBucket { window, burst } = self.spec.algorithm else {
            return Shape { amount: 1, burst: 1, window: 1 };
        };
        let (amount, transit, window) = (self.amount(), i128::from(self.spec.transit), i128::from(window));
        let burst = if self.lowered.is_some() { i128::from(burst).min(amount) } else { i128::from(burst) };
        let left = burst - ceil(amount * transit, window);
        let window = if left < 1 { window + amount * transit } else { window };
        Shape { amount, burst: left.max(1), window: ceil(window, tick(window)) }
    }

    /// Says that amount or burst changed at this time; what is used stays used.
    pub(super) fn reshape(&mut self, clock: i128) {
        self.note(clock, Event::Reshape(self.shape()));
    }

    /// Adds what happened at a time that has come.
    pub(super) fn note(&mut self, clock: i128, event: Event) {
        self.events.push((clock, event));
        self.events.sort_by_key(|(clock, _)| *clock);
    }

    pub(super) fn bucket(&self, clock: i128) -> Bucket {
        let (began, shape) = self.begin;
        let mut bucket = Bucket { level: 0, fills: 0, rest: 0, shape, tick: self.tick(), at: clock };
        let mut last = began;
        for (time, event) in &self.events {
            bucket.refill(last, *time);
            last = *time;
            bucket.apply(event);
        }
        bucket.refill(last, clock);
        bucket
    }

    /// The limit as it will be when its last pause has ended, and when that is.
    fn after_pauses(&self, now: Instant) -> (Self, i128) {
        let (mut then, last) = (self.clone(), now.clock + self.pause_left(now));
        for end in self.restarts.values() {
            then.note(*end, Event::Empty);
        }
        if let Some((_, until)) = self.lowered.filter(|(_, until)| *until <= last) {
            then.lowered = None;
            then.reshape(until);
        }
        (then, last)
    }

    fn tick(&self) -> i128 {
        match self.spec.algorithm {
            Algorithm::TokenBucket { window, .. } | Algorithm::SlidingWindow { window, .. } => {
                tick(window.into())
            }
            _ => 1,
        }
    }

    /// What is there after `wait`, if nothing settles until then.
    pub(super) fn available(&self, now: Instant, wait: i128, held: i128) -> i128 {
        let (clock, wall) = (now.clock + wait, now.wall + wait);
        let left = match &self.spec.algorithm {
            Algorithm::TokenBucket { .. } => self.bucket(clock).level,
            Algorithm::SlidingWindow { .. } => {
                let counts = self.spent.iter().filter(|(slot, _)| self.leaves(*slot) > clock);
                self.amount() - counts.map(|(_, amount)| amount).sum::<i128>()
            }
            Algorithm::FixedWindow { .. } => {
                let counts = self.periods(wall).into_iter().map(|period| self.count(period));
                self.amount() - counts.max().unwrap_or(0)
            }
            Algorithm::Concurrency => self.amount(),
        };
        left.clamp(-EDGE, EDGE) - if self.holds() { held } else { 0 }
    }

    /// After what time this much is there, if nothing settles; `None` where that takes a release.
    pub(super) fn ready_in(&self, now: Instant, need: i128, held: i128) -> Option<i128> {
        let mut instants = vec![0];
        match &self.spec.algorithm {
            Algorithm::TokenBucket { .. } => {
                let level = need + if self.holds() { held } else { 0 };
                let (then, last) = self.after_pauses(now);
                return then.bucket(last).time_until(level, now.clock);
            }
            Algorithm::SlidingWindow { .. } => {
                instants.extend(self.spent.iter().map(|(slot, _)| self.leaves(*slot) - now.clock));
            }
            Algorithm::FixedWindow { .. } => {
                let (mut at, margin) = (self.latest.0.max(now.wall), self.margin());
                instants.extend(self.start(at).map(|start| start + margin - now.wall));
                for _ in 0..3 {
                    let Some(end) = self.end(at) else { break };
                    instants.extend([end - now.wall, end + margin - now.wall]);
                    at = end;
                }
            }
            Algorithm::Concurrency => {
                let (then, last) = self.after_pauses(now);
                return (then.amount() - held >= need).then_some(last - now.clock);
            }
        }
        instants.retain(|wait| *wait >= 0);
        instants.sort_unstable();
        instants.into_iter().find(|wait| self.available(now, *wait, held) >= need)
    }

    /// After what time it would be full again if it were emptied now; `None` for never.
    pub(super) fn full_by(&self, now: Instant) -> Option<i128> {
        let full = match &self.spec.algorithm {
            Algorithm::TokenBucket { .. } => {
                let mut bucket = self.bucket(now.clock);
                bucket.level = bucket.level.min(0);
                bucket.time_until(bucket.shape.burst, now.clock)
            }
            Algorithm::SlidingWindow { .. } => Some(self.leaves(self.slot(now.clock)) - now.clock),
            Algorithm::FixedWindow { .. } => {
                let (mut at, margin) = (self.latest.0.max(now.wall), self.margin());
                if margin > 0 && self.end(at).is_some_and(|end| end - margin <= now.wall) {
                    at = self.end(at).unwrap_or(at);
                }
                self.end(at).map(|end| end + margin - now.wall)
            }
            Algorithm::Concurrency => Some(0),
        };
        let full = full.map(|full| if self.holds() { full.max(60_000) } else { full });
        full.map(|full| full + self.pause_left(now))
    }

    /// How long the last pause of it lasts that has an end.
    fn pause_left(&self, now: Instant) -> i128 {
        self.restarts.values().max().map_or(0, |end| end - now.clock)
    }

    /// Takes an amount now, and says where.
    pub(super) fn charge(&mut self, now: Instant, amount: i128) -> Note {
        let places = match &self.spec.algorithm {
            Algorithm::SlidingWindow { .. } => vec![self.slot(now.clock)],
            Algorithm::FixedWindow { .. } => self.periods(now.wall),
            _ => Vec::new(),
        };
        self.spent.extend(places.iter().map(|place| (*place, amount)));
        self.events.push((now.clock, Event::Charge(amount)));
        Note { generation: self.generation, fills: self.bucket(now.clock).fills, places }
    }

    /// Puts back what a grant took and did not use; returns how much of that there was to put back.
    pub(super) fn put_back(&mut self, now: Instant, note: &Note, amount: i128) -> i128 {
        let kept: Vec<i128> = match &self.spec.algorithm {
            Algorithm::TokenBucket { .. } => {
                let before = self.bucket(now.clock);
                if before.fills != note.fills {
                    return 0;
                }
                self.events.push((now.clock, Event::Return(amount)));
                return self.bucket(now.clock).level - before.level;
            }
            Algorithm::SlidingWindow { .. } => {
                note.places.iter().copied().filter(|slot| self.leaves(*slot) > now.clock).collect()
            }
            _ => note.places.iter().copied().filter(|period| *period >= self.latest.1 - 1).collect(),
        };
        self.spent.extend(kept.iter().map(|place| (*place, -amount)));
        if kept.is_empty() { 0 } else { amount }
    }

    /// Charges so much that at most this is left.
    pub(super) fn leave_at_most(&mut self, now: Instant, remaining: i128) {
        match &self.spec.algorithm {
            Algorithm::TokenBucket { .. } => self.events.push((now.clock, Event::AtMost(remaining))),
            Algorithm::Concurrency => {}
            Algorithm::SlidingWindow { .. } => {
                let more = self.available(now, 0, 0) - remaining;
                self.spent.push((self.slot(now.clock), more.max(0)));
            }
            Algorithm::FixedWindow { .. } => {
                let more = self.available(now, 0, 0) - remaining;
                self.charge(now, more.max(0));
            }
        }
    }

    /// Follows the store's clock, forwards only.
    pub(super) fn roll(&mut self, wall: i128) {
        self.latest = (self.latest.0.max(wall), *self.periods(wall).first().unwrap_or(&self.latest.1));
    }

    /// What a period counts.
    fn count(&self, period: i128) -> i128 {
        let mut counts = BTreeMap::new();
        for (place, amount) in &self.spent {
            *counts.entry(*place).or_insert(0) += amount;
        }
        counts.get(&period).copied().unwrap_or(0)
    }

    /// The length of a sliding window's slot and of the window, in ticks.
    fn slots(&self) -> (i128, i128) {
        let Algorithm::SlidingWindow { window, slots } = self.spec.algorithm else { return (1, 1) };
        let window = ceil(window.into(), self.tick());
        (ceil(window, slots.into()), window)
    }

    fn slot(&self, clock: i128) -> i128 {
        clock.div_euclid(self.tick()).div_euclid(self.slots().0)
    }

    fn leaves(&self, slot: i128) -> i128 {
        let (length, window) = self.slots();
        let transit = ceil(self.spec.transit.into(), self.tick());
        (slot * length + window + length + transit) * self.tick()
    }
}
