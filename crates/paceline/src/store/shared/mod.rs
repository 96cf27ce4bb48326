//! Accounts of a shared store: the client half of the session protocol.
//!
//! What callers ask is queued under a lock; a task on the thread for input and output sends it in batches, one at a
//! time, and takes over what is answered. What happens by time alone happens on the driver's thread.

mod account;
mod apply;
mod desk;
pub(crate) mod io;
mod job;
pub(crate) mod label;
pub mod link;
mod looks;
mod outage;
mod plain;
mod recover;
mod spent;
mod task;
#[cfg(test)]
mod tests;
mod tick;

pub(crate) use account::Shared;
