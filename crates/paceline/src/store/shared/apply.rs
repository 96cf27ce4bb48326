//! What a reply or a push changes.

use std::time::Duration;

use paceline_core::{Amounts, Command, Explanation, Millis, NEVER, Name, Refusal, TicketId, Usage};

use super::account::About;
use super::desk::{After, Desk, Held, Stage};
use super::job::{Job, Tell, Telling, What};
use crate::events::Event;
use crate::permit::Settled;
use crate::store::line::End;
use crate::wire::{Answer, Decided, Entry, Push, Reply, Status};
use crate::{Error, PermitId};

/// How many entries of the outbox are left unacknowledged.
const UNACKNOWLEDGED: u64 = 64;

impl About {
    /// Takes a reply over; an error where the store cannot be worked with.
    pub(super) fn apply(
        &self,
        desk: &mut Desk,
        reply: Reply,
        now: Millis,
        after: &mut After,
    ) -> Result<(), String> {
        let Some(flight) = desk.flight.take() else { return Ok(()) };
        match reply.status {
            Status::Ok if reply.outcomes.len() == flight.jobs.len() => {}
            Status::Ok => {
                desk.flight = Some(flight);
                return Err("it answered another number of commands than it was asked".to_owned());
            }
            Status::Newer => {
                desk.flight = Some(flight);
                return Err(
                    "its ledger was written by a newer version of paceline, which this one cannot read"
                        .to_owned(),
                );
            }
            Status::Expired | Status::Stale => {
                self.expired(desk, flight.jobs, now, after);
                return Ok(());
            }
            Status::Lost => {
                self.lost(desk, flight.jobs, &reply, now, after);
                return Ok(());
            }
        }
        self.back(desk, now, after);
        let session = &mut desk.session;
        session.epoch.clone_from(&reply.epoch);
        (session.seq, session.promised, session.wall) = (reply.seq, reply.kept_until, reply.wall);
        session.keep_at = reply.due.filter(|due| *due != NEVER).map(|due| now.saturating_add(due));
        desk.alive = reply.alive.max(1);
        for (job, outcome) in flight.jobs.into_iter().zip(reply.outcomes) {
            self.outcome(desk, job, outcome, now, after);
        }
        self.read_outbox(desk, reply.outbox, now, after);
        desk.spent.checkpoint(reply.seq, now);
        Ok(())
    }

    /// Takes a push over: what it says in turn at once; a hole is a reason to ask.
    pub(super) fn push(&self, desk: &mut Desk, push: Push, now: Millis, after: &mut After) {
        if desk.session.id != Some(push.session) {
            desk.push_of_ticket(push, now, after);
            return;
        }
        if desk.session.epoch != push.epoch {
            return;
        }
        if let Some(due) = push.due.filter(|due| *due != NEVER) {
            desk.session.keep_at = Some(now.saturating_add(due));
            if due == 0 {
                desk.ring(after);
            }
        }
        self.read_outbox(desk, push.outbox, now, after);
        if desk.session.wanted {
            desk.ring(after);
        }
    }

    fn read_outbox(&self, desk: &mut Desk, outbox: Vec<Entry>, now: Millis, after: &mut After) {
        for Entry { k, decided } in outbox {
            if k <= desk.session.seen {
                continue;
            }
            if k > desk.session.seen + 1 {
                desk.session.wanted = true;
                return;
            }
            desk.session.seen = k;
            self.decided(desk, decided, now, after);
        }
        if desk.session.seen.saturating_sub(desk.session.acknowledged) > UNACKNOWLEDGED {
            desk.session.wanted = true;
        }
    }

    fn decided(&self, desk: &mut Desk, decided: Decided, now: Millis, after: &mut After) {
        match decided {
            Decided::Granted { number, waited, wall } => {
                self.granted(desk, number, (waited, wall), now, after);
            }
            Decided::Refused { number, refusal } => self.refused(desk, number, refusal, None, now, after),
            Decided::Differs { resource } => self.differs(resource, after),
            Decided::Ended { number } => drop(desk.permits.remove(&number)),
            Decided::Other => {}
        }
    }

