//! Keeps many workers that share an LLM API key inside the provider's limits.
//!
//! A worker asks before it calls. When there is capacity it goes; when there is not it waits in line; and when the call
//! is done the tokens that it did not use go back to whoever is next.
//!
//! ```
//! use paceline::{Demand, Limiter, Usage, config::Config};
//!
//! let config = Config::parse(
//!     "limits.yaml",
//!     "openai:\n  gpt-4o: {requests_per_minute: 500, tokens_per_minute: 30_000}\n",
//! )?;
//! let limiter = Limiter::from_config(config)?;
//! let resource = limiter.resource("openai/gpt-4o")?;
//!
//! // In async code `.await` takes the place of `.wait()`, on any executor.
//! let permit = resource.acquire(Demand::new().input_tokens(1_200).max_output_tokens(800)).wait()?;
//! // … the call …
//! permit.settle(Usage::new().input_tokens(1_180).output_tokens(212));
//! # Ok::<(), paceline::Error>(())
//! ```
//!
//! Everything is written once, asynchronously; the blocking door parks its thread. What happens by time alone happens on
//! one thread of the library's own, which starts when somebody has to wait and ends when nobody does.

/// The README's examples run as tests.
#[cfg(all(doctest, feature = "redis"))]
#[doc = include_str!("../../../docs/redis.md")]
struct RedisPage;

#[cfg(all(doctest, unix, feature = "host", feature = "remote"))]
#[doc = include_str!("../../../docs/local.md")]
struct LocalPage;

#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;

pub mod config;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
#[cfg(feature = "host")]
pub mod host;
#[cfg(feature = "redis")]
pub mod inspect;
#[cfg(feature = "redis")]
pub mod manage;
#[cfg(feature = "shared")]
pub mod plain;
pub mod provider;
#[cfg(all(unix, feature = "host", feature = "remote"))]
pub mod publish;
#[cfg(feature = "redis")]
pub mod redis;
#[cfg(feature = "remote")]
#[doc(hidden)]
pub mod remote;
#[cfg(feature = "tower")]
pub mod tower;
#[cfg(feature = "shared")]
#[doc(hidden)]
pub mod wire;
#[cfg(feature = "shared")]
#[doc(hidden)]
pub use store::shared::link;

mod acquire;
mod builder;
mod clock;
mod demand;
mod driver;
mod error;
mod estimate;
mod events;
mod fork;
mod id;
mod limit;
mod limiter;
mod many;
mod mode;
mod names;
mod near;
mod outage;
mod park;
mod permit;
mod reconfigure;
mod reply;
mod resource;
mod seat;
mod store;
mod sync;
mod usage;
mod watch;

pub use paceline_core as core;
pub use paceline_core::Name;

pub use acquire::Acquire;
pub use builder::Builder;
pub use clock::{Clock, ManualClock};
pub use demand::Demand;
pub use error::{Error, Shortage};
pub use events::{Event, Events};
pub use fork::forked;
pub use id::{InvalidPermitId, PermitId};
pub use limit::{Limit, Pause};
pub use limiter::{AccountSnapshot, Limiter};
pub use many::AcquireMany;
pub use mode::Mode;
pub use near::NearLimit;
pub use outage::{OnLostState, OnStoreFailure};
pub use permit::{GrantedVia, Permit, Settled};
pub use reply::{Answer, Reply};
pub use resource::{Outlook, Resource, ResourceSnapshot};
pub use store::PermitInfo;
pub use usage::Usage;
