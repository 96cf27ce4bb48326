//! What is done while the store cannot be reached, and when it is back.

use paceline_core::{Acquire, Command, Configuration, LimitSpec, Millis, Outcome, TicketId, Verdict};
use paceline_core::{Algorithm, SessionId};

use super::account::About;
use super::desk::{After, Desk, Down, Stage};
use super::job::{Job, Tell, What};
use super::link::LinkError;
use crate::Error;
use crate::events::Event;
use crate::outage::OnStoreFailure;
use crate::store::line::End;

/// The session of permits that this process grants out of its share.
pub(super) const LOCAL: SessionId = SessionId(u128::MAX);

/// How many milliseconds apart an outage is looked at.
const LOOK: Millis = 250;

impl About {
    /// Notes that a batch was not answered.
    pub(super) fn failed(&self, desk: &mut Desk, error: &LinkError, now: Millis, after: &mut After) {
        let (fatal, reason) = (matches!(error, LinkError::Fatal(_)), error.reason().to_owned());
        let began = desk.down.is_none();
        let look_at = now.saturating_add(LOOK);
        let down = Down { since: now, reason: String::new(), fatal, look_at, shared_out: false };
        let down = desk.down.get_or_insert(down);
        (down.reason, down.fatal) = (reason, fatal);
        if began {
            let (url, reason) = (self.link.url().to_owned(), down.reason.clone());
            log::warn!("store {url} cannot be reached, trying again: {reason}");
            self.hub.tell(&mut after.wakers, || Event::StoreLost { url, reason });
        }
        if fatal {
            let numbers: Vec<u64> = desk.unanswered.iter().map(|(_, number)| *number).collect();
            for number in numbers {
                self.unreachable(desk, number, now, after);
            }
            self.fail_replies(desk, now, 0, after);
        }
    }

    /// Notes that the store answers.
    pub(super) fn back(&self, desk: &mut Desk, now: Millis, after: &mut After) {
        let Some(down) = desk.down.take() else { return };
        let url = self.link.url().to_owned();
        log::info!("store {url} is back after {} ms", now.saturating_sub(down.since));
        self.hub.tell(&mut after.wakers, || Event::StoreBack { url });
        let local = desk.tickets.iter().filter(|(_, ticket)| ticket.local).map(|(number, _)| *number);
        for number in local.collect::<Vec<_>>() {
            desk.leave_local(number, now);
        }
        if down.shared_out {
            desk.divide(1, now);
        }
    }

    /// What the policy says to a ticket that the store has not answered in time.
    pub(super) fn unreachable(&self, desk: &mut Desk, number: u64, now: Millis, after: &mut After) {
        let Some(ticket) = desk.tickets.get_mut(&number) else { return };
        desk.unanswered.remove(&(ticket.answer_by, number));
        match ticket.outage.policy {
            OnStoreFailure::Refuse => {
                let error = self.unavailable(desk);
                desk.let_go(number);
                self.fail(desk, number, error, after);
            }
            OnStoreFailure::Allow => {
                desk.let_go(number);
                desk.book.line.decide(number, End::Granted { waited: 0, at: None }, &mut after.wakers);
            }
            OnStoreFailure::Local if !ticket.local => self.ask_locally(desk, number, now, after),
            OnStoreFailure::Local => {}
        }
    }

    pub(super) fn unavailable(&self, desk: &Desk) -> Error {
        let reason = desk.down.as_ref().map_or("it does not answer", |down| &down.reason).to_owned();
        Error::StoreUnavailable { url: self.link.url().to_owned(), reason }
    }

    /// Says to those who have waited so long for an outcome that the store cannot be reached.
    pub(super) fn fail_replies(&self, desk: &mut Desk, now: Millis, waited: Millis, after: &mut After) {
        let error = self.unavailable(desk);
        let flying = desk.flight.iter_mut().flat_map(|flight| &mut flight.jobs);
        let late = |job: &&mut Job| job.tell.is_awaited() && job.since.saturating_add(waited) <= now;
        for job in desk.queue.iter_mut().chain(flying).filter(late) {
            let tell = std::mem::replace(&mut job.tell, Tell::Nobody);
            after.tellings.extend(tell.failed(error.clone()));
        }
        // What only looks is of no use to anybody any more.
        let looks = |what: &What| matches!(what, What::View | What::Explain { .. } | What::Permits { .. });
        desk.queue.retain(|job| !(looks(&job.what) && matches!(job.tell, Tell::Nobody)));
    }

    fn ask_locally(&self, desk: &mut Desk, number: u64, now: Millis, after: &mut After) {
        desk.share_out(now);
        let Some(ticket) = desk.tickets.get_mut(&number) else { return };
        let Some(waiter) = desk.book.line.waiter(number) else { return };
        let Some(seat) = desk.book.seats.get(waiter.slot) else { return };
        let id = TicketId { session: LOCAL, number };
        let mut acquire = Acquire::new(id, seat.id, waiter.demand.clone());
        acquire.lane.clone_from(&waiter.lane);
        acquire.head_start = ticket.head_start;
        acquire.within = waiter.deadline.saturating_sub(now);
        acquire.wait = ticket.wait;
        ticket.local = true;
        match desk.book.apply(now, Command::Acquire(acquire)) {
            Outcome::Granted => Self::granted_locally(desk, number, now, after),
            Outcome::Refused(refusal) => {
                let error =
                    desk.book.line.waiter(number).map(|waiter| desk.book.refusal(now, waiter, refusal, None));
                desk.let_go(number);
                if let Some(error) = error {
                    self.fail(desk, number, error, after);
                }
            }
            _ => {}
        }
    }

