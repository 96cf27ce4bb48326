//! The line: tickets in their lanes, the walk over the lanes' heads, and what is set aside for those that wait.

use alloc::collections::BinaryHeap;
use alloc::vec::Vec;
use core::cmp::Reverse;

use crate::Name;
use crate::command::{Decision, Refusal, SessionId, TicketId, Verdict};
use crate::demand::Amounts;
use crate::lane::{Draw, Lane, OTHER, Place, Resource};
use crate::ledger::{Ledger, Spot};
use crate::limit::{Limit, Pause};
use crate::meter::signed;
use crate::time::{Millis, NEVER, Now};

/// How many lanes of a resource may wait at once, and how many of those that do not are remembered.
const LANES: u32 = 256;

/// When a virtual time passes this, all are counted anew.
const LATEST: u64 = 1 << 52;

/// A ticket that waits.
#[derive(Debug, Clone)]
pub(crate) struct Ticket {
    pub(crate) id: TicketId,
    pub(crate) lane: u32,
    /// The lane that the caller named, by which limits are chosen.
    pub(crate) named: Option<Name>,
    /// The limits on which it draws, where its lane is not the one that it named.
    pub(crate) draws: Option<Vec<Draw>>,
    pub(crate) demand: Amounts,
    pub(crate) place: Place,
    pub(crate) since: Millis,
}

/// When a lane has its turn in a walk: priority, virtual time, rank and arrival of its head; and the lane.
pub(crate) type Turn = Reverse<(Reverse<i32>, u64, i64, u64, u32)>;

/// What is found of a ticket that waits.
pub(crate) enum Head {
    Goes,
    Waits,
    Dead,
    Refused(Refusal),
}

/// What the limits say to a demand.
pub(crate) enum Fit {
    Covered,
    Short,
    Never(Refusal),
}

impl Ledger {
    /// Puts a ticket into its lane, and returns its number.
    pub(crate) fn enqueue(&mut self, resource: u32, mut ticket: Ticket) -> u32 {
        let lane = self.lane_to_wait_in(resource, ticket.named.as_ref());
        ticket.lane = lane;
        if self.lanes.get(lane).is_some_and(|lane| lane.name != ticket.named) {
            ticket.draws = Some(self.draws_of(resource, ticket.named.as_deref()));
        }
        let number = self.tickets.insert(ticket.clone());
        self.stand(number, &ticket, resource);
        number
    }

    /// Counts a ticket of this number in where it stands.
    pub(crate) fn stand(&mut self, number: u32, ticket: &Ticket, resource: u32) {
        self.spots.insert(ticket.id, Spot::Waits(number));
        let (Some(lane), Some(resource)) =
            (self.lanes.get_mut(ticket.lane), self.resources.get_mut(resource as usize))
        else {
            return;
        };
        if lane.queue.is_empty() {
            lane.waiting_at = self.waiting.len();
            self.waiting.push(ticket.lane);
            resource.waiting_lanes += u32::from(!is_other(lane));
            resource.idle_lanes -= 1;
        }
        resource.waiting += 1;
        lane.queue.insert(ticket.place, number);
        lane.count(&ticket.demand, true);
    }

    /// Takes a ticket out of the line.
    pub(crate) fn dequeue(&mut self, number: u32) -> Option<Ticket> {
        let ticket = self.tickets.take(number)?;
        self.spots.remove(&ticket.id);
        let lane = self.lanes.get_mut(ticket.lane)?;
        lane.queue.remove(&ticket.place);
        lane.count(&ticket.demand, false);
        let resource_at = lane.resource;
        let resource = self.resources.get_mut(resource_at as usize)?;
        resource.waiting -= 1;
        if lane.queue.is_empty() {
            let at = core::mem::replace(&mut lane.waiting_at, usize::MAX);
            lane.demand.clear();
            resource.waiting_lanes -= u32::from(!is_other(lane));
            resource.idle_lanes += 1;
            self.waiting.swap_remove(at);
            if let Some(moved) = self.waiting.get(at).copied().and_then(|moved| self.lanes.get_mut(moved)) {
                moved.waiting_at = at;
            }
        }
        Some(ticket)
    }

