//! A limit at work: its meter, what is held apart, its pause and what the provider reported of it.

use super::{Algorithm, Boundaries, LimitSpec, SpecError};
use crate::Name;
use crate::demand::Metric;
use crate::meter::{BOUND, Kind, Meter, Note, Terms};
use crate::time::{Millis, NEVER, Now};

/// How long a smaller amount that a provider reported holds, in milliseconds.
const OBSERVED_FOR: Millis = 3_600_000;

/// Which pause it is that a bucket restarts after: that of the limit, or that of its resource.
pub(crate) const OWN: usize = 0;
pub(crate) const RESOURCE: usize = 1;

/// A pause in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pause {
    /// When it ends, by the ledger's clock.
    pub(crate) until: Millis,
    /// Whether callers are refused rather than let wait.
    pub(crate) refuse: bool,
}

impl Pause {
    /// Returns what is left of it, 0 where it is over.
    #[inline]
    pub(crate) fn left(pause: Option<Self>, clock: Millis) -> Millis {
        match pause {
            Some(Self { until: NEVER, .. }) => NEVER,
            Some(Self { until, .. }) => until.saturating_sub(clock),
            None => 0,
        }
    }

    /// Returns the pause that is in force once another is asked for: the one that ends later.
    pub(crate) fn later(self, asked: Self) -> Self {
        if asked.until >= self.until { asked } else { self }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Limit {
    pub(crate) spec: LimitSpec,
    pub(crate) metric: Metric,
    /// From one counter of the ledger: what was counted under another generation is not returned to this one.
    pub(crate) generation: u64,
    pub(crate) terms: Terms,
    pub(crate) meter: Meter,
    /// What is reserved and not settled, where that is held apart.
    pub(crate) held: i64,
    /// What one of its metric costs a lane in virtual time.
    pub(crate) unit: u64,
    pub(crate) pause: Option<Pause>,
    /// When its bucket restarts empty, by the ledger's clock: when its own pause ends, and when that of the one resource
    /// does that draws on it.
    pub(crate) empty_at: [Millis; 2],
    /// The smaller amount that the provider reported, and when it is forgotten.
    pub(crate) observed: Option<(u64, Millis)>,
    pub(crate) came_back: u64,
    /// The time up to which all of this is true.
    pub(crate) brought_to: Now,
    /// The narrower concurrency limits of the same metric all of whose members draw on this one.
    pub(crate) inner: alloc::vec::Vec<u32>,
    /// What is set aside in the walk of this number.
    pub(crate) aside: (u64, i64),
}

impl Limit {
    pub(crate) fn new(spec: LimitSpec, metric: Metric, generation: u64, now: Now) -> Result<Self, SpecError> {
        let terms = Terms::of(&spec, u64::MAX)?;
        let meter = Meter::new(&terms, now);
        let unit = unit_of(&terms);
        Ok(Self {
            spec,
            metric,
            generation,
            terms,
            meter,
            held: 0,
            unit,
            pause: None,
            empty_at: [NEVER; 2],
            observed: None,
            came_back: 0,
            brought_to: now,
            inner: alloc::vec::Vec::new(),
            aside: (0, 0),
        })
    }

    /// Lets time pass: refills, ends what a pause or a report of the provider had changed.
    #[inline]
    pub(crate) fn bring(&mut self, now: Now) {
        if self.brought_to != now {
            self.bring_on(now);
        }
    }

    fn bring_on(&mut self, now: Now) {
        self.brought_to = now;
        if self.empty_at != [NEVER; 2] || self.observed.is_some() {
            self.bring_past_events(now);
        }
        let back = self.meter.bring(&self.terms, now);
        self.came_back = (self.came_back + back.unsigned_abs()) % (1 << 52);
    }

    fn bring_past_events(&mut self, now: Now) {
        while let Some(at) = self.next_event()
            && at <= now.clock
        {
            let then = Now { clock: at, ..now };
            let back = self.meter.bring(&self.terms, then);
            self.came_back = (self.came_back + back.unsigned_abs()) % (1 << 52);
            if self.empty_at.contains(&at) {
                self.empty(at);
            }
            if self.observed.is_some_and(|(_, until)| until == at) {
                self.observe_amount(None);
            }
        }
    }

    fn next_event(&self) -> Option<Millis> {
        let forget = self.observed.map_or(NEVER, |(_, until)| until);
        let [own, resource] = self.empty_at;
        let event = own.min(resource).min(forget);
        (event != NEVER).then_some(event)
    }

    /// Has the bucket restart from nothing, now or later, for its own pause or that of its resource.
    pub(crate) fn restart_empty(&mut self, now: Now, whose: usize, at: Millis) {
        self.bring(now);
        if let Some(empty_at) = self.empty_at.get_mut(whose) {
            *empty_at = at;
        }
        self.bring_on(now);
    }

    fn empty(&mut self, at: Millis) {
        self.empty_at = self.empty_at.map(|empty_at| if empty_at == at { NEVER } else { empty_at });
        if let Meter::Bucket(bucket) = &mut self.meter
            && !self.terms.is_concurrency
        {
            bucket.empty();
        }
    }

    /// Returns when its bucket restarts empty for the last time, if it does.
    fn last_empty(&self) -> Option<Millis> {
        self.empty_at.into_iter().filter(|at| *at != NEVER).max()
    }

    /// Returns whether the configuration knows it: one without members was removed.
    pub(crate) fn is_known(&self) -> bool {
        !self.spec.members.is_empty()
    }

    /// Returns whether one resource alone draws on it: this one.
    pub(crate) fn is_of(&self, resource: &Name) -> bool {
        self.spec.members.iter().all(|member| member.resource == *resource)
    }

    /// Returns what can be granted; below zero is debt.
    #[inline]
    pub(crate) fn left(&self, now: Now) -> i64 {
        self.meter.left(&self.terms, now) - self.held
    }

    #[inline]
    pub(crate) fn aside(&self, walk: u64) -> i64 {
        if self.aside.0 == walk { self.aside.1 } else { 0 }
    }

    pub(crate) fn set_aside(&mut self, walk: u64, amount: i64) {
        self.aside = (walk, (self.aside(walk) + amount).min(BOUND));
    }

    /// Returns the most that it can ever grant at once.
    #[inline]
    pub(crate) fn most(&self) -> i64 {
        self.terms.most
    }

    #[inline]
    pub(crate) fn is_concurrency(&self) -> bool {
        self.terms.is_concurrency
    }

    /// Returns after what time it covers a demand if nothing settles; [`NEVER`] where that takes a settlement.
    pub(crate) fn ready(&self, now: Now, demand: i64) -> Millis {
        let need = demand + self.held;
        if let Some(last) = self.last_empty()
            && matches!(self.meter, Meter::Bucket(_))
        {
            let mut then = self.clone();
            let at = Now { clock: last, ..now };
            then.bring(at);
            return then.meter.ready(&then.terms, at, need).saturating_add(last.saturating_sub(now.clock));
        }
        self.meter.ready(&self.terms, now, need)
    }

    /// Returns after what time its own amount is in force again; [`NEVER`] where it is.
    pub(crate) fn changes_in(&self, now: Now) -> Millis {
        self.observed.map_or(NEVER, |(_, until)| until.saturating_sub(now.clock))
    }

    /// Returns after what time it would be full if it were emptied now.
    pub(crate) fn full_by(&self, now: Now) -> Millis {
        let paused = self.last_empty().map_or(0, |last| last.saturating_sub(now.clock));
        self.meter.full_by(&self.terms, now).saturating_add(paused)
    }

    /// Counts a grant.
    #[inline]
    pub(crate) fn reserve(&mut self, now: Now, amount: i64) -> Note {
        if self.terms.until_settled {
            self.held = (self.held + amount).min(BOUND);
            return Note::default();
        }
        self.meter.charge(&self.terms, now, amount)
    }

    #[inline]
    pub(crate) fn charge(&mut self, now: Now, amount: i64) {
        self.meter.charge(&self.terms, now, amount);
    }

    /// Takes over what the provider says is left.
    pub(crate) fn observe_left(&mut self, now: Now, remaining: i64) {
        let above = self.meter.left(&self.terms, now) - remaining;
        if above > 0 && !self.is_concurrency() {
            self.meter.charge(&self.terms, now, above);
        }
    }

    /// Takes over the amount that the provider says there is, or forgets what it said.
    pub(crate) fn observe_amount(&mut self, observed: Option<(u64, Millis)>) {
        self.observed = observed.map(|(amount, clock)| (amount, clock.saturating_add(OBSERVED_FOR)));
        let amount = self.observed.map_or(u64::MAX, |(amount, _)| amount);
        if let Ok(terms) = Terms::of(&self.spec, amount) {
            self.adopt(terms);
        }
    }

    /// Takes over other amounts, counted on as before.
    pub(crate) fn adopt(&mut self, terms: Terms) {
        if let Meter::Bucket(bucket) = &mut self.meter {
            bucket.adopt(&self.terms, &terms);
        }
        if let (Meter::Fixed(fixed), Kind::Fixed { boundaries, .. }) = (&mut self.meter, &terms.kind) {
            fixed.adopt(boundaries, self.brought_to.wall);
        }
        self.adopt_terms(terms);
    }

    /// Takes over terms under which what was counted stays as it is.
    pub(crate) fn adopt_terms(&mut self, terms: Terms) {
        self.unit = unit_of(&terms);
        self.terms = terms;
    }

    /// Returns whether another specification counts in the same way, so that what was counted stays.
    pub(crate) fn counts_like(&self, other: &LimitSpec) -> bool {
        let same = match (&self.spec.algorithm, &other.algorithm) {
            (Algorithm::TokenBucket { window: a, .. }, Algorithm::TokenBucket { window: b, .. }) => a == b,
            (
                Algorithm::SlidingWindow { window: a, slots: m },
                Algorithm::SlidingWindow { window: b, slots: n },
            ) => a == b && m == n,
            (Algorithm::FixedWindow { boundaries: a, .. }, Algorithm::FixedWindow { boundaries: b, .. }) => {
                match (a, b) {
                    (Boundaries::At(_), Boundaries::At(_)) => true,
                    _ => a == b,
                }
            }
            (Algorithm::Concurrency, Algorithm::Concurrency) => true,
            _ => false,
        };
        same && self.spec.metric == other.metric && self.spec.counting == other.counting
    }

    /// Returns the length of the window or period in milliseconds, 0 for concurrency.
    pub(crate) fn window(&self) -> Millis {
        match &self.spec.algorithm {
            Algorithm::TokenBucket { window, .. } | Algorithm::SlidingWindow { window, .. } => *window,
            Algorithm::FixedWindow { boundaries: Boundaries::Every { period, .. }, .. } => *period,
            Algorithm::FixedWindow { boundaries: Boundaries::At(_), .. } => {
                match (&self.meter, &self.terms.kind) {
                    (Meter::Fixed(fixed), Kind::Fixed { boundaries, .. }) => {
                        let end = crate::meter::periods::end(boundaries, fixed.start);
                        end.map_or(NEVER, |end| end.abs_diff(fixed.start))
                    }
                    _ => 0,
                }
            }
            Algorithm::Concurrency => 0,
        }
    }
}

fn unit_of(terms: &Terms) -> u64 {
    ((1 << 40) / terms.amount.max(terms.most).unsigned_abs().max(1)).max(1)
}
