//! The reference model: the ledger's rules written down a second time, slowly and plainly, to compare with.
//!
//! It keeps every event and goes through all of them for every question, keeps tickets in one list that it sorts
//! when it looks at it, and tries things out on copies of itself.

mod commands;
mod configure;
mod meter;
mod settle;
mod walk;

use std::collections::{BTreeMap, BTreeSet};

use paceline_core::{Decision, Millis, NEVER, Refusal, ResourceSpec, SessionId, TicketId, Verdict};

use crate::exam::ask::{Answer, Ask, LimitFacts, On, ResourceFacts, Subject, View, Wants};
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
    /// Tickets that the sweep has still to look at.
    to_look_at: Vec<TicketId>,
    grants_left: usize,
    looks_left: usize,
    /// Names that were ever known.
    known: BTreeSet<On>,
}

/// A place where tickets queue: a resource, and a lane of it or `None`; the flag is set for its `other`.
type Lane = (String, Option<String>, bool);

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
        (self.grants_left, self.looks_left) = (BOUND, BOUND);
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
        while self.looks_left > 0 && !self.to_look_at.is_empty() {
            let id = self.to_look_at.remove(0);
            if let Some(ticket) = self.tickets.iter().find(|ticket| ticket.id == id).cloned() {
                self.looks_left -= 1;
                if let Some(refusal) = self.doom(&ticket) {
                    self.refuse(&ticket, refusal);
                }
            }
        }
    }

    /// Marks all that waits to be looked at.
    fn mark(&mut self) {
        let mut all: Vec<&Ticket> = self.tickets.iter().collect();
        all.sort_by_key(|ticket| (&ticket.lane, ticket.rank, ticket.arrival));
        self.to_look_at = all.iter().map(|ticket| ticket.id).collect();
    }

    fn is_dead(&self, session: SessionId) -> bool {
        self.sessions.get(&session).is_none_or(|session| session.dead)
    }

    /// Why a waiting ticket will not be served, if so.
    fn doom(&self, ticket: &Ticket) -> Option<Refusal> {
        if ticket.purged {
            return Some(Refusal::Purged);
        }
        if !self.resources.contains_key(&ticket.resource) {
            return Some(Refusal::NoResource);
        }
        self.refused_by_pause(&ticket.resource, ticket.named.as_deref(), &ticket.demand)
            .or_else(|| self.impossible(&ticket.resource, ticket.named.as_deref(), &ticket.demand))
    }

    fn refuse(&mut self, ticket: &Ticket, refusal: Refusal) {
        self.tickets.retain(|other| other.id != ticket.id);
        self.decided.push(Decision { ticket: ticket.id, verdict: Verdict::Refused(refusal) });
    }

    /// The limits on which a caller draws with this demand.
    fn drawn(&self, resource: &str, lane: Option<&str>, demand: &Wants) -> Vec<(&String, &Meter, i128)> {
        let members = self.limits.iter().filter(|(_, limit)| {
            limit
                .spec
                .members
                .iter()
                .any(|member| *member.resource == *resource && member.lanes.contain(lane))
        });
        members
            .filter_map(|(name, limit)| Some((name, limit, i128::from(*demand.get(&*limit.spec.metric)?))))
            .filter(|(_, _, amount)| *amount > 0)
            .collect()
    }

    /// What is held apart on a limit.
    fn held(&self, name: &str) -> i128 {
        let Some(limit) = self.limits.get(name).filter(|limit| limit.holds()) else { return 0 };
        let attached = self
            .holds
            .iter()
            .filter(|hold| hold.notes.get(name).is_some_and(|note| note.generation == limit.generation));
        let metric = &*limit.spec.metric;
        let held = attached.map(|hold| match limit.is_concurrency() {
            true => hold.reserved.get(metric).copied().unwrap_or(0),
            false => hold.total(metric),
        });
        held.map(i128::from).sum()
    }

    fn pause_left(&self, on: &On) -> Option<i128> {
        let pause = self.pauses.get(on)?;
        Some(pause.ends.map_or(i128::from(NEVER), |ends| ends - self.now.clock))
    }
}

impl Hold {
    fn total(&self, metric: &str) -> u64 {
        self.reserved.get(metric).unwrap_or(&0) + self.extra.get(metric).unwrap_or(&0)
    }
}

impl Subject for Model {
    fn batch(&mut self, now: Millis, asks: &[Ask]) -> Vec<Answer> {
        self.begin_step(now);
        if asks.is_empty() {
            self.walk(None);
        }
        let mut answers = Vec::new();
        for ask in asks {
            let answer = self.obey(ask);
            answers.push(answer);
        }
        answers
    }

    fn next_wakeup(&mut self) -> Option<Millis> {
        self.due().map(|due| Millis::try_from(due).unwrap_or(NEVER))
    }

    fn drain(&mut self) -> Vec<Decision> {
        std::mem::take(&mut self.decided)
    }

    fn view(&mut self, _: Millis) -> View {
        let millis = |left: i128| Millis::try_from(left).unwrap_or(NEVER);
        let limits = self.limits.iter().map(|(name, limit)| {
            let held = self.held(name);
            let facts = LimitFacts {
                left: i64::try_from(limit.available(self.now, 0, held)).unwrap_or(i64::MIN),
                held: if limit.is_concurrency() { 0 } else { u64::try_from(held).unwrap_or(0) },
                amount: u64::try_from(limit.amount()).unwrap_or(0),
                most: u64::try_from(limit.most()).unwrap_or(0),
                paused: self.pause_left(&On::Limit(name.clone())).map(millis),
            };
            (name.clone(), facts)
        });
        let resources = self.resources.keys().map(|name| {
            let mut lanes = BTreeMap::new();
            for ticket in self.tickets.iter().filter(|ticket| ticket.resource == *name) {
                let lane = if ticket.lane.2 { Some("other".into()) } else { ticket.lane.1.clone() };
                *lanes.entry(lane).or_insert(0) += 1;
            }
            let facts = ResourceFacts {
                waiting: lanes.values().sum(),
                in_flight: self.holds.iter().filter(|hold| hold.resource == *name).count() as u64,
                paused: self.pause_left(&On::Resource(name.clone())).map(millis),
                lanes,
            };
            (name.clone(), facts)
        });
        View { limits: limits.collect(), resources: resources.collect() }
    }

    fn dump(&mut self) -> Option<String> {
        None
    }
}