    /// Returns the lane of this name, opened if need be.
    pub(crate) fn lane_of(&mut self, resource: u32, name: Option<&Name>) -> u32 {
        let found = self
            .resources
            .get(resource as usize)
            .and_then(|resource| resource.lane(name.map(|name| &**name)));
        if let Some(lane) = found {
            return lane;
        }
        let draws = self.draws_of(resource, name.map(|name| &**name));
        let Some(at) = self.resources.get_mut(resource as usize) else { return u32::MAX };
        let lane = self.lanes.insert(Lane::new(resource, at, name.cloned(), draws));
        match name {
            Some(name) => {
                at.lanes.insert(name.clone(), lane);
            }
            None => at.unnamed = Some(lane),
        }
        at.idle_lanes += 1;
        lane
    }

    fn lane_to_wait_in(&mut self, resource: u32, name: Option<&Name>) -> u32 {
        let full = self.resources.get(resource as usize).is_some_and(|resource| {
            let lane = resource.lane(name.map(|name| &**name)).and_then(|lane| self.lanes.get(lane));
            resource.waiting_lanes >= LANES && lane.is_none_or(|lane| lane.queue.is_empty())
        });
        if full { self.lane_of(resource, Some(&Name::from(OTHER))) } else { self.lane_of(resource, name) }
    }

    /// Forgets the lanes furthest behind among those that do not wait, where too many are remembered.
    pub(crate) fn forget_lanes(&mut self, resource: u32) {
        while let Some(at) = self.resources.get_mut(resource as usize)
            && at.idle_lanes > LANES
        {
            let idle = at.lanes().filter_map(|number| Some((number, self.lanes.get(number)?)));
            let idle = idle.filter(|(_, lane)| lane.queue.is_empty());
            let Some((number, name)) = idle
                .min_by(|(_, a), (_, b)| (a.virtual_time, &a.name).cmp(&(b.virtual_time, &b.name)))
                .map(|(number, lane)| (number, lane.name.clone()))
            else {
                return;
            };
            match name {
                Some(name) => {
                    at.lanes.remove(&name);
                }
                None => at.unnamed = None,
            }
            at.idle_lanes -= 1;
            self.lanes.take(number);
        }
    }

    /// Walks the lanes' heads in order and grants what the rule lets go. A grant to `own` is nobody's decision but
    /// the answer to the command that asks, and does not count against the step's grants.
    pub(crate) fn walk(&mut self, own: Option<u32>) {
        if self.waiting.is_empty() {
            return;
        }
        let mut turns = self.turns();
        while let Some(lane) = self.next_turn(&mut turns) {
            if self.grants_left == 0 {
                self.more = true;
                break;
            }
            let Some((_, ticket)) = self.lanes.get(lane).and_then(Lane::head) else { continue };
            match self.look(ticket) {
                Head::Waits => {
                    if !turns.is_empty() {
                        self.set_aside(ticket);
                    }
                    continue;
                }
                Head::Goes => {
                    self.grants_left -= u32::from(own != Some(ticket));
                    let virtual_time = self.virtual_time;
                    self.grant_ticket(ticket, own == Some(ticket));
                    if self.virtual_time < virtual_time {
                        // All virtual times were counted anew.
                        turns = self.turns_again(turns);
                    }
                }
                Head::Dead | Head::Refused(_) if self.looks_left == 0 => {
                    self.more = true;
                    break;
                }
                Head::Dead => self.drop_ticket(ticket, None),
                Head::Refused(refusal) => self.drop_ticket(ticket, Some(refusal)),
            }
            self.push_turn(&mut turns, lane);
        }
        self.turns_kept = turns.into_vec();
    }

