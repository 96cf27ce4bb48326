//! The right to make one call, from grant to settlement.

use std::fmt;
use std::num::NonZeroU64;
use std::sync::Mutex;
use std::time::Duration;

use paceline_core::{Amounts, Metric, Millis, Name};

use crate::acquire::{Acquire, Request};
use crate::reply::Reply;
use crate::resource::Resource;
use crate::store::Grant;
use crate::sync::lock;
use crate::{Demand, PermitId, Usage};

/// The right to make one call.
///
/// It ends once: settled with what the call used, given back, or dropped, which counts as having used what was
/// reserved. One that is leaked is ended at its lease.
///
/// ```
/// # use paceline::{Demand, Limiter, Usage, core::*};
/// # let limit = LimitSpec::new("tpm", "tokens", 1_000, Algorithm::TokenBucket { window: 60_000, burst: 1_000 }).member("gpt");
/// # let limiter = Limiter::builder().private().limits([limit], [ResourceSpec::new("gpt")]).build()?;
/// let resource = limiter.resource("gpt")?;
/// let permit = resource.acquire(Demand::tokens(800)).wait()?;
/// // … the call …
/// let settled = permit.settle(Usage::tokens(500)).wait()?;
/// assert_eq!(settled.returned("tokens"), 300);
/// # Ok::<(), paceline::Error>(())
/// ```
#[must_use = "a permit that is dropped ends with its reservation spent"]
pub struct Permit {
    resource: Resource,
    request: Request,
    /// Its ticket's number; `None` where nothing is counted, and once it has ended.
    number: Option<NonZeroU64>,
    waited: Millis,
    via: GrantedVia,
    at: Option<Millis>,
    /// What it was amended to want.
    amended: Mutex<Option<Box<Demand>>>,
}

/// The way by which a permit came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum GrantedVia {
    /// The ledger found room.
    Ledger,
    /// No configuration names the resource, and such resources are allowed.
    Unlimited,
    /// The mode is off.
    Off,
    /// The store could not be reached, and such calls are allowed.
    Allowed,
    /// The store could not be reached, and this process granted out of its share.
    Local,
}

/// What a settlement or an amendment moved.
#[derive(Debug, Clone, Default)]
pub struct Settled {
    pub(crate) returned: Amounts,
    pub(crate) charged: Amounts,
    /// The names of those metrics that not every ledger knows.
    pub(crate) names: Vec<(Metric, Name)>,
}

impl Permit {
    pub(crate) fn granted(resource: Resource, request: Request, grant: Grant) -> Self {
        Self {
            resource,
            request,
            number: NonZeroU64::new(grant.number),
            waited: grant.waited,
            via: grant.via,
            at: grant.at,
            amended: Mutex::default(),
        }
    }

    /// A permit that counts nowhere.
    pub(crate) fn free(resource: Resource, request: Request) -> Self {
        let via = resource.granted_via();
        Self { resource, request, number: None, waited: 0, via, at: None, amended: Mutex::default() }
    }

    /// Ends the permit: replaces what it reserved by what the call used. The difference goes back, or is charged.
    pub fn settle(mut self, usage: impl Into<Usage>) -> Reply<Settled> {
        let usage = usage.into();
        self.end(|resource, number| resource.settle(number, &usage))
    }

    /// Ends the permit of a call that never left: everything goes back, as far as the limits allow.
    pub fn give_back(mut self) -> Reply<Settled> {
        self.end(Resource::give_back)
    }

    /// Ends the permit as spent, and asks for another of the same demand, in the same lane.
    pub fn retry(mut self) -> Acquire {
        self.end(Resource::spend);
        Acquire::new(self.resource.clone(), std::mem::take(&mut self.request))
    }

    /// Lowers or raises what the permit reserves; what is not said stays. It never waits: what is raised is charged at
    /// once.
    pub fn amend(&self, demand: &Demand) -> Reply<Settled> {
        match self.number {
            Some(number) => {
                let mut amended = lock(&self.amended);
                let whole = amended.as_deref().unwrap_or(&self.request.demand).amended_by(demand);
                let reply = self.resource.amend(number.get(), &whole);
                *amended = Some(Box::new(whole));
                reply
            }
            None => Ok(Settled::default()).into(),
        }
    }

    /// Lets the permit live for this long from now on, whatever its lease was.
    pub fn renew(&self, lease: Duration) -> Reply<()> {
        match self.number {
            Some(number) => self.resource.renew(number.get(), lease),
            None => Ok(()).into(),
        }
    }

    /// Lets go of the permit without ending it: any process can settle it by its id, until its lease ends.
    pub fn detach(mut self) -> PermitId {
        match self.number.take() {
            Some(number) => self.resource.detach(number.get()),
            None => self.id(),
        }
    }

    /// Returns the name of the permit, by which any process can settle it.
    pub fn id(&self) -> PermitId {
        self.resource.permit_id(self.number.map_or(0, NonZeroU64::get))
    }

    /// Returns the name of its resource.
    pub fn resource(&self) -> &str {
        self.resource.name()
    }

    /// Returns how long the caller waited for it.
    pub fn waited(&self) -> Duration {
        Duration::from_millis(self.waited)
    }

    /// Returns when a shared store granted it, in milliseconds since the Unix epoch by that store's clock; `None` where
    /// no shared store did. Those of one store can be compared, whichever processes they come from.
    pub fn granted_at(&self) -> Option<Millis> {
        self.at
    }

    /// Returns the way by which it came.
    pub fn granted_via(&self) -> GrantedVia {
        self.via
    }

    fn end(&mut self, how: impl FnOnce(&Resource, u64) -> Reply<Settled>) -> Reply<Settled> {
        match self.number.take() {
            Some(number) => how(&self.resource, number.get()),
            None => Ok(Settled::default()).into(),
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(number) = self.number.take() {
            self.resource.forsake(number.get());
        }
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit")
            .field("resource", &self.resource())
            .field("number", &self.number)
            .field("waited", &self.waited())
            .finish_non_exhaustive()
    }
}

impl Settled {
    /// Returns how much of a metric went back: the most that went back to any one limit.
    pub fn returned(&self, metric: &str) -> u64 {
        self.amount(&self.returned, metric)
    }

    /// Returns how much of a metric was charged beyond the reservation.
    pub fn charged(&self, metric: &str) -> u64 {
        self.amount(&self.charged, metric)
    }

    /// Returns everything that went back, by metric.
    pub fn all_returned(&self) -> Vec<(Name, u64)> {
        self.named(&self.returned)
    }

    /// Returns everything that was charged, by metric.
    pub fn all_charged(&self) -> Vec<(Name, u64)> {
        self.named(&self.charged)
    }

    fn amount(&self, amounts: &Amounts, metric: &str) -> u64 {
        let own = || self.names.iter().find(|(_, name)| &**name == metric).map(|(metric, _)| *metric);
        Metric::known(metric).or_else(own).map_or(0, |metric| amounts.amount(metric))
    }

    fn named(&self, amounts: &Amounts) -> Vec<(Name, u64)> {
        let name = |metric: Metric| match Metric::KNOWN.get(metric.index()) {
            Some(known) => Some(Name::from(*known)),
            None => self.names.iter().find(|(own, _)| *own == metric).map(|(_, name)| Name::clone(name)),
        };
        amounts.iter().filter_map(|(metric, amount)| Some((name(metric)?, amount))).collect()
    }
}