    pub(super) fn differs(&self, resource: Name, after: &mut After) {
        log::warn!(
            "{resource}: another process on {} says something else of it, and that is in force",
            self.link.url()
        );
        let ledger = Name::clone(&self.name);
        self.hub.tell(&mut after.wakers, || Event::ConfigurationDiffers { ledger, resource });
    }

    /// A ticket has its permit.
    fn granted(
        &self,
        desk: &mut Desk,
        number: u64,
        (waited, wall): (Millis, Millis),
        now: Millis,
        after: &mut After,
    ) {
        let Some(ticket) = desk.tickets.get(&number) else {
            Self::granted_in_vain(desk, number, now, after);
            return;
        };
        let stage = ticket.stage;
        if stage == Stage::Leaves {
            // The cancellation is queued or sent, and gives it back.
            return;
        }
        desk.leave_local(number, now);
        desk.forget(number);
        let granted = End::Granted { waited, at: Some(wall) };
        let waiter = desk.book.line.decide(number, granted, &mut after.wakers);
        let Some(waiter) = waiter.filter(|_| stage != Stage::Gone) else {
            desk.push(What::Cancel(number), Tell::Nobody, now, after);
            return;
        };
        let (slot, lane, reserved) = (waiter.slot, waiter.lane.clone(), waiter.demand.clone());
        desk.spent.add(slot, lane.as_ref(), &reserved);
        let permit = TicketId { session: desk.session.id.unwrap_or_default(), number };
        desk.hold(permit, slot, lane, reserved, now, false);
        let resource = desk.book.name_of(slot);
        let permit = self.id_of(permit);
        let waited = Duration::from_millis(waited);
        self.hub.tell(&mut after.wakers, || Event::Granted { permit, resource, waited });
    }

    /// A ticket was granted for which nobody waits. A store that restarted from older state, a replica for one, may
    /// have it in its line once more.
    fn granted_in_vain(desk: &mut Desk, number: u64, now: Millis, after: &mut After) {
        let of_flight = desk.flight.iter().flat_map(|flight| &flight.jobs);
        let mut known = desk.queue.iter().chain(of_flight);
        let cancels = known.any(|job| matches!(job.what, What::Cancel(other) if other == number));
        if !cancels && !desk.permits.contains_key(&number) {
            desk.push(What::Cancel(number), Tell::Nobody, now, after);
        }
    }

    fn refused(
        &self,
        desk: &mut Desk,
        number: u64,
        refusal: Refusal,
        told: Option<&Explanation>,
        now: Millis,
        after: &mut After,
    ) {
        desk.leave_local(number, now);
        desk.forget(number);
        let Some(waiter) = desk.book.line.waiter(number) else { return };
        let error = desk.book.refusal(now, waiter, refusal, told);
        self.fail(desk, number, error, after);
    }

    /// Tells a ticket's caller why there is no permit.
    pub(super) fn fail(&self, desk: &mut Desk, number: u64, error: Error, after: &mut After) {
        let told = error.clone();
        let end = End::Failed(Box::new(error));
        if let Some(waiter) = desk.book.line.decide(number, end, &mut after.wakers) {
            let slot = waiter.slot;
            let resource = desk.book.name_of(slot);
            self.hub.tell(&mut after.wakers, || Event::Refused { resource, error: told });
        }
    }

    fn outcome(&self, desk: &mut Desk, job: Job, answer: Answer, now: Millis, after: &mut After) {
        match job.what {
            What::Acquire(number) => self.acquired(desk, number, answer, now, after),
            What::Settle { permit, .. } => self.settled(desk, permit, job.tell, answer, after),
            What::Amend { permit, reserve } => {
                let told = match answer {
                    Answer::Amended { returned, charged } => {
                        desk.amended(permit, &reserve);
                        Ok(desk.settled(&returned, &charged))
                    }
                    _ => Err(Error::PermitOver(self.id_of(permit))),
                };
                if let Tell::Settled(to) = job.tell {
                    after.tellings.push(Telling::Settled(to, told));
                }
            }
            What::Configure(_) => self.configured(answer, after),
            What::Close => desk.session.id = None,
            _ => self.told(desk, job.tell, answer, now, after),
        }
    }

