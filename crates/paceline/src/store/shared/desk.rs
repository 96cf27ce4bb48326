//! What the lock of a shared ledger's account protects: who waits, what is out, what is to be asked.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use paceline_core::{Amounts, Millis, NEVER, Name, SessionId, TicketId};

use super::job::{Job, Part, Tell, Telling, What};
use super::plain::Plains;
use super::spent::Spent;
use crate::outage::Outage;
use crate::store::State;
use crate::sync::Wakers;
use crate::wire;

/// What the lock protects.
pub(super) struct Desk {
    /// Names, seats, the line of this process, and the ledger out of which it grants in an outage.
    pub(super) book: State,
    pub(super) tickets: BTreeMap<u64, Ticket>,
    /// The tickets that the store has not answered, by when it should have.
    pub(super) unanswered: BTreeSet<(Millis, u64)>,
    pub(super) permits: BTreeMap<u64, Held>,
    pub(super) queue: VecDeque<Job>,
    pub(super) session: Session,
    pub(super) flight: Option<Flight>,
    /// What this process says of the ledger, for each session anew.
    pub(super) parts: Vec<Arc<Part>>,
    pub(super) spent: Spent,
    pub(super) down: Option<Down>,
    /// How many sessions the store last knew alive.
    pub(super) alive: u64,
    /// What was used of the local share, and is not reported yet.
    pub(super) unreported: BTreeMap<(usize, Option<Name>), Amounts>,
    /// Tickets in sessions of their own.
    pub(super) plains: Plains,
    /// Where pushes for this process go.
    pub(super) channel: String,
    pub(super) lease: Millis,
    pub(super) next_lease: Millis,
    /// Whether the task runs, and whether its bell was rung.
    pub(super) running: bool,
    pub(super) rung: bool,
}

/// A session, and what the ledger last said.
#[derive(Default)]
pub(super) struct Session {
    pub(super) id: Option<SessionId>,
    pub(super) n: u64,
    pub(super) seen: u64,
    /// What the last batch acknowledged.
    pub(super) acknowledged: u64,
    pub(super) epoch: String,
    pub(super) seq: u64,
    pub(super) promised: u64,
    /// The store's clock at the step that was last answered.
    pub(super) wall: Millis,
    pub(super) last_sent: Millis,
    /// When a batch must follow, because this session keeps time.
    pub(super) keep_at: Option<Millis>,
    /// A batch should follow at once.
    pub(super) wanted: bool,
}

/// A batch that is not answered.
pub(super) struct Flight {
    pub(super) commands: Vec<u8>,
    pub(super) jobs: Vec<Job>,
}

/// A ticket of this process that is not decided.
pub(super) struct Ticket {
    pub(super) stage: Stage,
    pub(super) head_start: Millis,
    pub(super) wait: bool,
    pub(super) most_expected: Millis,
    pub(super) outage: Outage,
    /// When the store should have answered.
    pub(super) answer_by: Millis,
    /// It waits in the local ledger as well.
    pub(super) local: bool,
    pub(super) ahead: u64,
    /// Why it waits, where that was asked.
    pub(super) told: Option<wire::Explained>,
}

/// How far a ticket has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Not sent.
    Here,
    /// Sent, not answered.
    Sent,
    /// In the store's line.
    Waits,
    /// Its time-out passed, and the store is asked why it waited.
    Leaves,
    /// Sent, not answered, and nobody waits for it any more.
    Gone,
}

/// A permit of this process.
pub(super) struct Held {
    pub(super) permit: TicketId,
    pub(super) slot: usize,
    pub(super) lane: Option<Name>,
    pub(super) reserved: Amounts,
    pub(super) extra: Amounts,
    pub(super) since: Millis,
    pub(super) until: Millis,
    /// Its end is queued or sent.
    pub(super) ending: bool,
    /// It is of the local ledger.
    pub(super) local: bool,
}

/// An outage.
pub(super) struct Down {
    pub(super) since: Millis,
    pub(super) reason: String,
    /// Nothing but somebody's hand helps.
    pub(super) fatal: bool,
    /// When it is looked at next.
    pub(super) look_at: Millis,
    /// The local ledger has this process's share.
    pub(super) shared_out: bool,
}

