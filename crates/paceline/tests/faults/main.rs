//! Worker processes that share limits on real servers, while servers, networks and workers fail.
#![cfg(feature = "redis")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends where it fails")]

mod crew;
mod judge;
#[cfg(all(unix, feature = "remote", feature = "host"))]
mod local;
mod named;
mod network;
mod plan;
mod policies;
mod processes;
#[cfg(all(unix, feature = "remote", feature = "host"))]
mod remote;
mod restarts;
mod server;
mod soak;
mod topology;
mod worker;