    /// Returns after what time a head goes that time alone lets go, and whose it is.
    pub(crate) fn plan(&mut self) -> (Millis, Option<SessionId>) {
        let mut turns = self.turns();
        let (mut due, mut whose) = (NEVER, None);
        while due > 0
            && let Some(lane) = self.next_turn(&mut turns)
        {
            let Some((_, ticket)) = self.lanes.get(lane).and_then(Lane::head) else { continue };
            let at = match self.look(ticket) {
                Head::Waits => self.ready_with_aside(ticket),
                _ => 0,
            };
            if at < due {
                (due, whose) = (at, self.tickets.get(ticket).map(|ticket| ticket.id.session));
            }
            if !turns.is_empty() {
                self.set_aside(ticket);
            }
        }
        self.turns_kept = turns.into_vec();
        (due, whose)
    }

    /// Sets aside what the waiting heads need, as a walk would that grants nothing, up to the place of `until`.
    pub(crate) fn set_aside_before(&mut self, until: (Reverse<i32>, u64, i64, u64)) {
        let mut turns = self.turns();
        while let Some(Reverse((priority, virtual_time, rank, arrival, lane))) = turns.pop() {
            if (priority, virtual_time, rank, arrival) > until {
                break;
            }
            if let Some((_, ticket)) = self.lanes.get(lane).and_then(Lane::head) {
                self.look(ticket);
                self.set_aside(ticket);
            }
        }
        self.turns_kept = turns.into_vec();
    }

    fn turns(&mut self) -> BinaryHeap<Turn> {
        self.walks += 1;
        let mut turns = core::mem::take(&mut self.turns_kept);
        turns.clear();
        let mut turns = BinaryHeap::from(turns);
        for at in 0..self.waiting.len() {
            if let Some(lane) = self.waiting.get(at).copied() {
                self.push_turn(&mut turns, lane);
            }
        }
        turns
    }

    /// Returns the same turns by the virtual times as they are.
    fn turns_again(&self, turns: BinaryHeap<Turn>) -> BinaryHeap<Turn> {
        let mut again = BinaryHeap::with_capacity(turns.len());
        for Reverse((.., lane)) in turns {
            self.push_turn(&mut again, lane);
        }
        again
    }

    fn push_turn(&self, turns: &mut BinaryHeap<Turn>, lane: u32) {
        if let Some(at) = self.lanes.get(lane)
            && let Some((place, _)) = at.head()
        {
            let virtual_time = at.virtual_time.max(self.virtual_time);
            turns.push(Reverse((Reverse(at.priority), virtual_time, place.rank, place.arrival, lane)));
        }
    }

    /// Returns the lane whose turn it is. A grant may have moved all virtual times on, so what was pushed before it
    /// is looked at anew.
    fn next_turn(&self, turns: &mut BinaryHeap<Turn>) -> Option<u32> {
        loop {
            let Reverse((_, virtual_time, _, _, lane)) = turns.pop()?;
            if virtual_time >= self.virtual_time {
                return Some(lane);
            }
            self.push_turn(turns, lane);
        }
    }

    pub(crate) fn look(&mut self, ticket: u32) -> Head {
        let Some(ticket) = self.tickets.get(ticket) else { return Head::Dead };
        if self.sessions.is_dead(ticket.id.session) {
            return Head::Dead;
        }
        let Some(lane) = self.lanes.get(ticket.lane) else { return Head::Dead };
        let Some(resource) = self.resources.get(lane.resource as usize) else { return Head::Dead };
        if let Some(refusal) = no_longer(resource, lane, ticket) {
            return Head::Refused(refusal);
        }
        let draws = ticket.draws.as_deref().unwrap_or(&lane.draws);
        match fit(&mut self.limits, draws, &ticket.demand, self.now, self.walks) {
            Fit::Never(refusal) => Head::Refused(refusal),
            _ if Pause::left(resource.pause, self.now.clock) > 0 => {
                paused(resource.pause, self.now).map_or(Head::Waits, Head::Refused)
            }
            Fit::Covered => Head::Goes,
            Fit::Short => Head::Waits,
        }
    }

