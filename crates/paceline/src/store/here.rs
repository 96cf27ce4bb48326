//! An account in memory: a ledger under a lock, and who waits on it.
//!
//! Decisions are collected under the lock, wakers are called after it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError, Weak};
use std::time::Duration;

use paceline_core::{Command, Ledger, Millis, Name, SessionId, TicketId, Verdict};

use super::State;
use super::lease::Leases;
use super::line::End;
use super::memory::Options;
use crate::clock::Clock;
use crate::driver::{Alarm, Duty};
use crate::events::{Event, Hub};
use crate::fork::Guard;
use crate::sync::Wakers;
use crate::{Error, PermitId};

/// A ledger of this process.
pub(crate) struct Memory {
    pub(crate) name: Name,
    pub(crate) session: SessionId,
    clock: Clock,
    hub: Arc<Hub>,
    guard: Guard,
    alarm: Alarm,
    this: Weak<Self>,
    state: Mutex<State>,
}

impl Memory {
    pub(super) fn open(name: Name, options: &Options, hub: Arc<Hub>) -> Arc<Self> {
        let (session, now) = (random_session(), options.clock.now_ms());
        let mut ledger = Ledger::new();
        ledger.apply(now, Command::Touch { session, time_out: None });
        Arc::new_cyclic(|this| Self {
            name,
            session,
            clock: options.clock.clone(),
            hub,
            guard: Guard::new(),
            alarm: Alarm::new(),
            this: Weak::clone(this),
            state: Mutex::new(State::new(ledger, Leases::new(options.lease, now), now)),
        })
    }

    pub(crate) fn permit_id(&self, number: u64) -> PermitId {
        PermitId { ledger: Arc::clone(&self.name), ticket: self.ticket(number) }
    }

    pub(crate) fn ticket(&self, number: u64) -> TicketId {
        TicketId { session: self.session, number }
    }

    /// Works on the state at the present time, then delivers what came of it.
    pub(crate) fn step<T>(
        &self,
        work: impl FnOnce(&mut State, Millis, &mut Wakers) -> T,
    ) -> Result<T, Error> {
        let now = self.clock.now_ms();
        self.guard.check(now)?;
        let mut wakers = Wakers::default();
        let result = {
            let mut state = self.lock()?;
            if now >= state.leases.next_look() {
                self.end_leases(&mut state, now, &mut wakers);
            }
            let result = work(&mut state, now, &mut wakers);
            if std::mem::take(&mut state.stepped) && !state.line.is_empty() {
                self.deliver(&mut state, &mut wakers);
                self.set_alarm(&mut state);
            }
            result
        };
        wakers.release();
        Ok(result)
    }

    /// Tells the readers of events.
    pub(crate) fn tell(&self, wakers: &mut Wakers, event: impl FnOnce() -> Event) {
        self.hub.tell(wakers, event);
    }

    pub(crate) fn tell_if(&self, wakers: &mut Wakers, event: impl FnOnce() -> Option<Event>) {
        if let Some(event) = event() {
            self.tell(wakers, || event);
        }
    }

    /// Takes the ledger's decisions, and gathers the wakers of their callers.
    fn deliver(&self, state: &mut State, wakers: &mut Wakers) {
        for decision in state.ledger.drain() {
            let number = decision.ticket.number;
            let (end, granted) = match decision.verdict {
                Verdict::Granted { waited } => (End::Granted { waited, at: None }, Some(waited)),
                Verdict::Refused(refusal) => (End::Refused(refusal), None),
            };
            let waiter = state.line.decide(number, end, wakers);
            if let (Some(waiter), Some(waited)) = (waiter, granted) {
                let resource =
                    || state.seats.get(waiter.slot).map_or_else(|| "".into(), |seat| seat.name.clone());
                self.tell(wakers, || Event::Granted {
                    permit: self.permit_id(number),
                    resource: resource(),
                    waited: Duration::from_millis(waited),
                });
            }
        }
    }

    fn end_leases(&self, state: &mut State, now: Millis, wakers: &mut Wakers) {
        for permit in state.end_overdue(self.session, now) {
            let id = self.permit_id(permit.number);
            log::warn!(
                "permit {id} outlived its lease without being settled, and is ended with its reservation spent"
            );
            self.tell(wakers, || Event::LeaseEnded { permit: id });
        }
    }

    /// Refuses those whose time-out passed: at most 256 while the lock is held.
    fn end_time_outs(&self, state: &mut State, now: Millis, wakers: &mut Wakers) {
        for _ in 0..256 {
            let Some(number) = state.line.overdue(now) else { return };
            state.apply(now, Command::Cancel { ticket: self.ticket(number) });
            state.line.decide(number, End::TimedOut, wakers);
        }
    }

    fn set_alarm(&self, state: &mut State) {
        if let Some(due) = state.next_due() {
            self.alarm.set(due, &self.clock, || self.this.clone());
        }
    }

    /// Takes the lock; where it is taken already, makes sure that its holder can still let go of it.
    fn lock(&self) -> Result<MutexGuard<'_, State>, Error> {
        match self.state.try_lock() {
            Ok(state) => Ok(state),
            Err(TryLockError::Poisoned(poisoned)) => Ok(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => {
                self.guard.check_closely()?;
                Ok(self.state.lock().unwrap_or_else(PoisonError::into_inner))
            }
        }
    }
}

impl Duty for Memory {
    fn alarm(&self) -> &Alarm {
        &self.alarm
    }

    fn fall_due(&self, now: Millis) -> Option<Millis> {
        let mut wakers = Wakers::default();
        let next = {
            let mut state = self.lock().ok()?;
            state.tick(now);
            if now >= state.leases.next_look() {
                self.end_leases(&mut state, now, &mut wakers);
            }
            self.deliver(&mut state, &mut wakers);
            self.end_time_outs(&mut state, now, &mut wakers);
            self.deliver(&mut state, &mut wakers);
            for event in state.long_waits(now) {
                self.tell(&mut wakers, || event);
            }
            state.next_due()
        };
        wakers.release();
        next
    }
}

/// 128 bits that no other session has: the standard library seeds its hashers from the system's randomness.
pub(crate) fn random_session() -> SessionId {
    use std::hash::{BuildHasher, RandomState};
    let half = || u128::from(RandomState::new().hash_one(std::process::id()));
    SessionId(half() << 64 | half())
}
