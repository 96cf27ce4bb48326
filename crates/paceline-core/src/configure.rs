//! Live configuration: all of a change is checked, then all of it is taken over.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use crate::Name;
use crate::command::{Configuration, Outcome};
use crate::demand::MAX_AMOUNT;
use crate::hold::Entry;
use crate::lane::{Resource, ResourceSpec};
use crate::ledger::Ledger;
use crate::limit::{Lanes, Limit, LimitSpec, Member, OWN, RESOURCE, SpecError, matches};
use crate::meter::{Terms, signed};
use crate::time::NEVER;

const MAX_WEIGHT: u32 = 1_000;

impl Ledger {
    pub(crate) fn configure(&mut self, configuration: Configuration) -> Outcome {
        if let Err(error) = self.check(&configuration) {
            return Outcome::Invalid(error);
        }
        for at in 0..self.limits.len() {
            if let Some(limit) = self.limits.get_mut(at) {
                limit.bring(self.now);
            }
        }
        let Configuration { limits, resources, removed } = configuration;
        let named: BTreeSet<Name> = limits.iter().map(|limit| limit.id.clone()).collect();
        let mut affected: BTreeSet<Name> = removed.iter().cloned().collect();
        affected.extend(resources.iter().map(|resource| resource.name.clone()));
        for name in &removed {
            if let Some(resource) = self.known(name) {
                resource.gone = true;
            }
        }
        for resource in resources {
            self.set_resource(resource);
        }
        self.leave(&affected, &named);
        for limit in limits {
            self.set_limit(limit);
        }
        self.connect();
        self.connect_pauses();
        self.look_again();
        Outcome::Done
    }

    fn check(&mut self, configuration: &Configuration) -> Result<(), SpecError> {
        let mut names = BTreeSet::new();
        for resource in &configuration.resources {
            check_resource(resource)?;
            if !names.insert(&resource.name) || configuration.removed.contains(&resource.name) {
                return Err(SpecError::Duplicate { id: resource.name.clone() });
            }
        }
        let mut ids = BTreeSet::new();
        for limit in &configuration.limits {
            if !ids.insert(&limit.id) {
                return Err(SpecError::Duplicate { id: limit.id.clone() });
            }
            Terms::of(limit, u64::MAX)?;
            if self.metric(&limit.metric).is_none() {
                let id = limit.id.clone();
                return Err(SpecError::TooLarge { id, field: "metrics", value: 1_001, most: 1_000 });
            }
            self.check_members(limit, configuration, &names)?;
        }
        Ok(())
    }

    fn check_members(
        &self,
        limit: &LimitSpec,
        configuration: &Configuration,
        names: &BTreeSet<&Name>,
    ) -> Result<(), SpecError> {
        let mut seen = BTreeSet::new();
        for member in &limit.members {
            let kept = self.resource(&member.resource).is_some()
                && !configuration.removed.contains(&member.resource);
            if !kept && !names.contains(&member.resource) {
                let (id, resource) = (limit.id.clone(), member.resource.clone());
                return Err(SpecError::UnknownResource { id, resource });
            }
            if !seen.insert(&member.resource) {
                return Err(SpecError::Duplicate { id: limit.id.clone() });
            }
        }
        if limit.members.is_empty() {
            return Err(SpecError::Zero { id: limit.id.clone(), field: "members" });
        }
        Ok(())
    }

    fn known(&mut self, name: &str) -> Option<&mut Resource> {
        let number = *self.resource_names.get(name)?;
        self.resources.get_mut(number as usize)
    }

    fn set_resource(&mut self, spec: ResourceSpec) {
        if let Some(resource) = self.known(&spec.name) {
            if core::mem::replace(&mut resource.gone, false) {
                resource.pause = None;
            }
            resource.spec = spec;
            return;
        }
        let number = u32::try_from(self.resources.len()).unwrap_or(u32::MAX);
        self.resource_names.insert(spec.name.clone(), number);
        self.resources.push(Resource::new(spec));
    }

