//! Leases: permits that nobody settled are ended by the process that owns them.
//!
//! A permit costs nothing here until it is older than a lease could be: the next look is as far away as the
//! youngest lease allows. Whoever uses the ledger next notices what is due, and the driver while somebody waits.

use std::collections::BTreeMap;

use paceline_core::{Amounts, Command, Ledger, Millis, SessionId, TicketId, Usage};

/// The leases of one session's permits.
pub(super) struct Leases {
    lease: Millis,
    renewed: BTreeMap<u64, Millis>,
    next_look: Millis,
}

impl Leases {
    pub(super) fn new(lease: Millis, now: Millis) -> Self {
        Self { lease, renewed: BTreeMap::new(), next_look: now.saturating_add(lease) }
    }

    /// Returns when permits have to be looked at.
    pub(super) fn next_look(&self) -> Millis {
        self.next_look
    }

    /// Lets a permit live until a time.
    pub(super) fn renew(&mut self, number: u64, until: Millis) {
        self.renewed.insert(number, until);
        self.next_look = self.next_look.min(until);
    }

    /// Ends what has outlived its lease, with its reservation spent, and returns it.
    pub(super) fn end_overdue(
        &mut self,
        ledger: &mut Ledger,
        session: SessionId,
        now: Millis,
    ) -> Vec<TicketId> {
        let mut overdue = Vec::new();
        let mut renewed = BTreeMap::new();
        let mut next_look = now.saturating_add(self.lease);
        for permit in ledger.permits().filter(|permit| permit.id.session == session) {
            let said = self.renewed.get(&permit.id.number).copied();
            let until = said.unwrap_or_else(|| now.saturating_add(self.lease.saturating_sub(permit.age)));
            if until <= now {
                overdue.push(permit.id);
                continue;
            }
            renewed.extend(said.map(|until| (permit.id.number, until)));
            next_look = next_look.min(until);
        }
        (self.renewed, self.next_look) = (renewed, next_look);
        for permit in &overdue {
            ledger.apply(now, Command::Settle { permit: *permit, usage: Usage::Of(Amounts::new()) });
        }
        overdue
    }
}
