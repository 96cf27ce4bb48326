//! The reference model: the ledger's rules written down a second time, slowly and plainly, to compare with.
//!
//! It keeps every event and goes through all of them for every question, keeps tickets in one list that it sorts
//! when it looks at it, and tries things out on copies of itself.

mod bucket;
mod calendar;
mod commands;
mod configure;
mod meter;
mod refuse;
mod settle;
mod view;
mod walk;

use std::collections::{BTreeMap, BTreeSet};

use paceline_core::{Decision, Millis, NEVER, Refusal, ResourceSpec, SessionId, TicketId, Verdict};

use crate::exam::ask::{On, Wants};
use meter::{Instant, Meter, Note};

/// What one step may do at most of each kind.
const BOUND: usize = 64;

/// The model of a ledger.
#[derive(Debug, Clone, Default)]
pub struct Model {
    now: Instant,
    started: bool,
    limits: BTreeMap<String, Meter>,
    resources: BTreeMap<String, ResourceSpec>,
    /// Resources that are no more, as they were: who still waits there keeps the place.
    removed: BTreeMap<String, ResourceSpec>,
    pauses: BTreeMap<On, Pause>,
    sessions: BTreeMap<SessionId, Session>,
    tickets: Vec<Ticket>,
    holds: Vec<Hold>,
    lanes: BTreeMap<Lane, i128>,
    /// The largest virtual time at which a grant was made.
    v: i128,
    arrivals: u64,
    generations: u64,
    decided: Vec<Decision>,
    /// Sessions that are dead and not yet swept, in order of death.
    dead: Vec<SessionId>,
    /// The sweep of the line: the last arrival that it concerns, and the last ticket that it has looked at.
    sweep: Option<(u64, Option<Place>)>,
    /// The step ended with something left to do.
    more: bool,
    grants_left: usize,
    looks_left: usize,
    /// Names that were ever known.
    known: BTreeSet<On>,
}

/// A place where tickets queue: a resource, and a lane of it or `None`.
type Lane = (String, Option<String>);

/// A ticket's place in a line: its lane, rank and arrival.
type Place = (Lane, i128, u64);

#[derive(Debug, Clone, Copy)]
struct Pause {
    ends: Option<i128>,
    refuse: bool,
}

#[derive(Debug, Clone, Copy)]
struct Session {
    time_out: Option<i128>,
    deadline: Option<i128>,
    highest: u64,
    dead: bool,
}

#[derive(Debug, Clone)]
struct Ticket {
    id: TicketId,
    resource: String,
    /// The lane that the caller named.
    named: Option<String>,
    /// The lane in which the ticket waits.
    lane: Lane,
    demand: Wants,
    rank: i128,
    arrival: u64,
    arrived: i128,
    purged: bool,
}

#[derive(Debug, Clone)]
struct Hold {
    id: TicketId,
    owner: SessionId,
    resource: String,
    named: Option<String>,
    reserved: Wants,
    extra: Wants,
    notes: BTreeMap<String, Note>,
}

impl Model {
    /// Returns an empty ledger's model.
    pub fn new() -> Self {
        Self::default()
    }

    fn begin_step(&mut self, now: Millis) {
        let wall = i128::from(now);
        let passed = if self.started { (wall - self.now.wall).max(0) } else { wall };
        self.now = Instant { clock: self.now.clock + passed, wall };
        let gap = if self.started { passed } else { 0 };
        self.started = true;
        (self.grants_left, self.looks_left, self.more) = (BOUND, BOUND, false);
        for limit in self.limits.values_mut() {
            limit.roll(wall);
        }
        self.end_pauses();
        self.end_lowered();
        self.expire(gap);
        self.sweep();
    }

    fn expire(&mut self, gap: i128) {
        let clock = self.now.clock;
        for session in self.sessions.values_mut().filter(|session| !session.dead) {
            if let Some(time_out) = session.time_out.filter(|time_out| gap * 2 > *time_out) {
                session.deadline = Some(clock + time_out);
            }
        }
        for session in self.due_sessions().into_iter().take(BOUND) {
            self.kill(session);
        }
    }

    /// Sessions whose time is up, earliest first.
    fn due_sessions(&self) -> Vec<SessionId> {
        let clock = self.now.clock;
        let alive = self.sessions.iter().filter(|(_, session)| !session.dead);
        let mut due: Vec<_> = alive
            .filter_map(|(id, session)| Some((session.deadline.filter(|deadline| *deadline <= clock)?, *id)))
            .collect();
        due.sort_unstable();
        due.into_iter().map(|(_, id)| id).collect()
    }

    fn kill(&mut self, id: SessionId) {
        if let Some(session) = self.sessions.get_mut(&id).filter(|session| !session.dead) {
            session.dead = true;
            self.dead.push(id);
        }
    }