    /// Takes resources that a configuration speaks of out of the limits that it does not name.
    fn leave(&mut self, affected: &BTreeSet<Name>, named: &BTreeSet<Name>) {
        for limit in self.limits.iter_mut().filter(|limit| !named.contains(&limit.spec.id)) {
            limit.spec.members.retain(|member| !affected.contains(&member.resource));
        }
    }

    fn set_limit(&mut self, spec: LimitSpec) {
        let Some(metric) = self.metric(&spec.metric) else { return };
        let Some(number) = self.limit_names.get(&spec.id).copied() else {
            let number = u32::try_from(self.limits.len()).unwrap_or(u32::MAX);
            self.generations += 1;
            self.limit_names.insert(spec.id.clone(), number);
            if let Ok(limit) = Limit::new(spec, metric, self.generations, self.now) {
                self.limits.push(limit);
                self.distrust_new(number);
                self.take_in_flight(number);
            }
            return;
        };
        let Some(old) = self.limits.get_mut(number as usize) else { return };
        let forgotten = old.spec.members.is_empty();
        if !forgotten && old.counts_like(&spec) {
            old.spec = spec;
            let observed = old.observed.map_or(u64::MAX, |(amount, _)| amount);
            if let Ok(terms) = Terms::of(&old.spec, observed) {
                old.adopt(terms);
            }
            return;
        }
        self.generations += 1;
        let spent = if forgotten { 0 } else { (old.most() - old.left(self.now)).max(0) };
        let pause = old.pause.filter(|pause| !forgotten && pause.until > self.now.clock);
        let Ok(mut limit) = Limit::new(spec, metric, self.generations, self.now) else { return };
        limit.pause = pause;
        limit.empty_at[OWN] = pause.map_or(NEVER, |pause| pause.until);
        *old = limit;
        self.distrust_new(number);
        if let Some(limit) = self.limits.get_mut(number as usize).filter(|limit| !limit.is_concurrency()) {
            limit.charge(self.now, spent.min(limit.most()));
        }
        self.take_in_flight(number);
    }

    /// Counts the permits that are out on a concurrency limit that did not count them so far.
    fn take_in_flight(&mut self, number: u32) {
        let Some(limit) = self.limits.get_mut(number as usize).filter(|limit| limit.is_concurrency()) else {
            return;
        };
        for (_, hold) in self.holds.iter_mut() {
            let Some(resource) = self.resources.get(hold.resource as usize) else { continue };
            let lane = hold.lane.as_deref();
            let draws = |member: &Member| member.resource == resource.spec.name && member.lanes.contain(lane);
            if !limit.spec.members.iter().any(draws) {
                continue;
            }
            hold.entries.retain(|entry| entry.limit != number);
            let note = limit.reserve(self.now, signed(hold.reserved.amount(limit.metric)));
            hold.entries.push(Entry { limit: number, generation: limit.generation, note });
        }
    }

    /// Works out anew who draws on what.
    pub(crate) fn connect(&mut self) {
        self.resources.iter_mut().for_each(|resource| resource.limits.clear());
        for number in self.limit_names.values() {
            let Some(limit) = self.limits.get(*number as usize) else { continue };
            for member in &limit.spec.members {
                let resource = self.resource_names.get(&member.resource);
                let resource = resource.and_then(|number| self.resources.get_mut(*number as usize));
                if let Some(resource) = resource {
                    resource.limits.push(*number);
                }
            }
        }
        let inner: Vec<Vec<u32>> = self.limits.iter().map(|outer| self.inner_of(outer)).collect();
        for (limit, inner) in self.limits.iter_mut().zip(inner) {
            limit.inner = inner;
        }
        let lanes: Vec<_> =
            self.lanes.iter().map(|(number, lane)| (number, lane.resource, lane.name.clone())).collect();
        for (number, resource, name) in lanes {
            let draws = self.draws_of(resource, name.as_deref());
            let Some(resource) = self.resources.get(resource as usize) else { continue };
            if let Some(lane) = self.lanes.get_mut(number) {
                lane.adopt(resource, draws);
            }
        }
        let apart = self.tickets.iter().filter(|(_, ticket)| ticket.draws.is_some());
        let apart: Vec<_> =
            apart.map(|(number, ticket)| (number, ticket.lane, ticket.named.clone())).collect();
        for (number, lane, named) in apart {
            let resource = self.lanes.get(lane).map_or(u32::MAX, |lane| lane.resource);
            let draws = self.draws_of(resource, named.as_deref());
            if let Some(ticket) = self.tickets.get_mut(number) {
                ticket.draws = Some(draws);
            }
        }
    }

