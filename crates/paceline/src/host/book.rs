//! One ledger as sessions see it: a batch is one step. What was lost is noticed here, and recovered.

use std::collections::{BTreeMap, HashMap};

use paceline_core::{Decision, Ledger, Millis, NEVER, Name, OnLost, SessionId, Verdict};

use super::configure::InForce;
use super::marks::Marks;
use super::seat::Seat;
use super::tally::Tallies;
use crate::wire::{Asked, Batch, Head, Header, Out, Written, write_push, write_reply};

const HOUR: Millis = 3_600_000;

/// A promise without an end.
const FOR_EVER: u64 = 1 << 52;

/// The state of one ledger.
#[derive(Clone)]
pub(super) struct Book {
    pub(super) ledger: Ledger,
    pub(super) epoch: String,
    /// Counts the steps.
    pub(super) seq: u64,
    pub(super) run_id: String,
    /// Until when it was promised to exist, by the store's clock.
    pub(super) kept_until: u64,
    /// Up to which step it was restored, below zero where nothing was; `None` where it never lost anything.
    pub(super) restored: Option<i64>,
    /// Who keeps time, and when it has to speak by the ledger's clock.
    pub(super) keeper: Option<SessionId>,
    keeper_due: Millis,
    /// How long it must be kept when nobody uses it.
    keep_for: Millis,
    pub(super) seats: HashMap<SessionId, Seat>,
    /// Whose configuration is in force, by resource.
    pub(super) in_force: BTreeMap<Name, InForce>,
    pub(super) marks: Marks,
    pub(super) tallies: Tallies,
    /// It was begun again from marks that cover all that was granted before this epoch.
    is_covered: bool,
}

/// What came of a batch.
pub(super) struct Served {
    pub(super) reply: Vec<u8>,
    /// Channels and payloads.
    pub(super) pushes: Vec<(String, Vec<u8>)>,
}

/// What is decided in a step, in the order in which it was.
pub(super) enum Told {
    Decided(Decision),
    /// Another configuration of a resource won: this content.
    Differs(Name, Name),
}

/// What is to be pushed to a session.
#[derive(Default)]
struct Push {
    entries: Written,
    due: Option<Millis>,
}

/// Whether a batch is applied.
enum Admitted {
    Yes,
    /// It was applied before.
    Kept,
    No(&'static str),
}

/// Whether a batch of nobody's only looks: such begins nothing.
pub(super) fn only_looks(batch: &Batch<'_>) -> bool {
    batch.header.session.is_none() && !batch.commands.is_empty() && batch.commands.iter().all(Asked::is_look)
}

/// Answers looks at a ledger that does not exist.
pub(super) fn look_at_nothing(batch: &Batch<'_>, now: Millis) -> Vec<u8> {
    Book::new(batch, 0).look(batch, now)
}

/// Applies a batch. `is_told` where the time is told: then run ids are too, and what is nobody's is an exam.
pub(super) fn serve(slot: &mut Option<Book>, batch: &Batch<'_>, now: Millis, is_told: bool) -> Served {
    let alone = |reply| Served { reply, pushes: Vec::new() };
    if only_looks(batch) {
        let looked = slot.as_mut().map(|book| book.look(batch, now));
        return alone(looked.unwrap_or_else(|| look_at_nothing(batch, now)));
    }
    let begun = slot.is_none();
    let book = slot.get_or_insert_with(|| Book::new(batch, epoch_number(batch.header.epoch)));
    book.ledger.set_on_lost(on_lost(batch.header.on_lost));
    let lost = book.notice_loss(batch, now, begun);
    let is_new_run = is_told && lost.is_none();
    match lost.unwrap_or_else(|| book.admit(batch, now)) {
        Admitted::Kept => alone(book.kept(batch)),
        Admitted::No(status) => {
            if is_new_run && status == "lost" {
                book.notice_run(batch, now);
            }
            let reply = book.refuse(status, batch, now);
            if begun && status != "lost" {
                *slot = None;
            }
            alone(reply)
        }
        Admitted::Yes => {
            if is_new_run {
                book.notice_run(batch, now);
            }
            book.step(batch, now, is_told && batch.header.session.is_none())
        }
    }
}

/// The number of an epoch, 0 where it has none.
pub(super) fn epoch_number(epoch: &str) -> u64 {
    epoch.split_once('-').and_then(|(number, _)| number.parse().ok()).unwrap_or(0)
}

fn on_lost(name: &str) -> OnLost {
    match name {
        "empty" => OnLost::Empty,
        "full" => OnLost::Full,
        _ => OnLost::Elapsed,
    }
}

fn epoch_after(number: u64, fresh: &str) -> String {
    format!("{}-{fresh}", number.saturating_add(1))
}

impl Book {
    fn new(batch: &Batch<'_>, after: u64) -> Self {
        let mut ledger = Ledger::new();
        ledger.tell_ended();
        Self {
            ledger,
            epoch: epoch_after(after, batch.header.fresh),
            seq: 0,
            run_id: batch.header.run_id.to_owned(),
            kept_until: 0,
            restored: None,
            keeper: None,
            keeper_due: 0,
            keep_for: HOUR,
            seats: HashMap::new(),
            in_force: BTreeMap::new(),
            marks: Marks::begun(),
            tallies: Tallies::default(),
            is_covered: false,
        }
    }

