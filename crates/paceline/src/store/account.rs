//! An account, wherever its ledger is.

use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;

use paceline_core::{Command, Configuration, Millis, Name, Snapshot, TicketId};

use super::{Answer, Asking, Grant, Memory, PermitInfo, State};
use crate::clock::whole_ms;
use crate::config::CompiledResource;
use crate::events::Event;
use crate::permit::Settled;
use crate::reply::Reply;
use crate::resource::Outlook;
use crate::{Demand, Error, PermitId, Usage};

/// An account. Cheap to clone.
#[derive(Clone)]
pub(crate) enum Account {
    /// Its ledger is in this process.
    Memory(Arc<Memory>),
    /// Its ledger is in a store that several processes share.
    #[cfg(feature = "shared")]
    Shared(Arc<super::shared::Shared>),
}

/// Does the same on either.
macro_rules! either {
    ($self:expr, $account:ident => $here:expr, $there:expr) => {
        match $self {
            Account::Memory($account) => $here,
            #[cfg(feature = "shared")]
            Account::Shared($account) => $there,
        }
    };
}

impl Account {
    pub(crate) fn name(&self) -> &Name {
        either!(self, account => &account.name, account.name())
    }

    #[inline]
    pub(crate) fn ask(&self, asking: &Asking<'_>) -> Result<Answer, Error> {
        either!(self, account => account.ask(asking), account.ask(asking))
    }

    #[inline]
    pub(crate) fn answer(&self, number: u64, waker: Waker) -> Poll<Result<Grant, Error>> {
        either!(self, account => account.answer(number, waker), account.answer(number, waker))
    }

    pub(crate) fn abandon(&self, number: u64) {
        either!(self, account => account.abandon(number), account.abandon(number));
    }

    /// Refuses all that one limiter's callers wait for.
    pub(crate) fn close(&self, owner: u32) -> Result<(), Error> {
        either!(self, account => account.close(owner), {
            account.close(owner);
            Ok(())
        })
    }

    pub(crate) fn permit_id(&self, number: u64) -> PermitId {
        either!(self, account => account.permit_id(number), account.permit_id(number))
    }

    #[inline]
    pub(crate) fn settle_own(&self, number: u64, slot: usize, usage: &Usage) -> Reply<Settled> {
        either!(self,
            account => account.settle(account.ticket(number), Some(slot), usage).into(),
            account.settle_own(number, slot, usage))
    }

    pub(crate) fn give_back_own(&self, number: u64) -> Reply<Settled> {
        either!(self, account => account.give_back(account.ticket(number)).into(), account.give_back_own(number))
    }

    /// Ends a permit by its id, from any process.
    pub(crate) fn settle(&self, permit: TicketId, usage: &Usage) -> Reply<Settled> {
        either!(self, account => account.settle(permit, None, usage).into(), account.settle(permit, usage))
    }

    pub(crate) fn give_back(&self, permit: TicketId) -> Reply<Settled> {
        either!(self, account => account.give_back(permit).into(), account.give_back(permit))
    }

    pub(crate) fn forsake(&self, number: u64, slot: usize) {
        either!(self, account => account.forsake(number, slot), account.forsake(number, slot));
    }

    pub(crate) fn amend(&self, number: u64, slot: usize, demand: &Demand) -> Reply<Settled> {
        either!(self,
            account => account.amend(number, slot, demand).into(),
            account.amend(number, slot, demand))
    }

    /// Lets an own permit live so long from now on.
    pub(crate) fn renew_own(&self, number: u64, lease: Duration) -> Reply<()> {
        let lease = whole_ms(lease);
        either!(self, account => account.renew(number, lease).into(), account.renew_own(number, lease))
    }

    /// Lets a permit live so long from now on, from any process.
    pub(crate) fn renew(&self, permit: TicketId, lease: Duration) -> Reply<()> {
        let lease = whole_ms(lease);
        either!(self, account => account.renew(permit.number, lease).into(), account.renew(permit, lease))
    }

    /// Lets go of a permit without ending it.
    pub(crate) fn detach(&self, number: u64) -> PermitId {
        either!(self, account => account.permit_id(number), account.detach(number))
    }

    pub(crate) fn permits(&self) -> Reply<Vec<PermitInfo>> {
        either!(self, account => account.permits().into(), account.permits())
    }

    pub(crate) fn snapshot(&self) -> Reply<Snapshot> {
        either!(self,
            account => account.step(|state, now, _| state.ledger.snapshot(now)).into(),
            account.snapshot())
    }

    pub(crate) fn outlook(&self, asking: &Asking<'_>) -> Reply<Option<Outlook>> {
        either!(self, account => account.outlook(asking).into(), account.outlook(asking))
    }

    /// Puts a configuration into force, and returns where its resources sit, in their order.
    pub(crate) fn configure(
        &self,
        configuration: Configuration,
        revision: u64,
        resources: &[CompiledResource],
    ) -> Result<Vec<usize>, Error> {
        // A ledger that nobody shares needs no revision to tell who wins.
        let _ = revision;
        either!(self,
            account => account.configure(configuration, resources),
            account.configure(configuration, revision, resources))
    }

    /// Looks at the seats and names of the account.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&mut State, Millis) -> T) -> Result<T, Error> {
        either!(self, account => account.step(|state, now, _| look(state, now)), Ok(account.look(look)))
    }

    /// Carries out a command that concerns no ticket, and tells of it.
    pub(crate) fn order(
        &self,
        command: impl FnOnce(&mut State) -> Result<Command, Error>,
        event: impl FnOnce() -> Option<Event>,
    ) -> Reply<()> {
        either!(self,
            account => {
                let done = account.step(|state, now, wakers| {
                    let command = command(state)?;
                    state.apply(now, command);
                    account.tell_if(wakers, event);
                    Ok(())
                });
                done.and_then(|done| done).into()
            },
            account.order(command, event))
    }
}
