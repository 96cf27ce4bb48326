//! Accounts of a shared store: the client half of the session protocol.
//!
//! What callers ask is queued under a lock; a task on the thread for input and output sends it in batches, one at a
//! time, and takes over what is answered. What happens by time alone happens on the driver's thread.

mod account;
mod apply;
#[cfg(any(feature = "redis", feature = "remote"))]
pub(crate) mod backoff;
mod desk;
pub(crate) mod io;
mod job;
pub(crate) mod label;
pub mod link;
mod looks;
mod outage;
mod plain;
mod poll;
mod recover;
#[cfg(any(feature = "redis", feature = "remote"))]
pub(crate) mod registry;
mod spent;
mod task;
#[cfg(test)]
mod tests;
mod tick;
#[cfg(any(feature = "redis", feature = "remote"))]
pub(crate) mod timing;
#[cfg(any(feature = "redis", feature = "remote"))]
pub(crate) mod url;

pub(crate) use account::Shared;