    /// Returns a ledger that goes on from what was kept of it.
    pub(super) fn again(now: Millis, fresh: &str) -> Self {
        let mut book =
            Self::new(&Batch { header: Header { fresh, ..Header::default() }, commands: Vec::new() }, 0);
        book.ledger.reach(now);
        (book.restored, book.is_covered, book.marks.is_outline_new) = (Some(0), true, true);
        book
    }

    pub(super) fn begin_epoch_after(&mut self, number: u64, fresh: &str) {
        self.epoch = epoch_after(number, fresh);
    }

    /// Looks at what the session knows, and at what the ledger does: whether something was lost.
    fn notice_loss(&mut self, batch: &Batch<'_>, now: Millis, begun: bool) -> Option<Admitted> {
        let header = &batch.header;
        let known = epoch_number(header.epoch);
        if begun {
            self.ledger.reach(now);
            if header.epoch.is_empty() || now >= header.promised {
                return None;
            }
            self.lose(batch, -1, known);
            return Some(Admitted::No("lost"));
        }
        if header.epoch.is_empty() || header.epoch == self.epoch && header.seq <= self.seq {
            return None;
        }
        self.ledger.reach(now);
        if header.epoch == self.epoch {
            self.lose(batch, self.steps(), 0);
        } else if known >= epoch_number(&self.epoch) {
            self.lose(batch, -1, known);
        }
        Some(Admitted::No("lost"))
    }

    fn steps(&self) -> i64 {
        i64::try_from(self.seq).unwrap_or(i64::MAX)
    }

    /// What a session knows was forgotten: a new epoch, in which everybody says what was granted to them since.
    fn lose(&mut self, batch: &Batch<'_>, restored: i64, after: u64) {
        self.epoch = epoch_after(after.max(epoch_number(&self.epoch)), batch.header.fresh);
        self.restored = Some(restored);
        (self.is_covered, self.marks.is_epoch_new) = (false, true);
        // What was assumed of the long limits is kept with their marks.
        self.marks.is_outline_new = true;
        self.ledger.lose(restored < 0, batch.header.time_out);
    }

    fn notice_run(&mut self, batch: &Batch<'_>, now: Millis) {
        let header = &batch.header;
        if header.run_id.is_empty() || header.run_id == self.run_id {
            return;
        }
        if !self.run_id.is_empty() {
            let time_out = if header.time_out == 0 { 10_000 } else { header.time_out };
            self.ledger.hold_off(now, time_out / 3);
        }
        header.run_id.clone_into(&mut self.run_id);
    }

    /// What happens before a batch is applied.
    fn admit(&mut self, batch: &Batch<'_>, now: Millis) -> Admitted {
        let (Some(session), n) = (batch.header.session, batch.header.n) else { return Admitted::Yes };
        let dead = self.ledger.session_is_dead(session);
        let seat = self.seats.get_mut(&session).filter(|_| dead.is_some());
        let (mut last, in_another) = seat.as_ref().map_or((0, false), |seat| {
            (seat.last, seat.epoch.as_ref().is_some_and(|epoch| *epoch != self.epoch))
        });
        if in_another {
            if n != 1 {
                self.ledger.reach(now);
                return Admitted::No("lost");
            }
            // A grant that it has not heard of is gone with its outbox: it may ask for that ticket again.
            if let Some(seat) = seat {
                seat.begin_again(&self.epoch);
            }
            self.ledger.readmit(session);
            last = 0;
        }
        match dead {
            Some(false) => {}
            None if n == 1 => return Admitted::Yes,
            Some(true) | None => return Admitted::No("expired"),
        }
        if n == last && n > 0 {
            return Admitted::Kept;
        }
        if n <= last {
            return Admitted::No("stale");
        }
        if n > last + 1 {
            self.ledger.reach(now);
            self.lose(batch, self.steps(), 0);
            return Admitted::No("lost");
        }
        Admitted::Yes
    }

