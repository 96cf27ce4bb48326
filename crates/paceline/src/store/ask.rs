//! Asking, waiting and leaving.

use std::task::{Poll, Waker};
use std::time::Duration;

use paceline_core::{Acquire, Command, Millis, Outcome};

use super::line::End;
use super::{Memory, State};
use crate::Error;
use crate::acquire::Request;
use crate::events::Event;
use crate::outage::Outage;
use crate::permit::GrantedVia;
use crate::sync::Wakers;

/// What a caller asks.
pub(crate) struct Asking<'a> {
    pub(crate) owner: u32,
    pub(crate) slot: usize,
    pub(crate) request: &'a Request,
    /// What its limiter does in an outage.
    #[cfg_attr(not(feature = "shared"), expect(dead_code, reason = "what is in memory does not fail"))]
    pub(crate) outage: Outage,
}

/// A permit that came.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Grant {
    /// Its number, 0 where it counts nowhere.
    pub(crate) number: u64,
    pub(crate) waited: Millis,
    pub(crate) via: GrantedVia,
    /// When a shared store granted it, by that store's clock.
    pub(crate) at: Option<Millis>,
}

impl Grant {
    /// A permit of the ledger itself.
    pub(crate) fn by_ledger(number: u64, waited: Millis) -> Self {
        Self { number, waited, via: GrantedVia::Ledger, at: None }
    }
}

/// What an account answers at once.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Answer {
    /// The permit of this number is there.
    Granted(u64),
    /// The ticket of this number waits.
    Queued(u64),
}

impl Memory {
    /// Asks for a permit.
    pub(crate) fn ask(&self, asking: &Asking<'_>) -> Result<Answer, Error> {
        self.step(|state, now, wakers| {
            let answer = self.apply_acquire(state, now, asking, wakers);
            if let Err(error) = &answer {
                self.tell_refused(state, asking.slot, error, wakers);
            }
            answer
        })?
    }

    /// Returns the permit that a ticket became, or why there is none; keeps the waker while it waits.
    pub(crate) fn answer(&self, number: u64, waker: Waker) -> Poll<Result<Grant, Error>> {
        let polled = self.step(|state, now, wakers| {
            let Some((waiter, end)) = state.line.take(number, waker, wakers) else { return Poll::Pending };
            Poll::Ready(match end {
                End::Granted { waited, .. } => Ok(Grant::by_ledger(number, waited)),
                End::Refused(refusal) => Err(state.refused(now, &waiter, refusal)),
                End::TimedOut => Err(state.timed_out(now, &waiter)),
                End::Closed => Err(Error::Closed),
                #[cfg(feature = "shared")]
                End::Failed(error) => Err(*error),
            })
        });
        polled.unwrap_or_else(|error| Poll::Ready(Err(error)))
    }

    /// Leaves the line without a trace; a grant that crossed is given back in full.
    pub(crate) fn abandon(&self, number: u64) {
        let left = self.step(|state, now, wakers| {
            if state.line.leave(number, wakers) {
                state.apply(now, Command::Cancel { ticket: self.ticket(number) });
                self.tell(wakers, || Event::Cancelled { permit: self.permit_id(number) });
            }
        });
        // In a forked child there is nothing to leave.
        left.unwrap_or_default();
    }

    /// Refuses all that one limiter's callers wait for.
    pub(crate) fn close(&self, owner: u32) -> Result<(), Error> {
        self.step(|state, now, wakers| {
            for number in state.line.of_owner(owner) {
                state.apply(now, Command::Cancel { ticket: self.ticket(number) });
                state.line.decide(number, End::Closed, wakers);
            }
        })
    }

    fn apply_acquire(
        &self,
        state: &mut State,
        now: Millis,
        asking: &Asking<'_>,
        wakers: &mut Wakers,
    ) -> Result<Answer, Error> {
        let (request, slot) = (asking.request, asking.slot);
        let number = state.next_number();
        let seat = state.seats.get(slot).ok_or(Error::Closed)?;
        let demand = request.demand.reservation(seat, &mut state.ledger)?;
        let mut acquire = Acquire::new(self.ticket(number), seat.id, demand);
        acquire.lane.clone_from(&request.lane);
        acquire.head_start = request.head_start;
        acquire.within = request.timeout;
        acquire.wait = !request.at_once;
        match state.apply(now, Command::Acquire(acquire)) {
            Outcome::Granted => {
                self.tell_granted(state, slot, number, wakers);
                Ok(Answer::Granted(number))
            }
            Outcome::Queued { ahead } => self.queue(state, now, asking, number, ahead, wakers),
            Outcome::Refused(refusal) => {
                let waiter = state.waiter(asking, now)?;
                Err(state.refused(now, &waiter, refusal))
            }
            _ => Err(Error::Closed),
        }
    }

    fn queue(
        &self,
        state: &mut State,
        now: Millis,
        asking: &Asking<'_>,
        number: u64,
        ahead: u64,
        wakers: &mut Wakers,
    ) -> Result<Answer, Error> {
        let waiter = state.waiter(asking, now)?;
        if let Err(error) = state.expect_within(now, &waiter, asking.request.max_expected_wait) {
            state.apply(now, Command::Cancel { ticket: self.ticket(number) });
            return Err(error);
        }
        state.line.join(number, waiter);
        self.tell(wakers, || Event::Queued {
            permit: self.permit_id(number),
            resource: state.name_of(asking.slot),
            ahead,
        });
        Ok(Answer::Queued(number))
    }

    fn tell_granted(&self, state: &State, slot: usize, number: u64, wakers: &mut Wakers) {
        self.tell(wakers, || Event::Granted {
            permit: self.permit_id(number),
            resource: state.name_of(slot),
            waited: Duration::ZERO,
        });
    }

    fn tell_refused(&self, state: &State, slot: usize, error: &Error, wakers: &mut Wakers) {
        self.tell(wakers, || Event::Refused { resource: state.name_of(slot), error: error.clone() });
    }
}
