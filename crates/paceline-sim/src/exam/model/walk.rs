//! Who goes when: order, the grant rule with what is set aside, and the next wake-up.

use std::collections::{BTreeMap, BTreeSet};

use paceline_core::{Decision, Lanes, LimitSpec, Millis, Name, Refusal, TicketId, Verdict};

use super::{Hold, Lane, Model, Ticket};
use crate::exam::ask::{On, Wants};

/// What is set aside on each limit for heads that could not go.
type Aside = BTreeMap<String, i128>;

impl Model {
    /// Lets the heads go that may, and says whether `own` was among them.
    pub(super) fn walk(&mut self, own: Option<TicketId>) -> bool {
        let (mut aside, mut closed, mut went) = (Aside::new(), BTreeSet::new(), false);
        while self.grants_left > 0 {
            let Some(head) = self.next_head(&closed) else { break };
            if self.is_dead(head.id.session) {
                self.tickets.retain(|ticket| ticket.id != head.id);
            } else if let Some(refusal) = self.doom(&head) {
                self.refuse(&head, refusal);
            } else if self.goes(&head, &aside) {
                went |= Some(head.id) == own;
                self.grant(&head, Some(head.id) == own);
            } else {
                self.set_aside(&head, &mut aside);
                closed.insert(head.lane);
            }
        }
        went
    }

    /// After what time something may happen without a command.
    pub(super) fn due(&self) -> Option<i128> {
        let unfinished =
            !self.dead.is_empty() || !self.to_look_at.is_empty() || !self.due_sessions().is_empty();
        if unfinished || (self.started && self.grants_left == 0) {
            return Some(0);
        }
        let (mut aside, mut closed, mut due) = (Aside::new(), BTreeSet::new(), None);
        while let Some(head) = self.next_head(&closed) {
            if let Some(time) = self.goes_in(&head, &aside) {
                due = Some(due.map_or(time, |due: i128| due.min(time)));
            }
            self.set_aside(&head, &mut aside);
            closed.insert(head.lane);
        }
        due
    }

    fn next_head(&self, closed: &BTreeSet<Lane>) -> Option<Ticket> {
        let mut open: Vec<&Ticket> =
            self.tickets.iter().filter(|ticket| !closed.contains(&ticket.lane)).collect();
        open.sort_by_key(|ticket| (ticket.rank, ticket.arrival));
        let mut heads: BTreeMap<&Lane, &Ticket> = BTreeMap::new();
        for ticket in open {
            heads.entry(&ticket.lane).or_insert(ticket);
        }
        let mut heads: Vec<&Ticket> = heads.into_values().collect();
        heads.sort_by_key(|head| {
            let (priority, _) = self.standing(head);
            (-i64::from(priority), self.virtual_time(&head.lane), head.rank, head.arrival)
        });
        heads.first().map(|head| (*head).clone())
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
        let (lane, lanes) = (lane?, &self.resources.get(resource)?.lanes);
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

    /// After what time a head goes with what is set aside, if nothing settles; `None` where that takes a release.
    fn goes_in(&self, head: &Ticket, aside: &Aside) -> Option<i128> {
        let limits = self.enforced(head).into_iter().map(|(name, limit, wanted)| {
            let need = wanted + aside.get(name).copied().unwrap_or(0);
            limit.ready_in(self.now, need, self.held(name))
        });
        let pauses = self.pauses_of(&head.resource, head.named.as_deref(), &head.demand);
        let pauses = pauses.iter().map(|on| Some(self.pauses.get(on)?.ends? - self.now.clock));
        limits.chain(pauses).try_fold(0, |latest: i128, time| Some(latest.max(time?)))
    }

    /// When limits and pauses alone would let a call go, and which limit takes longest; a limit that never would
    /// counts as now, a pause without end as never.
    pub(super) fn ready_at(
        &self,
        resource: &str,
        lane: Option<&str>,
        demand: &Wants,
    ) -> Option<(i128, Option<String>)> {
        let mut latest = (0, None);
        for (name, limit, wanted) in self.drawn(resource, lane, demand) {
            if limit.spec.shadow {
                continue;
            }
            let mut time = limit.ready_in(self.now, wanted, self.held(name)).unwrap_or(0);
            if let Some(pause) = self.pauses.get(&On::Limit(name.clone())) {
                time = time.max(pause.ends? - self.now.clock);
            }
            if time > latest.0 {
                latest = (time, Some(name.clone()));
            }
        }
        if let Some(pause) = self.pauses.get(&On::Resource(resource.into())) {
            latest.0 = latest.0.max(pause.ends? - self.now.clock);
        }
        Some(latest)
    }

    fn set_aside(&self, head: &Ticket, aside: &mut Aside) {
        let ready = self.ready_at(&head.resource, head.named.as_deref(), &head.demand).map(|(time, _)| time);
        let before = aside.clone();
        let left = |name: &str, limit: &super::Meter| {
            let left = limit.available(self.now, 0, self.held(name)) - before.get(name).copied().unwrap_or(0);
            left.max(0)
        };
        let drawn = self.enforced(head);
        for (name, limit, wanted) in &drawn {
            let full = limit.full_by(self.now);
            if full.is_some_and(|full| ready.is_none_or(|ready| full <= ready)) {
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
            spec.members.iter().any(|member| *member.resource == *head.resource && member.lanes == Lanes::All)
        };
        let costs = |concurrency: bool| {
            let limits = self.enforced(head);
            let costs = limits
                .into_iter()
                .filter(|(_, limit, _)| whole(&limit.spec) && limit.is_concurrency() == concurrency);
            costs.map(|(_, limit, wanted)| wanted * limit.unit()).max()
        };
        costs(false).or_else(|| costs(true)).unwrap_or(0)
    }

    fn hold(&mut self, head: &Ticket) {
        let drawn = self.drawn(&head.resource, head.named.as_deref(), &head.demand);
        let drawn: Vec<(String, i128)> =
            drawn.into_iter().map(|(name, _, wanted)| (name.clone(), wanted)).collect();
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

    pub(super) fn impossible(&self, resource: &str, lane: Option<&str>, demand: &Wants) -> Option<Refusal> {
        let mut drawn = self.drawn(resource, lane, demand).into_iter();
        let (name, limit, wanted) =
            drawn.find(|(_, limit, wanted)| !limit.spec.shadow && *wanted > limit.most())?;
        let (wanted, most) = (u64::try_from(wanted).unwrap_or(0), u64::try_from(limit.most()).unwrap_or(0));
        Some(Refusal::Impossible { limit: name.as_str().into(), wanted, most })
    }

    pub(super) fn refused_by_pause(
        &self,
        resource: &str,
        lane: Option<&str>,
        demand: &Wants,
    ) -> Option<Refusal> {
        let on = self.pauses_of(resource, lane, demand);
        let refusing = on.iter().filter(|on| self.pauses.get(on).is_some_and(|pause| pause.refuse));
        let longest = refusing.filter_map(|on| self.pause_left(on)).max()?;
        Some(Refusal::Paused { ends_in: Millis::try_from(longest).unwrap_or(Millis::MAX) })
    }
}

/// Whether all that draw on `inner` draw on `outer` too.
fn within(inner: &LimitSpec, outer: &LimitSpec) -> bool {
    inner.members.iter().all(|member| {
        outer.members.iter().filter(|other| other.resource == member.resource).any(|other| {
            other.lanes == Lanes::All
                || other.lanes == member.lanes
                || matches!(&member.lanes, Lanes::Only(lanes) if lanes.iter().all(|lane| other.lanes.contain(Some(lane))))
        })
    })
}
