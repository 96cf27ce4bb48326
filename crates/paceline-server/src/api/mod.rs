//! The API, a file a subject.

pub(crate) mod acquire;
pub(crate) mod answers;
pub(crate) mod bodies;
pub(crate) mod dashboard;
pub(crate) mod events;
#[cfg(feature = "fuzzing")]
mod fuzzing;
pub(crate) mod history;
pub(crate) mod keys;
pub(crate) mod looks;
pub(crate) mod pages;
pub(crate) mod permits;
pub(crate) mod resources;
mod rights;
pub(crate) mod session;
pub(crate) mod views;
pub(crate) mod watch;

#[cfg(feature = "fuzzing")]
pub(crate) use fuzzing::{read_bodies, read_queries};