    fn kept(&self, batch: &Batch<'_>) -> Vec<u8> {
        let seat = batch.header.session.and_then(|session| self.seats.get(&session));
        seat.map(|seat| seat.kept.clone()).unwrap_or_default()
    }

    fn head(&self, status: &'static str, wall: Millis, due: Option<Millis>) -> Head<'_> {
        Head {
            status,
            epoch: &self.epoch,
            seq: self.seq,
            kept_until: self.kept_until,
            wall,
            due,
            alive: self.ledger.sessions_alive(),
            restored: self.restored.unwrap_or(-1),
        }
    }

    fn refuse(&self, status: &'static str, batch: &Batch<'_>, now: Millis) -> Vec<u8> {
        let nothing = Written::default();
        let mut head = self.head(status, now, None);
        if self.is_covered {
            // Whatever this session was granted is counted.
            head.restored = i64::try_from(batch.header.seq).unwrap_or(i64::MAX);
        }
        write_reply(&head, &nothing, &nothing, None)
    }

    fn look(&mut self, batch: &Batch<'_>, now: Millis) -> Vec<u8> {
        let mut outcomes = Written::default();
        for command in &batch.commands {
            outcomes.one(|out| self.look_once(command, now, out));
        }
        let wall = if matches!(batch.commands.first(), Some(Asked::Dump)) { self.ledger.wall() } else { now };
        write_reply(&self.head("ok", wall, None), &Written::default(), &outcomes, None)
    }

    fn step(&mut self, batch: &Batch<'_>, now: Millis, is_exam: bool) -> Served {
        let session = batch.header.session;
        self.ledger.begin_step(now);
        self.seq += 1;
        for ended in self.ledger.drain_ended() {
            self.seats.remove(&ended);
        }
        if let Some(session) = session {
            self.take_seat(session, batch);
        }
        let (mut told, mut outcomes) = (Vec::new(), Written::default());
        for command in &batch.commands {
            self.carry_out(command, session, &mut told, &mut outcomes);
        }
        if batch.commands.is_empty() {
            self.ledger.walk_on();
        }
        told.extend(self.ledger.drain().map(Told::Decided));
        for one in &told {
            if let Told::Decided(decision) = one {
                self.tallies.decided(decision, &self.ledger);
            }
        }
        if is_exam {
            return self.examined(told, &outcomes);
        }
        let mut pushes = self.post(told, session);
        let due = self.keep_time(session, &mut pushes);
        self.keep_alive();
        let outbox = session.and_then(|session| self.seats.get(&session));
        let outbox = outbox.map(|seat| seat.outbox(batch.header.seen)).unwrap_or_default();
        let reply = write_reply(&self.head("ok", now, due), &outbox, &outcomes, None);
        if let Some(seat) = session.and_then(|session| self.seats.get_mut(&session)) {
            seat.kept.clone_from(&reply);
        }
        Served { reply, pushes: self.addressed(pushes) }
    }

    fn take_seat(&mut self, session: SessionId, batch: &Batch<'_>) {
        self.ledger.renew(session, Some(batch.header.time_out));
        let seat = self.seats.entry(session).or_default();
        seat.last = batch.header.n;
        if seat.inbox != batch.header.inbox {
            batch.header.inbox.clone_into(&mut seat.inbox);
        }
        if seat.epoch.as_ref() != Some(&self.epoch) {
            seat.epoch = Some(self.epoch.clone());
        }
        seat.acknowledge(batch.header.seen);
    }

    /// What an exam is told: all decisions at once, whose they are, and when the ledger would change by itself.
    fn examined(&mut self, told: Vec<Told>, outcomes: &Written) -> Served {
        let due = self.ledger.next_wakeup().unwrap_or(NEVER);
        let wall = self.ledger.wall();
        let (mut entries, mut whose) = (Written::default(), Vec::new());
        for decision in told {
            if let Told::Decided(decision) = decision {
                whose.push(decision.ticket.session);
                let k = whose.len() as u64;
                entries.one(|out| write_decision(out, k, &decision, wall));
            }
        }
        let head = Head { restored: -1, ..self.head("ok", wall, Some(due)) };
        let reply = write_reply(&head, &entries, outcomes, Some(&whose));
        Served { reply, pushes: Vec::new() }
    }

    /// Puts what was decided into its owners' outboxes, and returns what has to be pushed.
    fn post(&mut self, told: Vec<Told>, caller: Option<SessionId>) -> BTreeMap<SessionId, Push> {
        let mut pushes: BTreeMap<SessionId, Push> = BTreeMap::new();
        let wall = self.ledger.wall();
        let mut give =
            |seats: &mut HashMap<SessionId, Seat>, to: SessionId, write: &dyn Fn(&mut Out<'_>, u64)| {
                let entry = seats.entry(to).or_default().give(|k| {
                    let mut entry = Vec::with_capacity(32);
                    write(&mut Out::to(&mut entry), k);
                    entry
                });
                if Some(to) != caller {
                    pushes.entry(to).or_default().entries.add(entry);
                }
            };
        for one in told {
            match one {
                Told::Decided(decision) => {
                    let to = decision.ticket.session;
                    if self.ledger.session_is_dead(to) == Some(false) {
                        give(&mut self.seats, to, &|out, k| write_decision(out, k, &decision, wall));
                    }
                }
                Told::Differs(resource, content) => {
                    let ledger = &self.ledger;
                    let others = self.seats.iter().filter(|(id, seat)| {
                        ledger.session_is_timed(**id)
                            && seat.contents.get(&resource).is_some_and(|own| *own != content)
                    });
                    let others: Vec<SessionId> = others.map(|(id, _)| *id).collect();
                    for to in others {
                        give(&mut self.seats, to, &|out, k| out.differs(k, &resource));
                    }
                }
            }
        }
        pushes
    }

    /// Who keeps time: the owner of the head that is due first. Returns when it is the caller, and tells another.
    fn keep_time(
        &mut self,
        caller: Option<SessionId>,
        pushes: &mut BTreeMap<SessionId, Push>,
    ) -> Option<Millis> {
        let Some((due, whose)) = self.ledger.keep_time(caller) else {
            self.keeper = None;
            return None;
        };
        let clock = self.ledger.clock();
        let at = clock.saturating_add(due);
        let is_told = self.keeper == whose && self.keeper_due <= at && self.keeper_due > clock;
        if is_told && whose != caller {
            return None;
        }
        (self.keeper, self.keeper_due) = (whose, at);
        if whose == caller {
            return Some(due);
        }
        if let Some(whose) = whose {
            pushes.entry(whose).or_default().due = Some(due);
        }
        None
    }

    fn keep_alive(&mut self) {
        let left = self.kept_until.saturating_sub(self.ledger.wall());
        if left <= self.keep_for / 2 && self.kept_until < FOR_EVER {
            self.kept_until = self.ledger.wall().saturating_add(self.ledger.keep()).min(FOR_EVER);
        }
    }

    /// Takes note that the limits are others.
    pub(super) fn configured(&mut self) {
        self.keep_for = self.ledger.keep();
        self.marks.is_outline_new = true;
    }

    fn addressed(&self, pushes: BTreeMap<SessionId, Push>) -> Vec<(String, Vec<u8>)> {
        let payload = |(to, push): (SessionId, Push)| {
            let seat = self.seats.get(&to).filter(|seat| !seat.inbox.is_empty())?;
            Some((seat.inbox.clone(), write_push(to, &self.epoch, &push.entries, push.due)))
        };
        pushes.into_iter().filter_map(payload).collect()
    }
}

fn write_decision(out: &mut Out<'_>, k: u64, decision: &Decision, wall: Millis) {
    let number = decision.ticket.number;
    match &decision.verdict {
        Verdict::Granted { waited } => out.granted(k, number, *waited, wall),
        Verdict::Refused(refusal) => out.refused(k, number, refusal),
    }
}
