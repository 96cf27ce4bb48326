//! The ledger: one door to the state, and the step that everything happens in.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use crate::command::{Command, Decision, LimitId, Outcome, ResourceId, SessionId, Target, TicketId, Usage};
use crate::demand::{Amounts, Metric};
use crate::hold::{Difference, Entry, Hold};
use crate::lane::{Draw, Lane, Place, Resource};
use crate::limit::{Limit, OWN, Pause, RESOURCE};
use crate::line::{Ticket, Turn};
use crate::meter::signed;
use crate::recovery::{OnLost, Owed, Restored};
use crate::session::Sessions;
use crate::slab::Slab;
use crate::time::{Millis, NEVER, Now};
use crate::{Name, Refusal};

/// How many grants a step makes beyond those that an `Acquire` makes for itself.
const GRANTS: u32 = 64;

/// How many tickets and holds a step ends because of something that happened earlier.
const LOOKS: u32 = 64;

/// How many metrics a ledger knows at most.
const METRICS: usize = 1_000;

/// The state of one account: limits, the line, permits and sessions, changed by commands alone.
///
/// # Time
///
/// Every step is told the store's clock. The ledger's own clock advances by what that advanced since the last step,
/// and by nothing where it went back. Only the boundaries of fixed windows are compared with the store's clock itself.
///
/// # Steps
///
/// A step expires sessions, ends up to 64 tickets and holds of dead sessions, purges and configurations, and then
/// carries out its commands, each followed by a walk over the heads of the lanes. It grants at most 64 tickets beyond
/// those that an `Acquire` is granted itself; while there is more to do, [`next_wakeup`](Self::next_wakeup) is 0.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    pub(crate) now: Now,
    pub(crate) started: bool,
    pub(crate) generations: u64,
    pub(crate) arrivals: u64,
    /// V: the largest virtual time at which a grant was made.
    pub(crate) virtual_time: u64,
    pub(crate) metrics: Vec<Name>,
    pub(crate) limits: Vec<Limit>,
    pub(crate) limit_names: BTreeMap<Name, u32>,
    pub(crate) resources: Vec<Resource>,
    pub(crate) resource_names: BTreeMap<Name, u32>,
    pub(crate) lanes: Slab<Lane>,
    /// The lanes in which somebody waits, in no order.
    pub(crate) waiting: Vec<u32>,
    pub(crate) tickets: Slab<Ticket>,
    pub(crate) holds: Slab<Hold>,
    /// Where a ticket is: in line, or held.
    pub(crate) spots: BTreeMap<TicketId, Spot>,
    pub(crate) sessions: Sessions,
    pub(crate) sweep: Option<Sweep>,
    pub(crate) decisions: VecDeque<Decision>,
    pub(crate) grants_left: u32,
    pub(crate) looks_left: u32,
    /// The step ended with something left to do.
    pub(crate) more: bool,
    /// The number of the last walk, by which what was set aside in earlier ones is void.
    pub(crate) walks: u64,
    pub(crate) turns_kept: Vec<Turn>,
    pub(crate) asides: Vec<(u32, i64)>,
    pub(crate) entries_kept: Vec<Vec<Entry>>,
    /// Whether `due` has been worked out since the last command.
    pub(crate) planned: bool,
    pub(crate) due: Option<Millis>,
    pub(crate) owed: Option<Box<Owed>>,
    pub(crate) on_lost: OnLost,
    /// Until when nothing is granted, by the ledger's clock.
    pub(crate) held_off: Millis,
}

/// Where a ticket is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spot {
    Waits(u32),
    Held(u32),
}

/// A look at every ticket that waits, some each step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sweep {
    /// Tickets that arrived later were looked at when they came.
    pub(crate) until: u64,
    /// Where the last ticket stood that was looked at.
    pub(crate) after: Option<Standing>,
}

/// Where a ticket stands: its resource, its lane, its place there.
pub(crate) type Standing = (Name, Option<Name>, Place);

