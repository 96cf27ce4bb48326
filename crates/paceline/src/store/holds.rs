//! What is done with permits once they are out, and with the configuration under them.

use std::sync::Arc;
use std::time::Duration;

use paceline_core::{
    Amounts, Command, Configuration, Metric, Millis, Name, Outcome, PermitView, TicketId, Usage as Used,
};

use super::{Asking, Memory, State};
use crate::config::CompiledResource;
use crate::events::Event;
use crate::permit::Settled;
use crate::resource::Outlook;
use crate::seat::Seat;
use crate::sync::Wakers;
use crate::{Demand, Error, PermitId, Usage};

/// A permit that is out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PermitInfo {
    /// Its name, by which any process can settle it.
    pub id: PermitId,
    /// Its resource.
    pub resource: Name,
    /// The lane that its caller named.
    pub lane: Option<Name>,
    /// How long ago it was granted.
    pub age: Duration,
    /// What it reserves, by metric.
    pub reserved: Vec<(Name, u64)>,
}

impl Memory {
    /// Ends a permit with what its call used; where the resource is not told, the ledger knows it.
    pub(crate) fn settle(
        &self,
        permit: TicketId,
        slot: Option<usize>,
        usage: &Usage,
    ) -> Result<Settled, Error> {
        self.step(|state, now, wakers| {
            let slot = slot.or_else(|| state.slot_of(permit)).ok_or_else(|| self.over(permit))?;
            let charge = state.charge(slot, usage);
            // What cannot be read is charged as reserved: a paid answer is not lost to bookkeeping.
            let used = Used::Of(charge.as_ref().map_or_else(|_| Amounts::new(), Amounts::clone));
            let settled = self.end(state, now, permit, used, wakers);
            charge.and(settled)
        })?
    }

    /// Ends a permit whose call never left.
    pub(crate) fn give_back(&self, permit: TicketId) -> Result<Settled, Error> {
        self.step(|state, now, wakers| self.end(state, now, permit, Used::Nothing, wakers))?
    }

    /// Ends a permit that was dropped as spent, and says so once for each resource.
    pub(crate) fn forsake(&self, number: u64, slot: usize) {
        let ended = self.step(|state, now, wakers| {
            let ended = self.end(state, now, self.ticket(number), Used::Of(Amounts::new()), wakers);
            let seat = state.seats.get_mut(slot).filter(|seat| ended.is_ok() && !seat.warned)?;
            seat.warned = true;
            Some(Name::clone(&seat.name))
        });
        if let Ok(Some(resource)) = ended {
            log::warn!(
                "{resource}: a permit was dropped without being settled, and counts as having used all it reserved; \
                 settle it with what the call used, or give it back"
            );
        }
    }

    pub(crate) fn amend(&self, number: u64, slot: usize, demand: &Demand) -> Result<Settled, Error> {
        self.step(|state, now, _| {
            let State { seats, ledger, .. } = state;
            let seat = seats.get(slot).ok_or(Error::Closed)?;
            let reserve = demand.amendment(seat, ledger)?;
            let permit = self.ticket(number);
            match state.apply(now, Command::Amend { permit, reserve }) {
                Outcome::Amended { returned, charged } => Ok(state.settled(returned, charged)),
                _ => Err(self.over(permit)),
            }
        })?
    }

    pub(crate) fn renew(&self, number: u64, lease: Millis) -> Result<(), Error> {
        self.step(|state, now, _| {
            state.leases.renew(number, now.saturating_add(lease));
            state.stepped = true;
        })
    }

    pub(crate) fn permits(&self) -> Result<Vec<PermitInfo>, Error> {
        self.step(|state, now, _| {
            // Their ages are those of the last step.
            state.tick(now);
            let info = |permit: PermitView| PermitInfo {
                id: PermitId { ledger: Arc::clone(&self.name), ticket: permit.id },
                resource: state
                    .slots
                    .get(&permit.resource)
                    .map_or_else(|| "".into(), |slot| state.name_of(*slot)),
                lane: permit.lane,
                age: Duration::from_millis(permit.age),
                reserved: state.named(&permit.reserved),
            };
            state.ledger.permits().map(info).collect()
        })
    }