/// What happens once the lock is open.
#[derive(Default)]
pub(super) struct After {
    pub(super) wakers: Wakers,
    pub(super) tellings: Vec<Telling>,
    pub(super) ring: bool,
    pub(super) start: bool,
}

impl After {
    pub(super) fn release(self) {
        self.wakers.release();
        self.tellings.into_iter().for_each(Telling::say);
    }
}

impl Ticket {
    pub(super) fn is_here(&self) -> bool {
        self.stage == Stage::Here
    }
}

impl Desk {
    pub(super) fn new(book: State, channel: String, lease: Millis) -> Self {
        Self {
            book,
            tickets: BTreeMap::new(),
            unanswered: BTreeSet::new(),
            permits: BTreeMap::new(),
            queue: VecDeque::new(),
            session: Session::default(),
            flight: None,
            parts: Vec::new(),
            spent: Spent::default(),
            down: None,
            alive: 1,
            unreported: BTreeMap::new(),
            plains: Plains::default(),
            channel,
            lease,
            next_lease: NEVER,
            running: false,
            rung: false,
        }
    }

    /// Queues a command, and rings for the task where nothing is under way that will lead to it.
    pub(super) fn push(&mut self, what: What, tell: Tell, now: Millis, after: &mut After) {
        self.queue.push_back(Job { what, tell, since: now });
        self.ring(after);
    }

    pub(super) fn ring(&mut self, after: &mut After) {
        if !self.running {
            (self.running, self.rung, after.start) = (true, true, true);
        } else if self.flight.is_none() && !self.rung {
            (self.rung, after.ring) = (true, true);
        }
    }

    /// Whether the session must stay alive.
    pub(super) fn is_needed(&self) -> bool {
        self.session.id.is_some()
            // Tickets are sent in the order of their numbers.
            && (self.tickets.first_key_value().is_some_and(|(_, ticket)| !ticket.is_here())
                || self.permits.values().any(|held| !held.local)
                || self.plains.is_polled())
    }

    /// Whether something is to be cancelled: that is done in the session which asked for it.
    fn cancels(&self) -> bool {
        self.queue.iter().any(|job| matches!(job.what, What::Cancel(_)))
    }

    /// Forgets an undecided ticket.
    pub(super) fn forget(&mut self, number: u64) -> Option<Ticket> {
        let ticket = self.tickets.remove(&number)?;
        self.unanswered.remove(&(ticket.answer_by, number));
        Some(ticket)
    }

    /// Returns the id of a permit or ticket of this process.
    pub(super) fn ticket_id(&self, number: u64) -> TicketId {
        let held = self.permits.get(&number).map(|held| held.permit);
        held.unwrap_or(TicketId { session: self.session.id.unwrap_or_default(), number })
    }

    /// Returns the amounts of a store's answer, with metrics as the local ledger numbers them.
    pub(super) fn amounts(&mut self, figures: &[(Name, u64)]) -> Amounts {
        let known = |(name, amount): &(Name, u64)| Some((self.book.ledger.metric(name)?, *amount));
        Amounts::of(figures.iter().filter_map(known))
    }

    /// Returns when something is due here by time alone.
    pub(super) fn next_due(&mut self, time_out: Millis) -> Option<Millis> {
        let line = if self.book.line.is_empty() { None } else { self.book.line.next_due() };
        let unanswered = self.unanswered.first().map(|(by, _)| *by);
        let lease = (!self.permits.is_empty()).then_some(self.next_lease);
        // What the task is about to send, or to send again, needs no reminder.
        let idle = self.flight.is_none() && !self.rung;
        let heartbeat = self.heartbeat_at(time_out).filter(|_| idle);
        let keep = self.session.keep_at.filter(|_| idle && self.session.id.is_some());
        let keep = keep.into_iter().chain(self.plains.due.filter(|_| idle)).min();
        let concerned = !self.tickets.is_empty() || !self.queue.is_empty() || self.flight.is_some();
        let outage = self.down.as_ref().filter(|_| concerned).map(|down| down.look_at);
        let all = [line, unanswered, lease, heartbeat, keep, outage].into_iter().flatten();
        all.chain(self.local_due()).min()
    }

    pub(super) fn heartbeat_at(&self, time_out: Millis) -> Option<Millis> {
        self.is_needed().then(|| self.session.last_sent.saturating_add(time_out / 3))
    }

