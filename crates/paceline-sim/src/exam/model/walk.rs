//! Who goes when: order, the grant rule with what is set aside, and the next wake-up.

use std::collections::{BTreeMap, BTreeSet};

use paceline_core::{Decision, Lanes, LimitSpec, Millis, NEVER, Name, TicketId, Verdict};

use super::refuse::within;
use super::{Hold, Lane, Model, Ticket};
use crate::exam::ask::{On, Wants};

/// What is set aside on each limit for heads that could not go.
type Aside = BTreeMap<String, i128>;

impl Model {
    /// Lets the heads go that may, and says whether `own` was among them.
    pub(super) fn walk(&mut self, own: Option<TicketId>) -> bool {
        let (mut aside, mut closed, mut went) = (Aside::new(), BTreeSet::new(), false);
        'changed: loop {
            for head in self.heads(&closed) {
                let refusal = self.doom(&head);
                let hopeless = self.is_dead(head.id.session) || refusal.is_some();
                if self.grants_left == 0 || (hopeless && self.looks_left == 0) {
                    self.more = true;
                    return went;
                }
                if hopeless {
                    self.looks_left -= 1;
                    match refusal.filter(|_| !self.is_dead(head.id.session)) {
                        Some(refusal) => self.refuse(&head, refusal),
                        None => self.tickets.retain(|ticket| ticket.id != head.id),
                    }
                    continue 'changed;
                }
                if self.goes(&head, &aside) {
                    went |= Some(head.id) == own;
                    self.grant(&head, Some(head.id) == own);
                    continue 'changed;
                }
                self.set_aside(&head, &mut aside);
                closed.insert(head.lane);
            }
            return went;
        }
    }

    /// After what time something may happen without a command.
    pub(super) fn due(&self) -> Option<i128> {
        if self.more || self.sweep.is_some() || !self.dead.is_empty() || !self.due_sessions().is_empty() {
            return Some(0);
        }
        let (mut aside, mut due) = (Aside::new(), self.session_due());
        for head in self.heads(&BTreeSet::new()) {
            if let Some(time) = self.goes_in(&head, &aside) {
                due = Some(due.map_or(time, |due: i128| due.min(time)));
            }
            self.set_aside(&head, &mut aside);
        }
        due
    }

    /// The first ticket of each lane that is not closed, in the order in which they have their turn.
    fn heads(&self, closed: &BTreeSet<Lane>) -> Vec<Ticket> {
        let mut heads: BTreeMap<&Lane, &Ticket> = BTreeMap::new();
        for ticket in &self.tickets {
            let head = heads.entry(&ticket.lane).or_insert(ticket);
            if (ticket.rank, ticket.arrival) < (head.rank, head.arrival) {
                *head = ticket;
            }
        }
        let mut heads: Vec<Ticket> =
            heads.into_values().filter(|head| !closed.contains(&head.lane)).cloned().collect();
        heads.sort_by_key(|head| {
            let (priority, _) = self.standing(head);
            (-i64::from(priority), self.virtual_time(&head.lane), head.rank, head.arrival)
        });
        heads
    }

    fn virtual_time(&self, lane: &Lane) -> i128 {
        self.lanes.get(lane).copied().unwrap_or(0).max(self.v)
    }

    /// The priority and the weight of the lane in which a ticket waits.
    fn standing(&self, ticket: &Ticket) -> (i32, u32) {
        let lane = self.declared(&ticket.resource, ticket.lane.1.as_deref());
        lane.map_or((0, 1), |lane| (lane.priority, lane.weight))
    }

    /// The declaration that means a lane: one of its very name before a pattern.
    pub(super) fn declared(&self, resource: &str, lane: Option<&str>) -> Option<&paceline_core::LaneSpec> {
        let spec = self.resources.get(resource).or_else(|| self.removed.get(resource))?;
        let (lane, lanes) = (lane?, &spec.lanes);
        let means = |pattern: &Name| Lanes::Only(vec![pattern.clone()]).contain(Some(lane));
        lanes
            .iter()
            .find(|declared| *declared.name == *lane)
            .or_else(|| lanes.iter().find(|declared| means(&declared.name)))
    }

    fn enforced<'a>(&'a self, ticket: &'a Ticket) -> Vec<(&'a String, &'a super::Meter, i128)> {
        let mut drawn = self.drawn(&ticket.resource, ticket.named.as_deref(), &ticket.demand);
        drawn.retain(|(_, limit, _)| !limit.spec.shadow);
        drawn
    }

    /// The pauses that stop a caller, as time left; `NEVER` for one without an end.
    fn pauses_of(&self, resource: &str, lane: Option<&str>, demand: &Wants) -> Vec<On> {
        let mut on = vec![On::Resource(resource.into())];
        let drawn = self.drawn(resource, lane, demand);
        on.extend(
            drawn
                .iter()
                .filter(|(_, limit, _)| !limit.spec.shadow)
                .map(|(name, ..)| On::Limit((*name).clone())),
        );
        on.retain(|on| self.pauses.contains_key(on));
        on
    }

    fn goes(&self, head: &Ticket, aside: &Aside) -> bool {
        self.goes_in(head, aside) == Some(0)
    }

    /// When the next session is dead, or so much time has passed that the store seems to have been down.
    fn session_due(&self) -> Option<i128> {
        let alive = || self.sessions.values().filter(|session| !session.dead);
        let deadline = alive().filter_map(|session| session.deadline).min()?;
        let shortest = alive().filter_map(|session| session.time_out).min()?;
        Some((deadline - self.now.clock).min((shortest / 2).max(1)))
    }

    /// After what time a head goes with what is set aside, if nothing settles; `None` where that takes a release.
    fn goes_in(&self, head: &Ticket, aside: &Aside) -> Option<i128> {
        let limits = self.enforced(head).into_iter().map(|(name, limit, wanted)| {
            let need = wanted + aside.get(name).copied().unwrap_or(0);
            let ready = limit.ready_in(self.now, need, self.held(name))?;
            Some(limit.lowered.map_or(ready, |(_, until)| ready.min(until - self.now.clock)))
        });
        let pauses = self.pauses_of(&head.resource, head.named.as_deref(), &head.demand);
        let pauses = pauses.iter().map(|on| Some(self.pauses.get(on)?.ends? - self.now.clock));
        limits.chain(pauses).try_fold(0, |latest: i128, time| Some(latest.max(time?)))
    }

    /// When limits and pauses alone would let a call go; a limit that never would counts as now, a pause without end
    /// as never.
    pub(super) fn ready_at(&self, resource: &str, lane: Option<&str>, demand: &Wants) -> i128 {
        let pause = self.pause_left(&On::Resource(resource.into())).unwrap_or(0);
        self.slowest(resource, lane, demand, 0).1.max(pause)
    }

    /// The limit that lets a call wait longest, and how long; a limit that takes a release counts as `release`.
    pub(super) fn slowest(
        &self,
        resource: &str,
        lane: Option<&str>,
        demand: &Wants,
        release: i128,
    ) -> (Option<Name>, i128) {
        let mut slowest = (None, 0);
        for (name, limit, wanted) in self.drawn(resource, lane, demand) {
            let pause = self.pause_left(&On::Limit(name.clone())).unwrap_or(0);
            let ready = limit.ready_in(self.now, wanted, self.held(name)).unwrap_or(release).max(pause);
            if !limit.spec.shadow && ready > slowest.1 {
                slowest = (Some(name.as_str().into()), ready);
            }
        }
        slowest
    }

    fn set_aside(&self, head: &Ticket, aside: &mut Aside) {
        let ready = self.ready_at(&head.resource, head.named.as_deref(), &head.demand);
        let before = aside.clone();
        let left = |name: &str, limit: &super::Meter| {
            let left = limit.available(self.now, 0, self.held(name)) - before.get(name).copied().unwrap_or(0);
            left.max(0)
        };
        let drawn = self.enforced(head);
        for (name, limit, wanted) in &drawn {
            if limit.full_by(self.now).unwrap_or(i128::from(NEVER)) <= ready {
                continue;
            }
            let inner = drawn.iter().filter(|(other, inner, wanted)| {
                other != name
                    && limit.is_concurrency()
                    && inner.is_concurrency()
                    && inner.spec.metric == limit.spec.metric
                    && within(&inner.spec, &limit.spec)
                    && inner.available(self.now, 0, self.held(other))
                        - before.get(*other).copied().unwrap_or(0)
                        < *wanted
            });
            let part = inner.map(|(other, inner, _)| left(other, inner)).min().unwrap_or(*wanted);
            *aside.entry((*name).clone()).or_insert(0) += part;
        }
    }

    fn grant(&mut self, head: &Ticket, own: bool) {
        let weight = i128::from(self.standing(head).1);
        let cost = (self.cost(head) / weight).max(1);
        let mut at = self.virtual_time(&head.lane);
        if at + cost > 1 << 52 {
            for own in self.lanes.values_mut() {
                *own = (*own).max(self.v) - self.v;
            }
            at -= self.v;
            self.v = 0;
        }
        self.v = self.v.max(at);
        self.lanes.insert(head.lane.clone(), at + cost);
        self.tickets.retain(|ticket| ticket.id != head.id);
        self.hold(head);
        if !own {
            self.grants_left -= 1;
            let waited = Millis::try_from(self.now.clock - head.arrived).unwrap_or(0);
            self.decided.push(Decision { ticket: head.id, verdict: Verdict::Granted { waited } });
        }
        self.forget_lanes(&head.resource);
    }

    fn cost(&self, head: &Ticket) -> i128 {
        let whole = |spec: &LimitSpec| {
            let mut members = spec.members.iter();
            !spec.shadow
                && members.any(|member| *member.resource == *head.resource && member.lanes == Lanes::All)
        };
        let weighs =
            self.members(&head.resource, head.named.as_deref()).filter(|(_, limit)| whole(&limit.spec));
        let (slots, rates): (Vec<_>, Vec<_>) = weighs.partition(|(_, limit)| limit.is_concurrency());
        let costs = if rates.is_empty() { slots } else { rates };
        let costs = costs.into_iter().map(|(_, limit)| {
            i128::from(head.demand.get(&*limit.spec.metric).copied().unwrap_or(0)) * limit.unit()
        });
        costs.max().unwrap_or(0)
    }

    fn hold(&mut self, head: &Ticket) {
        let drawn = self.members(&head.resource, head.named.as_deref());
        let wanted = |limit: &super::Meter| head.demand.get(&*limit.spec.metric).copied().unwrap_or(0);
        let drawn: Vec<(String, i128)> =
            drawn.map(|(name, limit)| (name.clone(), i128::from(wanted(limit)))).collect();
        let mut hold = Hold {
            id: head.id,
            owner: head.id.session,
            resource: head.resource.clone(),
            named: head.named.clone(),
            reserved: head.demand.clone(),
            extra: Wants::new(),
            notes: BTreeMap::new(),
        };
        for (name, wanted) in drawn {
            if let Some(limit) = self.limits.get_mut(&name) {
                let now = if limit.holds() { 0 } else { wanted };
                hold.notes.insert(name, limit.charge(self.now, now));
            }
        }
        self.holds.push(hold);
    }

    /// Of the lanes of a resource that do not wait, only so many are remembered.
    fn forget_lanes(&mut self, resource: &str) {
        let waits: BTreeSet<&Lane> = self.tickets.iter().map(|ticket| &ticket.lane).collect();
        let idle = self.lanes.iter().filter(|(lane, _)| lane.0 == resource && !waits.contains(lane));
        let mut idle: Vec<(i128, Lane)> = idle.map(|(lane, own)| (*own, lane.clone())).collect();
        idle.sort();
        let surplus = idle.len().saturating_sub(256);
        for (_, lane) in idle.into_iter().take(surplus) {
            self.lanes.remove(&lane);
        }
    }
}
