//! What callers acquire.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use paceline_core::{Command, Explanation, LimitView, Name, ResourceView, Target};

use crate::acquire::{Acquire, Request};
use crate::events::Event;
use crate::limit::Pause;
use crate::limiter::Shared;
use crate::many::AcquireMany;
use crate::permit::{GrantedVia, Settled};
use crate::reply::Reply;
use crate::store::{Account, Answer, State};
use crate::{Demand, Error, Limit, PermitId, Usage};

/// A named bundle of limits, all of which must agree to a call. Cheap to clone.
#[derive(Clone)]
pub struct Resource(Arc<Handle>);

/// A resource and its limits at one instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceSnapshot {
    /// The resource and its lanes.
    pub resource: ResourceView,
    /// The limits on which all or some of its lanes draw.
    pub limits: Vec<LimitView>,
}

/// The answer to "would it go at present, and if not, when".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outlook {
    /// How long the wait would be, others in line included, as far as that can be told.
    pub expected_wait: Option<Duration>,
    /// What the ledger says: which limits bind, and who is ahead.
    pub explanation: Explanation,
}

pub(crate) struct Handle {
    pub(crate) name: Name,
    pub(crate) limiter: Arc<Shared>,
    pub(crate) counter: Counter,
}

/// Where a resource is counted.
pub(crate) enum Counter {
    Account { account: Account, slot: usize },
    Nowhere(GrantedVia),
}

impl Resource {
    /// Asks for a permit: to be awaited, or waited for by a thread.
    pub fn acquire(&self, demand: Demand) -> Acquire {
        Acquire::new(self.clone(), Request { demand, ..Request::default() })
    }

    /// Asks for a permit without waiting in line: granted or refused as [`Error::Busy`].
    pub fn try_acquire(&self, demand: Demand) -> Acquire {
        Acquire::new(self.clone(), Request { demand, at_once: true, ..Request::default() })
    }

    /// Asks for several permits, which come together, in this order, or not at all.
    pub fn acquire_many(&self, demands: impl IntoIterator<Item = Demand>) -> AcquireMany {
        AcquireMany::new(demands.into_iter().map(|demand| self.acquire(demand)))
    }

    /// Charges use that nobody asked for: it may lead to debt, which callers wait out.
    pub fn record(&self, usage: impl Into<Usage>) -> Reply<()> {
        let usage = usage.into();
        let record = |State { seats, ledger, .. }: &mut State, slot: usize| {
            let seat = seats.get(slot).ok_or(Error::Closed)?;
            Ok(Command::Record { resource: seat.id, lane: None, usage: usage.charge(seat, ledger)? })
        };
        self.order(record, || None)
    }

    /// Lets all callers wait, or refuses them.
    pub fn pause(&self, pause: Pause) -> Reply<()> {
        self.command(move |target| pause.command(target), move |target| pause.event(target))
    }

    /// Ends a pause. Token buckets under it restart empty.
    pub fn resume(&self) -> Reply<()> {
        self.command(|target| Command::Resume { target }, |target| Event::Resumed { target })
    }

    /// Refuses all that wait, or all in one lane, and returns nothing of what they did not have.
    pub fn purge(&self, lane: Option<&str>) -> Reply<()> {
        let lane = lane.map(Name::from);
        let purge = |state: &mut State, slot: usize| {
            let resource = state.seats.get(slot).ok_or(Error::Closed)?.id;
            Ok(Command::Purge { resource, lane })
        };
        self.order(purge, || None)
    }

    /// Returns a limit of the resource's ledger by its name.
    pub fn limit(&self, name: &str) -> Result<Limit, Error> {
        match &self.0.counter {
            Counter::Account { account, .. } => Limit::find([account.clone()], name),
            Counter::Nowhere(_) => Err(Error::UnknownLimit { name: name.to_owned(), nearest: None }),
        }
    }

    /// Says whether a demand would go at present, and if not, when, what binds, and who is ahead.
    ///
    /// ```
    /// # use paceline::{Demand, Limiter, core::*};
    /// # let limit = LimitSpec::new("rpm", "requests", 1, Algorithm::TokenBucket { window: 60_000, burst: 1 }).member("gpt");
    /// # let limiter = Limiter::builder().private().limits([limit], [ResourceSpec::new("gpt")]).build()?;
    /// let resource = limiter.resource("gpt")?;
    /// let _permit = resource.acquire(Demand::new()).wait()?;
    /// let outlook = resource.explain(Demand::new()).wait()?;
    /// assert!(!outlook.explanation.goes);
    /// assert_eq!(&*outlook.explanation.limits[0].limit, "rpm");
    /// # Ok::<(), paceline::Error>(())
    /// ```
    pub fn explain(&self, demand: Demand) -> Reply<Outlook> {
        self.acquire(demand).explain()
    }

    /// Returns the resource and its limits as they are.
    pub fn snapshot(&self) -> Reply<ResourceSnapshot> {
        let Counter::Account { account, slot } = &self.0.counter else {
            return Err(Error::UnknownResource { name: self.name().to_owned(), nearest: None }).into();
        };
        let own = Name::clone(&self.0.name);
        let slot = *slot;
        // What a configuration calls it is what the ledger calls it.
        let name = account.look(|state, _| state.name_of(slot)).unwrap_or_else(|_| Name::clone(&own));
        let found = account.snapshot().map(move |snapshot| {
            let resource = snapshot.resources.into_iter().find(|resource| resource.name == name)?;
            let drawn = snapshot.limits.into_iter().filter(|limit| resource.limits.contains(&limit.name));
            Some(ResourceSnapshot { limits: drawn.collect(), resource })
        });
        found.require(move || Error::UnknownResource { name: own.to_string(), nearest: None })
    }