    fn acquired(&self, desk: &mut Desk, number: u64, answer: Answer, now: Millis, after: &mut After) {
        let Some(ticket) = desk.tickets.get_mut(&number) else {
            if matches!(answer, Answer::Granted | Answer::Queued { .. }) {
                Self::granted_in_vain(desk, number, now, after);
            }
            return;
        };
        match answer {
            Answer::Granted => self.granted(desk, number, (0, desk.session.wall), now, after),
            Answer::Queued { ahead } if ticket.stage == Stage::Sent => {
                (ticket.stage, ticket.ahead) = (Stage::Waits, ahead);
                let (by, most) = (ticket.answer_by, ticket.most_expected);
                desk.unanswered.remove(&(by, number));
                self.queued(desk, number, ahead, most, now, after);
            }
            Answer::Queued { .. } if ticket.stage == Stage::Gone => {
                desk.forget(number);
                desk.push(What::Cancel(number), Tell::Nobody, now, after);
            }
            Answer::Queued { .. } => {}
            Answer::Refused(refusal, told) => {
                self.refused(desk, number, refusal, told.as_deref(), now, after);
            }
            _ => {
                desk.forget(number);
                let permit = desk.ticket_id(number);
                self.fail(desk, number, Error::PermitOver(self.id_of(permit)), after);
            }
        }
    }

    fn queued(&self, desk: &mut Desk, number: u64, ahead: u64, most: Millis, now: Millis, after: &mut After) {
        let Some(waiter) = desk.book.line.waiter(number) else { return };
        let (slot, lane, demand) = (waiter.slot, waiter.lane.clone(), waiter.demand.clone());
        let resource = desk.book.name_of(slot);
        let permit = self.id_of(desk.ticket_id(number));
        self.hub.tell(&mut after.wakers, || Event::Queued { permit, resource, ahead });
        if most != NEVER {
            desk.push(What::Explain { slot, lane, demand }, Tell::Expected(number), now, after);
            desk.push(What::View, Tell::Expected(number), now, after);
        }
    }

    fn settled(&self, desk: &mut Desk, permit: TicketId, tell: Tell, answer: Answer, after: &mut After) {
        if desk.permits.get(&permit.number).is_some_and(|held| held.permit == permit) {
            desk.permits.remove(&permit.number);
        }
        let told = match answer {
            Answer::Settled { returned, charged } => {
                let id = self.id_of(permit);
                let settled = desk.settled(&returned, &charged);
                self.hub.tell(&mut after.wakers, || Event::Settled { permit: id, returned, charged });
                Ok(settled)
            }
            _ => Err(Error::PermitOver(self.id_of(permit))),
        };
        if let Tell::Settled(to) = tell {
            after.tellings.push(Telling::Settled(to, told));
        }
    }

    fn configured(&self, answer: Answer, after: &mut After) {
        match answer {
            Answer::Configured { differs, .. } => {
                for resource in differs {
                    self.differs(resource, after);
                }
            }
            Answer::Invalid(error) => {
                log::error!("{}: the store refuses the configuration: {error}", &self.name);
                let error = Error::Spec(error);
                self.hub.tell(&mut after.wakers, || Event::ConfigurationRefused { error });
            }
            _ => {}
        }
    }

    fn told(&self, desk: &mut Desk, tell: Tell, answer: Answer, now: Millis, after: &mut After) {
        let explanation = match &answer {
            Answer::Explained(told) => Some(&**told),
            _ => None,
        };
        match tell {
            Tell::TimedOut(number) => self.timed_out(desk, number, explanation, now, after),
            Tell::Expected(number) => self.expected(desk, number, answer, now, after),
            Tell::LongWait(number) => self.long_wait(desk, number, explanation, now, after),
            Tell::Done(to) => {
                let told = match answer {
                    Answer::Invalid(error) => Err(Error::Spec(error)),
                    Answer::Over | Answer::Expired => Err(Error::Closed),
                    _ => Ok(()),
                };
                after.tellings.push(Telling::Done(to, told));
            }
            Tell::Raw(to) => after.tellings.push(Telling::Raw(to, Ok(answer))),
            Tell::Settled(to) => after.tellings.push(Telling::Settled(to, Err(Error::Closed))),
            Tell::Nobody => {}
        }
    }