    /// Removes a ticket that will not be served, and tells its session why.
    pub(crate) fn drop_ticket(&mut self, ticket: u32, refusal: Option<Refusal>) {
        self.looks_left = self.looks_left.saturating_sub(1);
        let Some(ticket) = self.dequeue(ticket) else { return };
        if let Some(refusal) = refusal {
            self.decisions.push_back(Decision { ticket: ticket.id, verdict: Verdict::Refused(refusal) });
        }
        self.forget_lanes_of(ticket.lane);
    }

    fn grant_ticket(&mut self, ticket: u32, own: bool) {
        let Some(ticket) = self.dequeue(ticket) else { return };
        let waited = self.now.clock.saturating_sub(ticket.since);
        if !own {
            self.decisions.push_back(Decision { ticket: ticket.id, verdict: Verdict::Granted { waited } });
        }
        let lane = ticket.lane;
        self.grant(ticket.id, lane, ticket.named, ticket.draws.as_deref(), ticket.demand);
        self.forget_lanes_of(lane);
    }

    /// Forgets lanes of the resource of this lane, if that has become idle.
    pub(crate) fn forget_lanes_of(&mut self, lane: u32) {
        if let Some(resource) =
            self.lanes.get(lane).filter(|lane| lane.queue.is_empty()).map(|lane| lane.resource)
        {
            self.forget_lanes(resource);
        }
    }

    /// Moves a lane's virtual time on for a grant of this cost.
    pub(crate) fn weigh(&mut self, lane: u32, cost: u64) {
        let Some(lane) = self.lanes.get_mut(lane) else { return };
        let cost = if lane.weight == 1 { cost } else { cost / lane.weight };
        self.virtual_time = self.virtual_time.max(lane.virtual_time);
        lane.virtual_time = self.virtual_time + cost.max(1);
        lane.granted += 1;
        if lane.virtual_time > LATEST {
            for (_, lane) in self.lanes.iter_mut() {
                lane.virtual_time = lane.virtual_time.saturating_sub(self.virtual_time);
            }
            self.virtual_time = 0;
        }
    }

    /// Sets a waiting head's demand aside on the limits where somebody behind it could delay it.
    fn set_aside(&mut self, ticket: u32) {
        let Some(ticket) = self.tickets.get(ticket) else { return };
        let Some(lane) = self.lanes.get(ticket.lane) else { return };
        let Some(resource) = self.resources.get(lane.resource as usize) else { return };
        let draws = ticket.draws.as_deref().unwrap_or(&lane.draws);
        let pause = Pause::left(resource.pause, self.now.clock);
        let ready_at = pause.max(ready_at(&self.limits, draws, &ticket.demand, self.now));
        self.asides.clear();
        for draw in draws {
            let Some((limit, demand)) = asked(&self.limits, *draw, &ticket.demand) else { continue };
            if limit.full_by(self.now) > ready_at {
                let amount =
                    demand.min(left_by_inner(&self.limits, limit, demand, draws, self.now, self.walks));
                self.asides.push((draw.limit, amount));
            }
        }
        for (number, amount) in &self.asides {
            if let Some(limit) = self.limits.get_mut(*number as usize) {
                limit.set_aside(self.walks, *amount);
            }
        }
    }

    fn ready_with_aside(&self, ticket: u32) -> Millis {
        let Some(ticket) = self.tickets.get(ticket) else { return NEVER };
        let Some(lane) = self.lanes.get(ticket.lane) else { return NEVER };
        let Some(resource) = self.resources.get(lane.resource as usize) else { return NEVER };
        let draws = ticket.draws.as_deref().unwrap_or(&lane.draws);
        let limits = draws.iter().filter_map(|draw| asked(&self.limits, *draw, &ticket.demand));
        let ready = limits.map(|(limit, demand)| {
            let ready = limit.ready(self.now, demand + limit.aside(self.walks));
            let ready = if ready == NEVER { ready } else { ready.min(limit.changes_in(self.now)) };
            ready.max(Pause::left(limit.pause, self.now.clock))
        });
        ready.max().unwrap_or(0).max(Pause::left(resource.pause, self.now.clock))
    }
}

