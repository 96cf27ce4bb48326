//! A stand-in until the library has sessions of plain callers.
use std::time::Duration;
use paceline::{Demand, Error, Limiter, PermitId, Resource, Settled, Usage};

pub(crate) struct PlainAsk { pub lane: Option<String>, pub timeout: Option<Duration>, pub head_start: Duration, pub max_expected_wait: Option<Duration>, pub wait: bool, pub poll: Duration, pub patience: Duration, pub lease: Duration }
impl Default for PlainAsk { fn default() -> Self { Self { lane: None, timeout: None, head_start: Duration::ZERO, max_expected_wait: None, wait: true, poll: Duration::ZERO, patience: Duration::ZERO, lease: Duration::ZERO } } }
pub(crate) enum Plain { Granted { permit: PermitId, waited: Duration }, Waiting { ticket: PermitId, ahead: u64, expected: Option<Duration> } }
pub(crate) enum PlainEnd { Settle(Usage), GiveBack, Cancel }
pub(crate) trait ResourceExt { async fn plain(&self, session: u128, demand: &Demand, ask: &PlainAsk) -> Result<Plain, Error>; }
pub(crate) trait LimiterExt {
 async fn plain_poll(&self, ticket: &PermitId, ask: &PlainAsk) -> Result<Plain, Error>;
 async fn plain_end(&self, permit: &PermitId, end: PlainEnd) -> Result<Settled, Error>;
 async fn plain_renew(&self, permit: &PermitId, lease: Duration) -> Result<(), Error>;
}
impl ResourceExt for Resource { async fn plain(&self, _: u128, _: &Demand, _: &PlainAsk) -> Result<Plain, Error> { Err(Error::Closed) } }
impl LimiterExt for Limiter {
 async fn plain_poll(&self, _: &PermitId, _: &PlainAsk) -> Result<Plain, Error> { Err(Error::Closed) }
 async fn plain_end(&self, _: &PermitId, _: PlainEnd) -> Result<Settled, Error> { Err(Error::Closed) }
 async fn plain_renew(&self, _: &PermitId, _: Duration) -> Result<(), Error> { Err(Error::Closed) }
}
