//! `paceline serve` under those who use it: killed, forwarded to Redis, crowded, cut off from its callers.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    reason = "a test that cannot go on has failed"
)]

mod crew;
mod crowd;
mod killed;
mod kit;
mod lasting;
mod partitions;
mod referee;
mod replicas;