impl Ledger {
    /// Returns an empty ledger.
    pub fn new() -> Self {
        Self::default()
    }

    /// Applies one command: a step of its own. `now` is the store's clock in milliseconds since the Unix epoch.
    pub fn apply(&mut self, now: Millis, command: Command) -> Outcome {
        self.begin(now);
        self.carry_out(command)
    }

    /// Applies a batch as one step, and returns an outcome for each command.
    pub fn batch(&mut self, now: Millis, commands: impl IntoIterator<Item = Command>) -> Vec<Outcome> {
        let mut commands = commands.into_iter().peekable();
        if commands.peek().is_none() {
            self.tick(now);
            return Vec::new();
        }
        self.begin(now);
        commands.map(|command| self.carry_out(command)).collect()
    }

    /// Does what is due: a step without a command.
    pub fn tick(&mut self, now: Millis) {
        self.begin(now);
        self.walk(None);
    }

    /// Returns after how many milliseconds from the last step something changes without a command, `None` if that
    /// takes a command.
    pub fn next_wakeup(&mut self) -> Option<Millis> {
        if self.planned {
            return self.due;
        }
        let due = if self.more || self.sweep.is_some() || !self.sessions.dead.is_empty() {
            Some(0)
        } else {
            let head = if self.waiting.is_empty() { NEVER } else { self.plan().0 };
            let session = self.sessions.wakeup(self.now.clock).unwrap_or(NEVER);
            Some(head.min(session)).filter(|due| *due != NEVER)
        };
        (self.planned, self.due) = (true, due);
        due
    }