    /// Tells a caller whose time-out passed what it waited for.
    pub(super) fn timed_out(
        &self,
        desk: &mut Desk,
        number: u64,
        told: Option<&Explanation>,
        now: Millis,
        after: &mut After,
    ) {
        desk.leave_local(number, now);
        // A ticket that is sent and not answered is cancelled already.
        desk.forget(number);
        let Some(waiter) = desk.book.line.waiter(number) else { return };
        let shortage = desk.book.short(now, waiter, told, None, None, NEVER);
        self.fail(desk, number, Error::AcquireTimeout(Box::new(shortage)), after);
    }

    /// Lets a ticket leave whose wait is expected to be longer than its caller accepts.
    fn expected(&self, desk: &mut Desk, number: u64, answer: Answer, now: Millis, after: &mut After) {
        let Some(ticket) = desk.tickets.get_mut(&number) else { return };
        let view = match answer {
            Answer::Explained(told) => {
                ticket.told = Some(told);
                return;
            }
            Answer::Viewed(view) => view,
            _ => return,
        };
        let (most, ahead, told) = (ticket.most_expected, ticket.ahead, ticket.told.take());
        let Some(waiter) = desk.book.line.waiter(number) else { return };
        let place = (waiter.slot, waiter.lane.clone(), waiter.demand.clone());
        let Some(expected) = desk.expected_wait(view, &place, true, now).filter(|wait| *wait > most) else {
            return;
        };
        let Some(waiter) = desk.book.line.waiter(number) else { return };
        let mut shortage = desk.book.short(now, waiter, told.as_deref(), None, None, NEVER);
        shortage.ahead = ahead;
        shortage.retry_after = Duration::from_millis(expected - most);
        let (expected, most) = (Duration::from_millis(expected), Duration::from_millis(most));
        let error = Error::ExpectedWait { expected, most, shortage: Box::new(shortage) };
        desk.forget(number);
        desk.push(What::Cancel(number), Tell::Nobody, now, after);
        self.fail(desk, number, error, after);
    }

    pub(super) fn id_of(&self, permit: TicketId) -> PermitId {
        PermitId { ledger: Name::clone(&self.name), ticket: permit }
    }
}

impl Desk {
    /// Notes a permit that came.
    pub(super) fn hold(
        &mut self,
        permit: TicketId,
        slot: usize,
        lane: Option<Name>,
        reserved: Amounts,
        now: Millis,
        local: bool,
    ) {
        let until = now.saturating_add(self.lease);
        let extra = Amounts::new();
        let held = Held { permit, slot, lane, reserved, extra, since: now, until, ending: false, local };
        self.permits.insert(permit.number, held);
        self.next_lease = self.next_lease.min(until);
    }

    fn amended(&mut self, permit: TicketId, reserve: &Amounts) {
        let Some(held) = self.permits.get_mut(&permit.number).filter(|held| held.permit == permit) else {
            return;
        };
        for (metric, amount) in reserve.iter() {
            let reserved = held.reserved.amount(metric).min(amount);
            held.reserved.set(metric, reserved);
            held.extra.set(metric, amount - reserved);
        }
    }

    pub(super) fn settled(&mut self, returned: &[(Name, u64)], charged: &[(Name, u64)]) -> Settled {
        let (returned, charged) = (self.amounts(returned), self.amounts(charged));
        self.book.settled(returned, charged)
    }

    /// Ends a local permit, and returns what the local ledger says.
    pub(super) fn end_local(&mut self, held: &Held, used: Option<&Amounts>, now: Millis) -> Settled {
        let usage = used.map_or(Usage::Nothing, |used| Usage::Of(used.clone()));
        let outcome = self.book.apply(now, Command::Settle { permit: held.permit, usage });
        if let Some(used) = used {
            let report = self.unreported.entry((held.slot, held.lane.clone())).or_default();
            for (metric, reserved) in held.reserved.iter() {
                let sum = report.amount(metric) + used.get(metric).unwrap_or(reserved);
                report.set(metric, sum);
            }
        }
        match outcome {
            paceline_core::Outcome::Settled { returned, charged } => self.book.settled(returned, charged),
            _ => Settled::default(),
        }
    }
}
