//! Worker processes that share limits on real servers, while servers, networks and workers fail.
#![cfg(feature = "redis")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends where it fails")]

mod crew;
mod judge;
mod named;
mod network;
mod plan;
mod policies;
mod processes;
mod restarts;
mod server;
mod soak;
mod topology;
mod worker;
