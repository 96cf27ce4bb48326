//! Configuration, pauses, and what a provider reports.

use std::collections::BTreeSet;

use paceline_core::{
    Algorithm, Boundaries, Configuration, Counting, LimitSpec, MAX_AMOUNT, Millis, Name, Refusal, SpecError,
};

use super::bucket::Event;
use super::meter::Meter;
use super::{Model, Pause};
use crate::exam::ask::{Answer, On};

const HOUR: i128 = 3_600_000;
const DAY: Millis = 86_400_000;

impl Model {
    pub(super) fn configure(&mut self, configuration: &Configuration) -> Answer {
        if let Err(error) = self.check(configuration) {
            return Answer::Invalid(error);
        }
        let mut named: BTreeSet<&str> = configuration.removed.iter().map(|name| &**name).collect();
        for name in &configuration.removed {
            self.removed.extend(self.resources.remove_entry(&**name));
        }
        for resource in &configuration.resources {
            named.insert(&resource.name);
            let on = On::Resource(resource.name.to_string());
            if self.resources.insert(resource.name.to_string(), resource.clone()).is_none() {
                self.pauses.remove(&on);
            }
            self.known.insert(on);
        }
        for limit in self.limits.values_mut() {
            limit.spec.members.retain(|member| !named.contains(&*member.resource));
        }
        for limit in &configuration.limits {
            self.change(limit);
        }
        self.limits.retain(|_, limit| !limit.spec.members.is_empty());
        let limits: BTreeSet<&String> = self.limits.keys().collect();
        self.pauses.retain(|on, _| {
            matches!(on, On::Resource(_)) || matches!(on, On::Limit(name) if limits.contains(name))
        });
        self.schedule();
        self.mark();
        Answer::Done
    }

    fn change(&mut self, spec: &LimitSpec) {
        let (name, now) = (spec.id.to_string(), self.now);
        self.known.insert(On::Limit(name.clone()));
        let held = self.held(&name);
        match self.limits.get_mut(&name) {
            Some(old) if same_generation(&old.spec, spec) => {
                old.spec = spec.clone();
                old.reshape(now.clock);
                old.roll(now.wall);
                return;
            }
            _ => self.generations += 1,
        }
        let mut meter = Meter::new(spec.clone(), self.generations, now);
        if let Some(old) = self.limits.get(&name).filter(|_| !meter.is_concurrency()) {
            let used = (old.most() - old.available(now, 0, held)).clamp(0, meter.most());
            meter.charge(now, used);
        }
        if meter.is_concurrency() {
            for hold in &mut self.holds {
                let mut members = spec.members.iter().filter(|member| *member.resource == *hold.resource);
                if members.any(|member| member.lanes.contain(hold.named.as_deref())) {
                    hold.notes.insert(name.clone(), meter.charge(now, 0));
                }
            }
        }
        self.limits.insert(name, meter);
    }

    fn check(&self, configuration: &Configuration) -> Result<(), SpecError> {
        let mut names = BTreeSet::new();
        for resource in &configuration.resources {
            positive(&resource.name, "line_max", resource.line_max.into())?;
            let mut lanes = BTreeSet::new();
            for lane in &resource.lanes {
                if !lanes.insert(&lane.name) {
                    return Err(SpecError::Duplicate { id: lane.name.clone() });
                }
                positive(&resource.name, "weight", lane.weight.into())?;
                at_most(&resource.name, "weight", lane.weight.into(), 1_000)?;
            }
            if !names.insert(&resource.name) || configuration.removed.contains(&resource.name) {
                return Err(SpecError::Duplicate { id: resource.name.clone() });
            }
        }
        let mut names = BTreeSet::new();
        for limit in &configuration.limits {
            if !names.insert(&limit.id) {
                return Err(SpecError::Duplicate { id: limit.id.clone() });
            }
            check_limit(limit)?;
            let mut members = BTreeSet::new();
            for member in &limit.members {
                let here = configuration.resources.iter().any(|resource| resource.name == member.resource);
                let there = self.resources.contains_key(&*member.resource)
                    && !configuration.removed.contains(&member.resource);
                if !here && !there {
                    let resource = member.resource.clone();
                    return Err(SpecError::UnknownResource { id: limit.id.clone(), resource });
                }
                if !members.insert(&member.resource) {
                    return Err(SpecError::Duplicate { id: limit.id.clone() });
                }
            }
            positive(&limit.id, "members", limit.members.len() as u64)?;
        }
        Ok(())
    }