fn is_other(lane: &Lane) -> bool {
    lane.name.as_deref() == Some(OTHER)
}

/// Returns the refusal that a pause means, where it refuses.
pub(crate) fn paused(pause: Option<Pause>, now: Now) -> Option<Refusal> {
    let ends_in = Pause::left(pause, now.clock);
    (ends_in > 0 && pause.is_some_and(|pause| pause.refuse)).then_some(Refusal::Paused { ends_in })
}

fn no_longer(resource: &Resource, lane: &Lane, ticket: &Ticket) -> Option<Refusal> {
    if resource.gone {
        return Some(Refusal::NoResource);
    }
    let purged =
        |(name, until): &(Name, u64)| ticket.named.as_ref() == Some(name) && ticket.place.arrival <= *until;
    if ticket.place.arrival <= resource.purged || resource.purged_lanes.iter().any(purged) {
        return Some(Refusal::Purged);
    }
    let lane = ticket.named.as_ref().filter(|_| lane.undeclared && ticket.draws.is_none())?;
    Some(Refusal::UnknownLane { lane: lane.clone() })
}

/// Returns a limit that this demand asks, and how much of it: one that is enforced and has its metric demanded.
fn asked<'a>(limits: &'a [Limit], draw: Draw, demand: &Amounts) -> Option<(&'a Limit, i64)> {
    let limit = limits.get(draw.limit as usize).filter(|limit| !limit.spec.shadow)?;
    let amount = signed(demand.amount(limit.metric));
    (amount > 0).then_some((limit, amount))
}

/// Brings the limits up to now and says whether all of them cover a demand with what is set aside.
pub(crate) fn fit(limits: &mut [Limit], draws: &[Draw], demand: &Amounts, now: Now, walk: u64) -> Fit {
    let mut fit = Fit::Covered;
    for draw in draws {
        let Some(limit) = limits.get_mut(draw.limit as usize) else { continue };
        let wanted = demand.amount(limit.metric);
        if limit.spec.shadow || wanted == 0 {
            continue;
        }
        limit.bring(now);
        let amount = signed(wanted);
        if amount > limit.most() {
            let most = limit.most().unsigned_abs();
            return Fit::Never(Refusal::Impossible { limit: limit.spec.id.clone(), wanted, most });
        }
        if limit.pause.is_some() && Pause::left(limit.pause, now.clock) > 0 {
            if let Some(refusal) = paused(limit.pause, now) {
                return Fit::Never(refusal);
            }
            fit = Fit::Short;
        }
        if limit.left(now) - limit.aside(walk) < amount {
            fit = Fit::Short;
        }
    }
    fit
}

/// Returns when limits and their pauses would let a demand go if nothing settled; a limit that takes a settlement
/// counts as ready now.
pub(crate) fn ready_at(limits: &[Limit], draws: &[Draw], demand: &Amounts, now: Now) -> Millis {
    let asked = draws.iter().filter_map(|draw| asked(limits, *draw, demand));
    let ready = asked.map(|(limit, amount)| {
        let ready = limit.ready(now, amount);
        let ready = if ready == NEVER { 0 } else { ready };
        ready.max(Pause::left(limit.pause, now.clock))
    });
    ready.max().unwrap_or(0)
}

/// Returns how much of a concurrency limit a head needs apart from what a narrower one will free with its own
/// releases: where the head is short of that one, only what that one has left.
fn left_by_inner(limits: &[Limit], outer: &Limit, demand: i64, draws: &[Draw], now: Now, walk: u64) -> i64 {
    let inner = outer.inner.iter().filter(|inner| draws.iter().any(|draw| draw.limit == **inner));
    let inner = inner.filter_map(|inner| limits.get(*inner as usize)).filter(|inner| !inner.spec.shadow);
    let left = inner.map(|inner| inner.left(now) - inner.aside(walk)).filter(|left| *left < demand);
    left.min().map_or(demand, |left| left.max(0))
}
