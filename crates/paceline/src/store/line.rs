//! Who waits in this process: their wakers, their time-outs, and what became of them.

use std::collections::{BTreeMap, BTreeSet};
use std::task::Waker;

use paceline_core::{Amounts, Millis, NEVER, Name, Refusal};

#[cfg(feature = "shared")]
use crate::Error;
use crate::sync::Wakers;

/// After how many milliseconds in line a wait is worth a warning for the first time.
pub(super) const LONG_WAIT: Millis = 30_000;

/// The tickets of this process that wait, or whose answer has not been taken yet.
#[derive(Default)]
pub(super) struct Line {
    /// Boxed, for a tree whose keys ascend leaves half of its nodes empty.
    waiters: BTreeMap<u64, Box<Waiter>>,
    undecided: usize,
    deadlines: BTreeSet<(Millis, u64)>,
    silences: BTreeMap<usize, Silence>,
}

/// One caller that waits.
pub(super) struct Waiter {
    pub(super) owner: u32,
    pub(super) slot: usize,
    pub(super) lane: Option<Name>,
    pub(super) demand: Amounts,
    pub(super) since: Millis,
    pub(super) deadline: Millis,
    waker: Option<Waker>,
    end: Option<End>,
}

/// What became of a wait.
pub(super) enum End {
    Granted {
        waited: Millis,
        /// When a shared store granted it, by that store's clock.
        #[cfg_attr(
            not(feature = "shared"),
            expect(dead_code, reason = "a store of this process has its clock")
        )]
        at: Option<Millis>,
    },
    Refused(Refusal),
    TimedOut,
    Closed,
    /// Said already as the caller will be told.
    #[cfg(feature = "shared")]
    Failed(Box<Error>),
}

/// When a resource's oldest wait is looked at, and which ticket was warned of last.
struct Silence {
    due: Millis,
    warned: u64,
    patience: Millis,
}

impl Waiter {
    pub(super) fn new(owner: u32, slot: usize, lane: Option<Name>, demand: Amounts, since: Millis) -> Self {
        Self { owner, slot, lane, demand, since, deadline: NEVER, waker: None, end: None }
    }

    pub(super) fn until(mut self, deadline: Millis) -> Self {
        self.deadline = deadline;
        self
    }

    pub(super) fn is_waiting(&self) -> bool {
        self.end.is_none()
    }
}

impl Line {
    /// Whether nobody waits.
    pub(super) fn is_empty(&self) -> bool {
        self.undecided == 0
    }

    pub(super) fn join(&mut self, number: u64, waiter: Waiter) {
        if waiter.deadline != NEVER {
            self.deadlines.insert((waiter.deadline, number));
        }
        let silence = Silence { due: waiter.since + LONG_WAIT, warned: 0, patience: LONG_WAIT };
        self.silences.entry(waiter.slot).or_insert(silence);
        self.undecided += 1;
        self.waiters.insert(number, Box::new(waiter));
    }

    /// Notes what became of a ticket, and gathers the waker of its caller.
    pub(super) fn decide(&mut self, number: u64, end: End, wakers: &mut Wakers) -> Option<&Waiter> {
        let waiter = self.waiters.get_mut(&number).filter(|waiter| waiter.is_waiting())?;
        waiter.end = Some(end);
        wakers.call(waiter.waker.take());
        self.deadlines.remove(&(waiter.deadline, number));
        self.undecided -= 1;
        Some(waiter)
    }

    /// Takes what became of a ticket with its record; where it still waits, its caller's waker is kept.
    pub(super) fn take(
        &mut self,
        number: u64,
        waker: Waker,
        wakers: &mut Wakers,
    ) -> Option<(Box<Waiter>, End)> {
        let waiter = self.waiters.get_mut(&number)?;
        let Some(end) = waiter.end.take() else {
            wakers.discard(waiter.waker.replace(waker));
            return None;
        };
        wakers.discard(Some(waker));
        Some((self.waiters.remove(&number)?, end))
    }