    fn granted_locally(desk: &mut Desk, number: u64, now: Millis, after: &mut After) {
        desk.let_go(number);
        let granted = End::Granted { waited: 0, at: None };
        let waiter = desk.book.line.decide(number, granted, &mut after.wakers);
        let permit = TicketId { session: LOCAL, number };
        let Some(waiter) = waiter else {
            desk.book.apply(now, Command::Cancel { ticket: permit });
            return;
        };
        let (slot, lane, reserved) = (waiter.slot, waiter.lane.clone(), waiter.demand.clone());
        desk.hold(permit, slot, lane, reserved, now, true);
    }

    /// Lets time pass for the local ledger.
    pub(super) fn tick_local(desk: &mut Desk, now: Millis, after: &mut After) {
        if desk.local_due().is_none_or(|due| due > now) {
            return;
        }
        desk.book.tick(now);
        let decisions: Vec<_> = desk.book.ledger.drain().collect();
        for decision in decisions {
            let number = decision.ticket.number;
            match decision.verdict {
                Verdict::Granted { .. } => Self::granted_locally(desk, number, now, after),
                Verdict::Refused(_) => {
                    if let Some(ticket) = desk.tickets.get_mut(&number) {
                        ticket.local = false;
                    }
                }
            }
        }
    }

    /// What an outage does to those who are in the store's line, and to those who wait for an outcome.
    pub(super) fn end_long_outage(
        &self,
        desk: &mut Desk,
        now: Millis,
        session_timeout: Millis,
        after: &mut After,
    ) {
        let Some(down) = desk.down.as_mut().filter(|down| down.look_at <= now) else { return };
        down.look_at = now.saturating_add(LOOK);
        let lasted = now.saturating_sub(down.since);
        let Desk { tickets, book, .. } = desk;
        let due = tickets.iter().filter(|(number, ticket)| {
            let patience = match ticket.outage.policy {
                OnStoreFailure::Refuse => {
                    let bounded = book
                        .line
                        .waiter(**number)
                        .is_some_and(|waiter| waiter.deadline != paceline_core::NEVER);
                    if bounded { paceline_core::NEVER } else { ticket.outage.store_timeout + session_timeout }
                }
                _ => ticket.outage.store_timeout,
            };
            ticket.stage == Stage::Waits && !ticket.local && lasted >= patience
        });
        let due: Vec<u64> = due.map(|(number, _)| *number).collect();
        self.fail_replies(desk, now, self.sharing.store_timeout, after);
        for number in due {
            self.unreachable(desk, number, now, after);
        }
    }
}

impl Desk {
    /// Nobody waits for a ticket any more: it is cancelled if the store knows of it, or may.
    pub(super) fn let_go(&mut self, number: u64) {
        let Some(ticket) = self.tickets.get_mut(&number) else { return };
        ticket.local = false;
        match ticket.stage {
            Stage::Sent => {
                ticket.stage = Stage::Gone;
                let by = ticket.answer_by;
                self.unanswered.remove(&(by, number));
            }
            Stage::Waits => {
                self.forget(number);
                self.queue.push_back(Job { what: What::Cancel(number), tell: Tell::Nobody, since: 0 });
            }
            Stage::Gone => {}
            Stage::Here | Stage::Leaves => drop(self.forget(number)),
        }
    }

    /// Takes a ticket out of the local ledger's line.
    pub(super) fn leave_local(&mut self, number: u64, now: Millis) {
        if let Some(ticket) = self.tickets.get_mut(&number).filter(|ticket| ticket.local) {
            ticket.local = false;
            self.book.apply(now, Command::Cancel { ticket: TicketId { session: LOCAL, number } });
        }
    }

    /// Gives the local ledger this process's share of the limits.
    fn share_out(&mut self, now: Millis) {
        let Some(down) = self.down.as_mut() else { return };
        if !std::mem::replace(&mut down.shared_out, true) {
            self.divide(self.alive, now);
        }
    }

    fn divide(&mut self, among: u64, now: Millis) {
        self.book.apply(now, Command::Touch { session: LOCAL, time_out: None });
        let parts = self.parts.clone();
        for part in parts {
            let Configuration { limits, resources, .. } = &part.configuration;
            let limits = limits.iter().map(|limit| divided(limit, among));
            self.book.apply(now, Command::configure(Configuration::new(limits, resources.clone())));
        }
    }

    /// Returns when something happens in the local ledger by time alone.
    pub(super) fn local_due(&mut self) -> Option<Millis> {
        if !self.down.as_ref().is_some_and(|down| down.shared_out) {
            return None;
        }
        self.book.ledger_due()
    }

    /// Queues the report of what was used of the local share.
    pub(super) fn report_local(&mut self, now: Millis) {
        for ((slot, lane), used) in std::mem::take(&mut self.unreported) {
            let what = What::Record { slot, lane, used };
            self.queue.push_back(Job { what, tell: Tell::Nobody, since: now });
        }
    }
}

fn divided(limit: &LimitSpec, among: u64) -> LimitSpec {
    let mut limit = limit.clone();
    limit.amount = (limit.amount / among).max(1);
    if let Algorithm::TokenBucket { burst, .. } = &mut limit.algorithm {
        *burst = (*burst / among).max(1);
    }
    limit
}