    /// Has the buckets of paused resources restart when the pauses end.
    fn connect_pauses(&mut self) {
        for limit in &mut self.limits {
            let first =
                limit.spec.members.first().and_then(|member| self.resource_names.get(&member.resource));
            let resource = first.and_then(|number| self.resources.get(*number as usize));
            let resource = resource.filter(|resource| limit.is_of(&resource.spec.name));
            let pause = resource.and_then(|resource| resource.pause);
            let until = pause.filter(|pause| pause.until > self.now.clock).map_or(NEVER, |pause| pause.until);
            limit.empty_at[RESOURCE] = until;
        }
    }

    /// Returns the concurrency limits of the same metric all of whose members draw on this one as well. Of two with
    /// the same members the one that comes first by name is the narrower.
    fn inner_of(&self, outer: &Limit) -> Vec<u32> {
        let slots = |limit: &Limit| limit.is_concurrency() && !limit.spec.members.is_empty();
        let inside = |inner: &Limit| {
            inner.spec.id != outer.spec.id
                && inner.metric == outer.metric
                && slots(inner)
                && covers(&outer.spec.members, &inner.spec.members)
                && (!covers(&inner.spec.members, &outer.spec.members) || inner.spec.id < outer.spec.id)
        };
        if !slots(outer) {
            return Vec::new();
        }
        // Whatever is inside has members that are the outer's too.
        let resources =
            outer.spec.members.iter().filter_map(|member| self.resource_names.get(&member.resource));
        let resources = resources.filter_map(|number| self.resources.get(*number as usize));
        let mut candidates: Vec<u32> =
            resources.flat_map(|resource| resource.limits.iter().copied()).collect();
        candidates.sort_unstable();
        candidates.dedup();
        candidates.retain(|number| self.limits.get(*number as usize).is_some_and(inside));
        candidates
    }
}

/// Returns whether all the inner members are among the outer ones.
fn covers(outer: &[Member], inner: &[Member]) -> bool {
    inner.iter().all(|inner| {
        outer.iter().any(|outer| outer.resource == inner.resource && lanes_cover(&outer.lanes, &inner.lanes))
    })
}

fn lanes_cover(outer: &Lanes, inner: &Lanes) -> bool {
    let among =
        |name: &Name, names: &[Name]| names.iter().any(|pattern| pattern == name || matches(pattern, name));
    match (outer, inner) {
        (Lanes::All, _) => true,
        (Lanes::Only(outer), Lanes::Only(inner)) => inner.iter().all(|name| among(name, outer)),
        (Lanes::Except(outer), Lanes::Except(inner)) => outer.iter().all(|name| among(name, inner)),
        (Lanes::Except(_) | Lanes::Only(_), _) => false,
    }
}

fn check_resource(resource: &ResourceSpec) -> Result<(), SpecError> {
    let id = || resource.name.clone();
    if resource.line_max == 0 {
        return Err(SpecError::Zero { id: id(), field: "line_max" });
    }
    for (at, lane) in resource.lanes.iter().enumerate() {
        if lane.weight == 0 {
            return Err(SpecError::Zero { id: id(), field: "weight" });
        }
        if lane.weight > MAX_WEIGHT {
            let (value, most) = (u64::from(lane.weight), u64::from(MAX_WEIGHT));
            return Err(SpecError::TooLarge { id: id(), field: "weight", value, most });
        }
        if lane.max_head_start > MAX_AMOUNT {
            let (value, most) = (lane.max_head_start, MAX_AMOUNT);
            return Err(SpecError::TooLarge { id: id(), field: "max_head_start", value, most });
        }
        if resource.lanes.iter().take(at).any(|other| other.name == lane.name) {
            return Err(SpecError::Duplicate { id: lane.name.clone() });
        }
    }
    Ok(())
}