    /// Forgets a ticket, and returns whether its grant crossed or it still waits: there is something to cancel.
    pub(super) fn leave(&mut self, number: u64, wakers: &mut Wakers) -> bool {
        let Some(waiter) = self.waiters.remove(&number) else { return false };
        if waiter.end.is_none() {
            self.undecided -= 1;
            self.deadlines.remove(&(waiter.deadline, number));
        }
        wakers.discard(waiter.waker);
        matches!(waiter.end, None | Some(End::Granted { .. }))
    }

    /// Returns a ticket that waits, or whose answer has not been taken.
    #[cfg(feature = "shared")]
    pub(super) fn waiter(&self, number: u64) -> Option<&Waiter> {
        self.waiters.get(&number).map(|waiter| &**waiter)
    }

    /// Returns the tickets whose long wait should be told of.
    #[cfg(feature = "shared")]
    pub(super) fn long_waiting(&mut self, now: Millis) -> Vec<u64> {
        let oldest = self.long_waits(now).into_iter().map(std::ptr::from_ref).collect::<Vec<_>>();
        let numbers =
            self.waiters.iter().filter(|(_, waiter)| oldest.contains(&std::ptr::from_ref(&***waiter)));
        numbers.map(|(number, _)| *number).collect()
    }

    /// Gives a ticket another time-out.
    #[cfg(feature = "shared")]
    pub(super) fn postpone(&mut self, number: u64, deadline: Millis) {
        let Some(waiter) = self.waiters.get_mut(&number).filter(|waiter| waiter.is_waiting()) else { return };
        self.deadlines.remove(&(waiter.deadline, number));
        waiter.deadline = deadline;
        self.deadlines.insert((deadline, number));
    }

    /// Returns the ticket whose time-out passed first, if one has.
    pub(super) fn overdue(&self, now: Millis) -> Option<u64> {
        self.deadlines.first().filter(|(deadline, _)| *deadline <= now).map(|(_, number)| *number)
    }

    /// Returns the tickets of one limiter that wait.
    pub(super) fn of_owner(&self, owner: u32) -> Vec<u64> {
        let own = |waiter: &Waiter| waiter.owner == owner && waiter.is_waiting();
        self.waiters.iter().filter(|(_, waiter)| own(waiter)).map(|(number, _)| *number).collect()
    }

    /// Returns when something is due here.
    pub(super) fn next_due(&self) -> Option<Millis> {
        let deadline = self.deadlines.first().map(|(deadline, _)| *deadline);
        let silence = self.silences.values().map(|silence| silence.due).min();
        deadline.into_iter().chain(silence).min()
    }

    /// Returns a caller whose long wait should be told of, for each resource where one is due.
    pub(super) fn long_waits(&mut self, now: Millis) -> Vec<&Waiter> {
        let mut oldest = Vec::new();
        self.silences.retain(|slot, silence| {
            if silence.due > now {
                return true;
            }
            let mut waiting =
                self.waiters.iter().filter(|(_, waiter)| waiter.slot == *slot && waiter.is_waiting());
            let Some((number, waiter)) = waiting.next() else { return false };
            if silence.look_at(*number, waiter.since, now) {
                oldest.push(&**waiter);
            }
            true
        });
        oldest
    }
}

impl Silence {
    /// Decides whether a wait is worth a warning, and when to look again: at doubling intervals for one ticket.
    fn look_at(&mut self, number: u64, since: Millis, now: Millis) -> bool {
        if self.warned != number {
            self.patience = LONG_WAIT;
        }
        let worth_it = now.saturating_sub(since) >= self.patience;
        if worth_it {
            self.warned = number;
            self.patience = self.patience.saturating_mul(2);
        }
        self.due = since.saturating_add(self.patience).max(now + 1);
        worth_it
    }
}