    /// Takes the decisions on waiting tickets since the last call, oldest first.
    pub fn drain(&mut self) -> impl Iterator<Item = Decision> + '_ {
        self.decisions.drain(..)
    }

    /// Returns the resource of this name.
    pub fn resource(&self, name: &str) -> Option<ResourceId> {
        let number = *self.resource_names.get(name)?;
        self.resources.get(number as usize).filter(|resource| !resource.gone).map(|_| ResourceId(number))
    }

    /// Returns the limit of this name.
    pub fn limit(&self, name: &str) -> Option<LimitId> {
        let number = *self.limit_names.get(name)?;
        self.limits
            .get(number as usize)
            .filter(|limit| !limit.spec.members.is_empty())
            .map(|_| LimitId(number))
    }

    /// Returns the metric of this name, made known if it was not; `None` when 1,000 are known already.
    pub fn metric(&mut self, name: &str) -> Option<Metric> {
        if let Some(metric) = Metric::known(name) {
            return Some(metric);
        }
        let known = Metric::KNOWN.len();
        let at = self.metrics.iter().position(|metric| **metric == *name);
        let at = at.map_or(self.metrics.len(), |at| at);
        if at == self.metrics.len() {
            if known + at >= METRICS {
                return None;
            }
            self.metrics.push(name.into());
        }
        u16::try_from(known + at).ok().map(Metric)
    }

    /// Returns the name of a metric of this ledger.
    pub fn metric_name(&self, metric: Metric) -> &str {
        let known = Metric::KNOWN.get(metric.index()).copied();
        let at = metric.index().wrapping_sub(Metric::KNOWN.len());
        known.or_else(|| self.metrics.get(at).map(|name| &**name)).unwrap_or("")
    }

    /// Begins a step: time passes, what is overdue is marked, and some of what was marked is done.
    #[inline]
    pub(crate) fn begin(&mut self, now: Millis) {
        if now < self.now.wall {
            // What was reached stays reached, also where nobody looked.
            self.bring_all();
        }
        let reading = self.reading(now);
        let gap = if self.started { reading.clock - self.now.clock } else { 0 };
        self.now = reading;
        self.started = true;
        self.planned = false;
        self.more = false;
        self.grants_left = GRANTS;
        self.looks_left = LOOKS;
        if self.sessions.are_timed() {
            self.sessions.forgive(self.now.clock, gap);
            self.expire();
        }
        self.recover();
        self.sweep_sessions();
        self.sweep_line();
    }

    /// Returns what the ledger's clock shows when the store's shows `now`.
    #[inline]
    pub(crate) fn reading(&self, now: Millis) -> Now {
        let gap = now.saturating_sub(self.now.wall);
        Now { clock: if self.started { self.now.clock + gap } else { now }, wall: now }
    }

    fn expire(&mut self) {
        for _ in 0..LOOKS {
            let Some(id) = self.sessions.overdue(self.now.clock) else { return };
            self.sessions.kill(id);
        }
        self.more |= self.sessions.overdue(self.now.clock).is_some();
    }

    pub(crate) fn carry_out(&mut self, command: Command) -> Outcome {
        self.planned = false;
        let outcome = match command {
            Command::Acquire(mut acquire) => return self.acquire(&mut acquire),
            Command::Settle { permit, usage } => self.settle(permit, &usage),
            Command::Cancel { ticket } => self.cancel(ticket),
            Command::Amend { permit, reserve } => self.amend(permit, &reserve),
            Command::Record { resource, lane, usage } => self.record(resource, lane.as_deref(), &usage),
            Command::Touch { session, time_out } => self.touch(session, time_out),
            Command::Transfer { permit, to, time_out } => self.transfer(permit, to, time_out),
            Command::Observe { limit, remaining, amount } => self.observe(limit, remaining, amount),
            Command::Pause { target, lasting, refuse } => self.pause(target, lasting, refuse),
            Command::Resume { target } => self.resume(target),
            Command::Purge { resource, lane } => self.purge(resource, lane.as_deref()),
            Command::Configure(configuration) => self.configure(*configuration),
            Command::Close { session } => self.close(session),
            Command::Restore { permit, resource, lane, reserved, extra, age } => {
                self.restore(Restored { permit, resource, lane, reserved, extra, age })
            }
            Command::Spent { resource, lane, amounts } => self.spent(resource, lane.as_deref(), &amounts),
            Command::Recovered { session } => self.recovered(session),
        };
        self.walk(None);
        outcome
    }

    fn touch(&mut self, session: SessionId, time_out: Option<Millis>) -> Outcome {
        if self.sessions.touch(self.now.clock, session, time_out) { Outcome::Done } else { Outcome::Expired }
    }

    fn close(&mut self, session: SessionId) -> Outcome {
        if self.sessions.kill(session) { Outcome::Done } else { Outcome::Expired }
    }

    fn settle(&mut self, permit: TicketId, usage: &Usage) -> Outcome {
        match self.spots.get(&permit) {
            Some(Spot::Held(hold)) => {
                let Difference { returned, charged } = self.end_hold(*hold, usage);
                Outcome::Settled { returned, charged }
            }
            _ => Outcome::Over,
        }
    }

    fn cancel(&mut self, ticket: TicketId) -> Outcome {
        match self.spots.get(&ticket).copied() {
            Some(Spot::Waits(waiting)) => {
                if let Some(ticket) = self.dequeue(waiting) {
                    self.forget_lanes_of(ticket.lane);
                }
                Outcome::Cancelled
            }
            Some(Spot::Held(_)) => self.settle(ticket, &Usage::Nothing),
            None => Outcome::Over,
        }
    }

    /// Gives a ticket its permit: all limits are charged at once, and the lane's virtual time moves on.
    pub(crate) fn grant(
        &mut self,
        id: TicketId,
        lane: u32,
        named: Option<Name>,
        draws: Option<&[Draw]>,
        demand: Amounts,
    ) {
        let mut entries = self.entries_kept.pop().unwrap_or_default();
        let Some(at) = self.lanes.get(lane) else { return };
        let mut cost = 0;
        for draw in draws.unwrap_or(&at.draws) {
            let Some(limit) = self.limits.get_mut(draw.limit as usize) else { continue };
            limit.bring(self.now);
            let amount = demand.amount(limit.metric);
            if draw.weighs {
                cost = amount.saturating_mul(limit.unit).max(cost);
            }
            let note = limit.reserve(self.now, signed(amount));
            entries.push(Entry { limit: draw.limit, generation: limit.generation, note });
        }
        let resource = at.resource;
        self.weigh(lane, cost);
        if let Some(resource) = self.resources.get_mut(resource as usize) {
            resource.in_flight += 1;
        }
        let (owner, since) = (id.session, self.now.clock);
        let hold = Hold { id, owner, resource, lane: named, since, reserved: demand, extra: None, entries };
        let hold = self.holds.insert(hold);
        self.spots.insert(id, Spot::Held(hold));
    }

    /// Ends a permit by the table of settlement.
    pub(crate) fn end_hold(&mut self, hold: u32, usage: &Usage) -> Difference {
        let Some(mut hold) = self.holds.take(hold) else { return Difference::default() };
        self.spots.remove(&hold.id);
        if hold.owner != hold.id.session
            && let Some(owner) = self.sessions.all.get_mut(&hold.owner)
        {
            owner.adopted.remove(&hold.id);
        }
        if let Some(resource) = self.resources.get_mut(hold.resource as usize) {
            resource.in_flight -= 1;
        }
        let difference = hold.settle(&mut self.limits, self.now, usage);
        hold.entries.clear();
        if self.entries_kept.len() < 64 {
            self.entries_kept.push(hold.entries);
        }
        difference
    }

    fn amend(&mut self, permit: TicketId, reserve: &Amounts) -> Outcome {
        let Some(Spot::Held(hold)) = self.spots.get(&permit) else { return Outcome::Over };
        let Some(hold) = self.holds.get_mut(*hold) else { return Outcome::Over };
        let mut difference = Difference::default();
        for (metric, amount) in reserve.iter() {
            hold.amend(&mut self.limits, self.now, metric, signed(amount), &mut difference);
        }
        let Difference { returned, charged } = difference;
        Outcome::Amended { returned, charged }
    }

    fn record(&mut self, resource: ResourceId, lane: Option<&str>, usage: &Amounts) -> Outcome {
        if self.resources.get(resource.0 as usize).is_none_or(|resource| resource.gone) {
            return Outcome::Refused(Refusal::NoResource);
        }
        for draw in self.draws_of(resource.0, lane) {
            let Some(limit) = self.limits.get_mut(draw.limit as usize) else { continue };
            limit.bring(self.now);
            if !limit.is_concurrency() {
                limit.charge(self.now, signed(usage.amount(limit.metric)));
            }
        }
        Outcome::Done
    }

    fn transfer(&mut self, permit: TicketId, to: SessionId, time_out: Option<Millis>) -> Outcome {
        let Some(Spot::Held(hold)) = self.spots.get(&permit) else { return Outcome::Over };
        if self.sessions.alive(to).is_none() && !self.sessions.touch(self.now.clock, to, time_out) {
            return Outcome::Expired;
        }
        let Some(hold) = self.holds.get_mut(*hold) else { return Outcome::Over };
        let from = core::mem::replace(&mut hold.owner, to);
        if let Some(from) = self.sessions.all.get_mut(&from) {
            from.adopted.remove(&permit);
        }
        if let Some(to) = self.sessions.all.get_mut(&to).filter(|_| to != permit.session) {
            to.adopted.insert(permit);
        }
        Outcome::Done
    }

    fn observe(&mut self, limit: LimitId, remaining: Option<u64>, amount: Option<u64>) -> Outcome {
        let now = self.now;
        let number = limit.0;
        let limit = self.limits.get_mut(number as usize).filter(|limit| limit.is_known());
        let Some(limit) = limit else { return Outcome::Done };
        limit.bring(now);
        if let Some(amount) = amount.filter(|amount| *amount > 0) {
            let smaller = amount < limit.spec.amount;
            limit.observe_amount(smaller.then_some((amount, now.clock)));
            if smaller {
                self.look_again();
            }
        }
        if let Some(remaining) = remaining
            && let Some(limit) = self.limits.get_mut(number as usize)
        {
            limit.observe_left(now, signed(remaining));
        }
        Outcome::Done
    }

    fn pause(&mut self, target: Target, lasting: Option<Millis>, refuse: bool) -> Outcome {
        let until = lasting.map_or(NEVER, |lasting| self.now.clock.saturating_add(lasting));
        let Some(pause) = self.pause_of(target) else { return Outcome::Refused(Refusal::NoResource) };
        let asked = Pause { until, refuse };
        let pause = *pause.insert(pause.map_or(asked, |pause| pause.later(asked)));
        if pause == asked {
            self.restart_empty(target, until);
        }
        if refuse {
            self.look_again();
        }
        Outcome::Done
    }

    fn resume(&mut self, target: Target) -> Outcome {
        let clock = self.now.clock;
        let Some(pause) = self.pause_of(target) else { return Outcome::Refused(Refusal::NoResource) };
        if Pause::left(pause.take(), clock) > 0 {
            self.restart_empty(target, clock);
        }
        Outcome::Done
    }

    fn pause_of(&mut self, target: Target) -> Option<&mut Option<Pause>> {
        match target {
            Target::Resource(id) => self.resources.get_mut(id.0 as usize).map(|resource| &mut resource.pause),
            Target::Limit(id) => self.limits.get_mut(id.0 as usize).map(|limit| &mut limit.pause),
        }
    }

    /// Lets the buckets that a pause concerns start over from nothing when it ends. A bucket that other resources draw
    /// on goes on for them.
    fn restart_empty(&mut self, target: Target, at: Millis) {
        match target {
            Target::Limit(id) => {
                if let Some(limit) = self.limits.get_mut(id.0 as usize) {
                    limit.restart_empty(self.now, OWN, at);
                }
            }
            Target::Resource(id) => {
                let Some(resource) = self.resources.get(id.0 as usize) else { return };
                for number in &resource.limits {
                    let limit = self.limits.get_mut(*number as usize);
                    if let Some(limit) = limit.filter(|limit| limit.is_of(&resource.spec.name)) {
                        limit.restart_empty(self.now, RESOURCE, at);
                    }
                }
            }
        }
    }

    fn purge(&mut self, resource: ResourceId, lane: Option<&str>) -> Outcome {
        let Some(at) = self.resources.get_mut(resource.0 as usize) else {
            return Outcome::Refused(Refusal::NoResource);
        };
        match lane {
            None => at.purged = self.arrivals,
            Some(name) if !self.waiting.is_empty() => at.purged_lanes.push((name.into(), self.arrivals)),
            Some(_) => {}
        }
        self.look_again();
        Outcome::Done
    }

    /// Has every ticket that waits looked at once more.
    pub(crate) fn look_again(&mut self) {
        if !self.waiting.is_empty() {
            self.sweep = Some(Sweep { until: self.arrivals, after: None });
        }
    }

    /// Returns the limits on which callers of a lane draw. They are weighed by the enforced rate limits that the whole
    /// resource draws on, and where there are none by such concurrency limits.
    pub(crate) fn draws_of(&self, resource: u32, lane: Option<&str>) -> Vec<Draw> {
        let mut draws = Vec::new();
        let mut rates = false;
        let Some(resource) = self.resources.get(resource as usize) else { return draws };
        for number in &resource.limits {
            let Some(limit) = self.limits.get(*number as usize) else { continue };
            let member = limit.spec.members.iter().find(|member| member.resource == resource.spec.name);
            let Some(member) = member.filter(|member| member.lanes.contain(lane)) else { continue };
            let weighs = member.lanes == crate::Lanes::All && !limit.spec.shadow;
            rates |= weighs && !limit.is_concurrency();
            draws.push(Draw { limit: *number, weighs });
        }
        for draw in &mut draws {
            let slots = self.limits.get(draw.limit as usize).is_some_and(Limit::is_concurrency);
            draw.weighs &= !(rates && slots);
        }
        draws
    }
}