    fn sweep(&mut self) {
        while let Some(session) = self.dead.first().copied() {
            let mut owned: Vec<TicketId> =
                self.holds.iter().filter(|hold| hold.owner == session).map(|hold| hold.id).collect();
            owned.extend(self.tickets.iter().map(|ticket| ticket.id).filter(|id| id.session == session));
            owned.sort_unstable();
            for id in owned {
                if self.looks_left == 0 {
                    return;
                }
                self.looks_left -= 1;
                self.tickets.retain(|ticket| ticket.id != id);
                self.end_hold(id);
            }
            self.dead.remove(0);
            self.sessions.remove(&session);
        }
        while let (Some((until, after)), true) = (self.sweep.take(), self.looks_left > 0) {
            let Some(ticket) = self.first_after(after.as_ref()) else { return };
            self.sweep = Some((until, Some(ticket.place())));
            self.looks_left -= 1;
            if ticket.arrival > until {
                continue;
            }
            if self.is_dead(ticket.id.session) {
                self.tickets.retain(|other| other.id != ticket.id);
            } else if let Some(refusal) = self.doom(&ticket) {
                self.refuse(&ticket, refusal);
            }
            if self.first_after(Some(&ticket.place())).is_none() {
                self.sweep = None;
                return;
            }
            if self.looks_left == 0 {
                return;
            }
        }
    }

    fn first_after(&self, place: Option<&Place>) -> Option<Ticket> {
        let after = self.tickets.iter().filter(|ticket| place.is_none_or(|place| ticket.place() > *place));
        after.min_by_key(|ticket| ticket.place()).cloned()
    }

    /// Has all that waits looked at.
    fn mark(&mut self) {
        if !self.tickets.is_empty() {
            self.sweep = Some((self.arrivals, None));
        }
    }

    fn is_dead(&self, session: SessionId) -> bool {
        self.sessions.get(&session).is_none_or(|session| session.dead)
    }

    /// Why a waiting ticket will not be served, if so.
    fn doom(&self, ticket: &Ticket) -> Option<Refusal> {
        let (resource, lane) = (ticket.resource.as_str(), ticket.named.as_deref());
        let Some(spec) = self.resources.get(resource) else { return Some(Refusal::NoResource) };
        if ticket.purged {
            return Some(Refusal::Purged);
        }
        if let Some(lane) = lane.filter(|_| !spec.lanes.is_empty() && self.declared(resource, lane).is_none())
        {
            return Some(Refusal::UnknownLane { lane: lane.into() });
        }
        let limits = self.refused_by_limits(resource, lane, &ticket.demand);
        limits.or_else(|| self.refused_by_pause(&On::Resource(resource.into())))
    }

    fn refuse(&mut self, ticket: &Ticket, refusal: Refusal) {
        self.tickets.retain(|other| other.id != ticket.id);
        self.decided.push(Decision { ticket: ticket.id, verdict: Verdict::Refused(refusal) });
    }

    /// The limits on which a caller draws with this demand.
    fn drawn(&self, resource: &str, lane: Option<&str>, demand: &Wants) -> Vec<(&String, &Meter, i128)> {
        self.members(resource, lane)
            .filter_map(|(name, limit)| Some((name, limit, i128::from(*demand.get(&*limit.spec.metric)?))))
            .filter(|(_, _, amount)| *amount > 0)
            .collect()
    }

    /// The limits on which a caller draws, whatever it wants.
    fn members<'a>(
        &'a self,
        resource: &str,
        lane: Option<&str>,
    ) -> impl Iterator<Item = (&'a String, &'a Meter)> {
        self.limits.iter().filter(move |(_, limit)| {
            limit
                .spec
                .members
                .iter()
                .any(|member| *member.resource == *resource && member.lanes.contain(lane))
        })
    }

    /// What is held apart on a limit.
    fn held(&self, name: &str) -> i128 {
        let Some(limit) = self.limits.get(name).filter(|limit| limit.holds()) else { return 0 };
        let attached = self
            .holds
            .iter()
            .filter(|hold| hold.notes.get(name).is_some_and(|note| note.generation == limit.generation));
        let metric = &*limit.spec.metric;
        let held = attached.map(|hold| {
            if limit.is_concurrency() {
                hold.reserved.get(metric).copied().unwrap_or(0)
            } else {
                hold.total(metric)
            }
        });
        held.map(i128::from).sum()
    }

    fn pause_left(&self, on: &On) -> Option<i128> {
        let pause = self.pauses.get(on)?;
        Some(pause.ends.map_or(i128::from(NEVER), |ends| ends - self.now.clock))
    }
}

impl Ticket {
    fn place(&self) -> Place {
        (self.lane.clone(), self.rank, self.arrival)
    }
}

impl Hold {
    fn total(&self, metric: &str) -> u64 {
        self.reserved.get(metric).unwrap_or(&0) + self.extra.get(metric).unwrap_or(&0)
    }
}