    pub(super) fn observe(&mut self, name: &str, remaining: Option<u64>, amount: Option<u64>) -> Answer {
        let now = self.now;
        let gone = self.gone(&On::Limit(name.into()));
        let Some(limit) = self.limits.get_mut(name) else { return gone };
        let mut lower = false;
        if let Some(amount) = amount.filter(|amount| *amount > 0) {
            lower = amount < limit.spec.amount;
            limit.lowered = lower.then_some((amount, now.clock + HOUR));
            limit.reshape(now.clock);
        }
        if let Some(remaining) = remaining {
            limit.leave_at_most(now, remaining.into());
        }
        if lower {
            self.mark();
        }
        Answer::Done
    }

    /// Ends what providers reported an hour ago.
    pub(super) fn end_lowered(&mut self) {
        for limit in self.limits.values_mut() {
            if let Some((_, until)) = limit.lowered.filter(|(_, until)| *until <= self.now.clock) {
                limit.lowered = None;
                limit.reshape(until);
            }
        }
    }

    pub(super) fn pause(&mut self, on: &On, lasting: Option<Millis>, refuse: bool) -> Answer {
        if !self.exists(on) {
            if refuse && self.known.contains(on) {
                self.mark();
            }
            return self.gone(on);
        }
        let ends = lasting.map(|lasting| self.now.clock + i128::from(lasting));
        let sooner = self.pauses.get(on).is_some_and(|pause| match (ends, pause.ends) {
            (_, None) => ends.is_some(),
            (None, Some(_)) => false,
            (Some(ends), Some(before)) => ends < before,
        });
        if !sooner {
            self.pauses.insert(on.clone(), Pause { ends, refuse });
            self.end_pauses();
        }
        if refuse {
            self.mark();
        }
        Answer::Done
    }

    pub(super) fn resume(&mut self, on: &On) -> Answer {
        if !self.exists(on) {
            return self.gone(on);
        }
        if self.pauses.remove(on).is_some() {
            self.empty(on, self.now.clock);
            self.schedule();
        }
        Answer::Done
    }

    /// What is said to a name that is no more, or never was.
    fn gone(&self, on: &On) -> Answer {
        if self.known.contains(on) { Answer::Done } else { Answer::Refused(Refusal::NoResource) }
    }

    fn exists(&self, on: &On) -> bool {
        match on {
            On::Resource(_) => self.known.contains(on),
            On::Limit(name) => self.limits.contains_key(name),
        }
    }

    /// Ends the pauses whose time has come.
    pub(super) fn end_pauses(&mut self) {
        let over = |pause: &Pause| pause.ends.filter(|ends| *ends <= self.now.clock);
        let over: Vec<(On, i128)> =
            self.pauses.iter().filter_map(|(on, pause)| Some((on.clone(), over(pause)?))).collect();
        for (on, ends) in over {
            self.pauses.remove(&on);
            self.empty(&on, ends);
        }
        self.schedule();
    }

    /// Notes at each bucket which pauses will empty it.
    fn schedule(&mut self) {
        for (name, limit) in &mut self.limits {
            let pauses = self.pauses.iter().filter(|(on, _)| concerns(on, name, limit));
            limit.restarts = pauses.filter_map(|(on, pause)| Some((on.clone(), pause.ends?))).collect();
        }
    }