    /// Returns the metrics that its limits count, each once: what this process knows of them, without asking a store.
    pub fn metrics(&self) -> Vec<Name> {
        let Counter::Account { account, slot } = &self.0.counter else { return Vec::new() };
        let counted = account.look(|state, now| {
            let name = state.name_of(*slot);
            let snapshot = state.ledger.snapshot(now);
            let own = snapshot.resources.into_iter().find(|resource| resource.name == name);
            let drawn = own.map(|resource| resource.limits).unwrap_or_default();
            let counted = snapshot.limits.into_iter().filter(|limit| drawn.contains(&limit.name));
            counted.map(|limit| limit.metric).collect::<BTreeSet<Name>>()
        });
        counted.map(|metrics| metrics.into_iter().collect()).unwrap_or_default()
    }

    /// Returns the name under which it is configured.
    pub fn name(&self) -> &str {
        &self.0.name
    }
}

impl Resource {
    pub(crate) fn new(handle: Handle) -> Self {
        Self(Arc::new(handle))
    }

    pub(crate) fn account(&self) -> Option<&Account> {
        match &self.0.counter {
            Counter::Account { account, .. } => Some(account),
            Counter::Nowhere(_) => None,
        }
    }

    #[cfg(feature = "shared")]
    pub(crate) fn counter(&self) -> &Counter {
        &self.0.counter
    }

    #[cfg(feature = "shared")]
    pub(crate) fn limiter(&self) -> &Shared {
        &self.0.limiter
    }

    pub(crate) fn granted_via(&self) -> GrantedVia {
        match &self.0.counter {
            Counter::Account { .. } => GrantedVia::Ledger,
            Counter::Nowhere(via) => *via,
        }
    }

    /// Asks the account; `None` where there is none.
    pub(crate) fn ask(&self, request: &Request) -> Result<Option<Answer>, Error> {
        self.0.limiter.check_open()?;
        match &self.0.counter {
            Counter::Account { account, slot } => {
                let asking = self.0.limiter.asking(*slot, request);
                account.ask(&asking).map(Some)
            }
            Counter::Nowhere(_) => Ok(None),
        }
    }

    pub(crate) fn outlook(&self, request: &Request) -> Reply<Outlook> {
        let name = Name::clone(&self.0.name);
        let unknown = move || Error::UnknownResource { name: name.to_string(), nearest: None };
        let Counter::Account { account, slot } = &self.0.counter else { return Err(unknown()).into() };
        let asking = self.0.limiter.asking(*slot, request);
        account.outlook(&asking).require(unknown)
    }

    pub(crate) fn settle(&self, number: u64, usage: &Usage) -> Reply<Settled> {
        self.counted(|account, slot| account.settle_own(number, slot, usage))
    }

    pub(crate) fn give_back(&self, number: u64) -> Reply<Settled> {
        self.counted(|account, _| account.give_back_own(number))
    }

    pub(crate) fn spend(&self, number: u64) -> Reply<Settled> {
        self.counted(|account, slot| account.settle_own(number, slot, &Usage::new()))
    }

    pub(crate) fn amend(&self, number: u64, demand: &Demand) -> Reply<Settled> {
        self.counted(|account, slot| account.amend(number, slot, demand))
    }

    pub(crate) fn renew(&self, number: u64, lease: Duration) -> Reply<()> {
        self.counted(|account, _| account.renew_own(number, lease))
    }

    pub(crate) fn detach(&self, number: u64) -> PermitId {
        match &self.0.counter {
            Counter::Account { account, .. } => account.detach(number),
            Counter::Nowhere(_) => PermitId::nowhere(&self.0.name),
        }
    }

    /// Ends a permit that was dropped.
    pub(crate) fn forsake(&self, number: u64) {
        if let Counter::Account { account, slot } = &self.0.counter {
            account.forsake(number, *slot);
        }
    }

    pub(crate) fn permit_id(&self, number: u64) -> PermitId {
        match &self.0.counter {
            Counter::Account { account, .. } => account.permit_id(number),
            Counter::Nowhere(_) => PermitId::nowhere(&self.0.name),
        }
    }

    fn counted<T: Default>(&self, how: impl FnOnce(&Account, usize) -> Reply<T>) -> Reply<T> {
        match &self.0.counter {
            Counter::Account { account, slot } => how(account, *slot),
            Counter::Nowhere(_) => Ok(T::default()).into(),
        }
    }

    fn order(
        &self,
        command: impl FnOnce(&mut State, usize) -> Result<Command, Error>,
        event: impl FnOnce() -> Option<Event>,
    ) -> Reply<()> {
        self.counted(|account, slot| account.order(|state| command(state, slot), event))
    }

    fn command(
        &self,
        command: impl FnOnce(Target) -> Command,
        event: impl FnOnce(Name) -> Event,
    ) -> Reply<()> {
        let of_seat = |state: &mut State, slot: usize| {
            let id = state.seats.get(slot).ok_or(Error::Closed)?.id;
            Ok(command(Target::Resource(id)))
        };
        self.order(of_seat, || Some(event(Name::clone(&self.0.name))))
    }
}

impl fmt::Debug for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Resource").field(&self.name()).finish()
    }
}
