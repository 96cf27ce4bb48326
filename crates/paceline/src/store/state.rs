//! What the lock of an account protects.

use std::collections::BTreeMap;
use std::sync::Arc;

use paceline_core::{Command, Ledger, Millis, Name, Outcome, ResourceId, SessionId, TicketId};

use super::Asking;
use super::lease::Leases;
use super::line::{Line, Waiter};
use crate::Error;
use crate::estimate::Pace;
use crate::seat::Seat;

/// What the lock protects.
pub(crate) struct State {
    pub(crate) ledger: Ledger,
    /// The resources of the ledger, each where handles expect it.
    pub(crate) seats: Vec<Seat>,
    pub(crate) slots: BTreeMap<ResourceId, usize>,
    pub(crate) pace: Pace,
    pub(super) line: Line,
    pub(super) leases: Leases,
    last_number: u64,
    stepped_at: Millis,
    /// Whether the ledger took a step since its decisions were last delivered.
    pub(super) stepped: bool,
}

impl State {
    pub(super) fn new(ledger: Ledger, leases: Leases, now: Millis) -> Self {
        Self {
            ledger,
            seats: Vec::new(),
            slots: BTreeMap::new(),
            pace: Pace::default(),
            line: Line::default(),
            leases,
            last_number: 0,
            stepped_at: now,
            stepped: false,
        }
    }

    /// Returns the number of the next ticket.
    pub(super) fn next_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    /// Leaves so many numbers out.
    #[cfg(feature = "shared")]
    pub(super) fn skip_numbers(&mut self, many: u64) {
        self.last_number += many;
    }

    /// Applies one command.
    pub(crate) fn apply(&mut self, now: Millis, command: Command) -> Outcome {
        (self.stepped_at, self.stepped) = (now, true);
        self.ledger.apply(now, command)
    }

    pub(crate) fn name_of(&self, slot: usize) -> Name {
        self.seats.get(slot).map_or_else(|| "".into(), |seat| Arc::clone(&seat.name))
    }

    /// Returns when something happens in the ledger by time alone.
    #[cfg(feature = "shared")]
    pub(super) fn ledger_due(&mut self) -> Option<Millis> {
        self.ledger.next_wakeup().map(|after| self.stepped_at.saturating_add(after))
    }

    /// Ends what has outlived its lease, and returns it.
    pub(super) fn end_overdue(&mut self, session: SessionId, now: Millis) -> Vec<TicketId> {
        // The ages of permits are those of the last step.
        self.tick(now);
        self.leases.end_overdue(&mut self.ledger, session, now)
    }

    pub(super) fn tick(&mut self, now: Millis) {
        (self.stepped_at, self.stepped) = (now, true);
        self.ledger.tick(now);
    }

    /// Returns when something happens here by time alone; with nobody in line, nothing that cannot wait for the next caller.
    pub(super) fn next_due(&mut self) -> Option<Millis> {
        if self.line.is_empty() {
            return None;
        }
        let ledger = self.ledger.next_wakeup().map(|after| self.stepped_at.saturating_add(after));
        let due = ledger.into_iter().chain(self.line.next_due()).min();
        Some(due.map_or(self.leases.next_look(), |due| due.min(self.leases.next_look())))
    }

    pub(super) fn waiter(&mut self, asking: &Asking<'_>, now: Millis) -> Result<Waiter, Error> {
        let request = asking.request;
        let seat = self.seats.get(asking.slot).ok_or(Error::Closed)?;
        let demand = request.demand.reservation(seat, &mut self.ledger)?;
        let waiter = Waiter::new(asking.owner, asking.slot, request.lane.clone(), demand, now);
        Ok(waiter.until(now.saturating_add(request.timeout)))
    }
}