    fn empty(&mut self, on: &On, clock: i128) {
        for (name, limit) in &mut self.limits {
            if concerns(on, name, limit) {
                limit.note(clock, Event::Empty);
            }
        }
    }
}

/// Whether the end of a pause empties this bucket: nobody but the paused may draw on it.
fn concerns(on: &On, name: &str, limit: &Meter) -> bool {
    match on {
        On::Limit(paused) => paused == name,
        On::Resource(paused) => limit.spec.members.iter().all(|member| *member.resource == **paused),
    }
}

fn same_generation(old: &LimitSpec, new: &LimitSpec) -> bool {
    let algorithm = match (&old.algorithm, &new.algorithm) {
        (Algorithm::TokenBucket { window: old, .. }, Algorithm::TokenBucket { window: new, .. }) => {
            old == new
        }
        (Algorithm::FixedWindow { boundaries: old, .. }, Algorithm::FixedWindow { boundaries: new, .. }) => {
            match (old, new) {
                (Boundaries::Every { .. }, Boundaries::Every { .. }) => old == new,
                (Boundaries::At(_), Boundaries::At(_)) => true,
                _ => false,
            }
        }
        (old, new) => old == new,
    };
    algorithm && old.metric == new.metric && old.counting == new.counting
}

fn positive(id: &Name, field: &'static str, value: u64) -> Result<(), SpecError> {
    if value > 0 { Ok(()) } else { Err(SpecError::Zero { id: id.clone(), field }) }
}

fn at_most(id: &Name, field: &'static str, value: u64, most: u64) -> Result<(), SpecError> {
    if value <= most { Ok(()) } else { Err(SpecError::TooLarge { id: id.clone(), field, value, most }) }
}

fn check_limit(limit: &LimitSpec) -> Result<(), SpecError> {
    let id = &limit.id;
    let longest = 90_000_000_000;
    positive(id, "amount", limit.amount)?;
    at_most(id, "amount", limit.amount, MAX_AMOUNT)?;
    match &limit.algorithm {
        Algorithm::TokenBucket { window, burst } => {
            positive(id, "window", *window)?;
            at_most(id, "window", *window, longest)?;
            positive(id, "burst", *burst)?;
            at_most(id, "burst", *burst, MAX_AMOUNT)?;
            let (amount, window, transit) =
                (u128::from(limit.amount), u128::from(*window), u128::from(limit.transit));
            let cut = (amount * transit).div_ceil(window);
            let grown = window + amount * transit;
            let ticks = grown.div_ceil(if grown > DAY.into() { 1_000 } else { 1 });
            if u128::from(*burst) < cut + 1 && ticks > 90_000_000 {
                let least = u64::try_from(cut + 1).unwrap_or(u64::MAX);
                return Err(SpecError::BurstTooSmall { id: id.clone(), burst: *burst, least });
            }
        }
        Algorithm::SlidingWindow { window, slots } => {
            positive(id, "window", *window)?;
            at_most(id, "window", *window, longest)?;
            positive(id, "slots", (*slots).into())?;
            at_most(id, "slots", (*slots).into(), 1_000)?;
        }
        Algorithm::FixedWindow { boundaries: Boundaries::Every { period, .. }, .. } => {
            positive(id, "period", *period)?;
            at_most(id, "period", *period, longest)?;
        }
        Algorithm::FixedWindow { boundaries: Boundaries::At(times), .. } => {
            positive(id, "boundaries", times.len() as u64)?;
            if times.iter().zip(times.iter().skip(1)).any(|(one, next)| one >= next) {
                return Err(SpecError::NotAscending { id: id.clone() });
            }
        }
        Algorithm::Concurrency => {
            if limit.counting == Counting::UntilSettled {
                return Err(SpecError::Contradiction { id: id.clone(), field: "counting" });
            }
        }
    }
    Ok(())
}
