//! The server over real sockets, as its clients see it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

mod access;
mod bounds;
mod dashboard;
mod description;
mod events;
mod history;
mod kit;
mod page;
mod permits;
mod resources;
mod sessions;
mod tls;
mod watch;