    pub(crate) fn outlook(&self, asking: &Asking<'_>) -> Result<Option<Outlook>, Error> {
        self.step(|state, now, _| {
            let waiter = state.waiter(asking, now)?;
            let Some(id) = state.seats.get(asking.slot).map(|seat| seat.id) else { return Ok(None) };
            let Some(explanation) = state.ledger.explain(now, id, waiter.lane.as_deref(), &waiter.demand)
            else {
                return Ok(None);
            };
            let expected = if explanation.goes { Some(0) } else { state.expected_wait(now, &waiter, false) };
            Ok(Some(Outlook { expected_wait: expected.map(Duration::from_millis), explanation }))
        })?
    }

    /// Puts a configuration into force, and returns where its resources sit, in their order.
    pub(crate) fn configure(
        &self,
        configuration: Configuration,
        resources: &[CompiledResource],
    ) -> Result<Vec<usize>, Error> {
        self.step(|state, now, _| {
            let lanes: Vec<_> = configuration.resources.clone();
            if let Outcome::Invalid(error) = state.apply(now, Command::configure(configuration)) {
                return Err(Error::Spec(error));
            }
            let lanes_of = |name: &str| {
                let spec = lanes.iter().find(|spec| &*spec.name == name);
                spec.map(|spec| spec.lanes.clone()).unwrap_or_default()
            };
            let seated = resources.iter().map(|resource| state.seat(resource, lanes_of(&resource.name)));
            seated.collect()
        })?
    }

    fn end(
        &self,
        state: &mut State,
        now: Millis,
        permit: TicketId,
        usage: Used,
        wakers: &mut Wakers,
    ) -> Result<Settled, Error> {
        match state.apply(now, Command::Settle { permit, usage }) {
            Outcome::Settled { returned, charged } => {
                self.tell(wakers, || Event::Settled {
                    permit: PermitId { ledger: Arc::clone(&self.name), ticket: permit },
                    returned: state.named(&returned),
                    charged: state.named(&charged),
                });
                Ok(state.settled(returned, charged))
            }
            _ => Err(self.over(permit)),
        }
    }

    fn over(&self, permit: TicketId) -> Error {
        Error::PermitOver(PermitId { ledger: Arc::clone(&self.name), ticket: permit })
    }
}

impl State {
    /// Returns amounts with the names of their metrics.
    pub(crate) fn named(&self, amounts: &Amounts) -> Vec<(Name, u64)> {
        amounts.iter().map(|(metric, amount)| (self.ledger.metric_name(metric).into(), amount)).collect()
    }

    /// Notes the names of the metrics that not every ledger knows, so that the result tells them anywhere.
    pub(super) fn settled(&self, returned: Amounts, charged: Amounts) -> Settled {
        let own = |(metric, _): (Metric, u64)| metric.index() >= Metric::KNOWN.len();
        let mut names = Vec::new();
        if returned.has_others() || charged.has_others() {
            let metrics = returned.iter().chain(charged.iter()).filter(|amount| own(*amount));
            names.extend(metrics.map(|(metric, _)| (metric, self.ledger.metric_name(metric).into())));
        }
        Settled { returned, charged, names }
    }

    pub(super) fn charge(&mut self, slot: usize, usage: &Usage) -> Result<Amounts, Error> {
        let seat = self.seats.get(slot).ok_or(Error::Closed)?;
        usage.charge(seat, &mut self.ledger)
    }

    fn slot_of(&self, permit: TicketId) -> Option<usize> {
        let view = self.ledger.permit(permit)?;
        self.slots.get(&view.resource).copied()
    }

    pub(super) fn seat(
        &mut self,
        resource: &CompiledResource,
        lanes: Vec<paceline_core::LaneSpec>,
    ) -> Result<usize, Error> {
        let unknown = || Error::UnknownResource { name: resource.name.clone(), nearest: None };
        let id = self.ledger.resource(&resource.name).ok_or_else(unknown)?;
        let profile = Arc::new(resource.profile.for_metrics(self.ledger.metrics_of(id)));
        if let Some(slot) = self.slots.get(&id).copied() {
            if let Some(seat) = self.seats.get_mut(slot) {
                seat.refit(profile, lanes);
            }
            return Ok(slot);
        }
        let slot = self.seats.len();
        self.slots.insert(id, slot);
        self.seats.push(Seat::new(id, &resource.name, profile, lanes));
        Ok(slot)
    }
}