    /// Whether a batch should go out now.
    pub(super) fn wants_batch(&self, now: Millis, time_out: Millis) -> bool {
        self.flight.is_some()
            || !self.queue.is_empty()
            || self.plains.due.is_some_and(|at| at <= now)
            || self.session.id.is_some()
                && (self.session.wanted
                    || self.session.keep_at.is_some_and(|at| at <= now)
                    || self.heartbeat_at(time_out).is_some_and(|at| at <= now))
    }

    /// Whether what is queued can wait an instant for a caller to join.
    pub(super) fn may_linger(&self) -> bool {
        self.flight.is_none()
            && !self.queue.is_empty()
            && self.queue.iter().all(|job| matches!(job.what, What::Settle { .. }))
    }

    /// Builds the next batch, or returns the one that is not answered.
    pub(super) fn batch(&mut self, frame: &Frame<'_>, now: Millis) -> Option<Vec<u8>> {
        self.rung = false;
        if let Some(flight) = &self.flight {
            return Some(self.framed(frame, now, &flight.commands, flight.jobs.len()));
        }
        if !self.wants_batch(now, frame.time_out) {
            return None;
        }
        let silent = now.saturating_sub(self.session.last_sent) >= frame.time_out / 2;
        if self.session.id.is_none() || silent && !self.is_needed() && !self.cancels() {
            self.open_session();
        }
        self.report_local(now);
        let (mut commands, mut jobs) = (Vec::with_capacity(512), Vec::new());
        while jobs.len() < wire::COMMANDS
            && let Some(job) = self.queue.pop_front()
        {
            if self.write(&mut commands, &job, now) {
                self.note_sent(&job.what);
                jobs.push(job);
            }
        }
        if jobs.is_empty() && !self.wants_batch(now, frame.time_out) && self.session.n > 0 {
            return None;
        }
        let session = &mut self.session;
        session.n += 1;
        (session.last_sent, session.wanted, session.keep_at) = (now, false, None);
        self.plains.due = self.plains.due.filter(|at| *at > now);
        session.acknowledged = session.seen;
        let bytes = self.framed(frame, now, &commands, jobs.len());
        self.flight = Some(Flight { commands, jobs });
        Some(bytes)
    }

    /// Puts the commands of a batch behind their header. Of one that is sent again the server may be another.
    fn framed(&self, frame: &Frame<'_>, now: Millis, commands: &[u8], jobs: usize) -> Vec<u8> {
        let session = &self.session;
        let header = wire::Header {
            session: session.id,
            n: session.n,
            seen: session.acknowledged,
            epoch: &session.epoch,
            seq: session.seq,
            promised: session.promised,
            time_out: frame.time_out,
            inbox: frame.channel,
            sharded: frame.sharded,
            run_id: frame.run_id,
            fresh: frame.fresh,
            on_lost: frame.on_lost,
            now: frame.told_time.then_some(now),
        };
        let mut bytes = Vec::with_capacity(commands.len() + 256);
        wire::write_header(&mut bytes, &header, jobs);
        bytes.extend_from_slice(commands);
        bytes
    }

    /// Begins a new session: what this process says of the ledger comes first.
    pub(super) fn open_session(&mut self) {
        self.session.id = Some(crate::store::here::random_session());
        (self.session.n, self.session.seen, self.session.acknowledged) = (0, 0, 0);
        (self.session.keep_at, self.session.wanted) = (None, false);
        self.queue.retain(|job| !matches!(job.what, What::Configure(_)));
        self.preface();
    }

    pub(super) fn preface(&mut self) {
        for part in self.parts.iter().rev() {
            let what = What::Configure(Arc::clone(part));
            self.queue.push_front(Job { what, tell: Tell::Nobody, since: NEVER });
        }
    }

    fn note_sent(&mut self, what: &What) {
        if let What::Acquire(number) = what
            && let Some(ticket) = self.tickets.get_mut(number)
        {
            ticket.stage = Stage::Sent;
        }
    }
}

/// What is the same in every header.
pub(super) struct Frame<'a> {
    pub(super) time_out: Millis,
    pub(super) channel: &'a str,
    pub(super) sharded: bool,
    pub(super) run_id: &'a str,
    pub(super) fresh: &'a str,
    pub(super) on_lost: &'a str,
    /// Whether the store is told the time.
    pub(super) told_time: bool,
}
