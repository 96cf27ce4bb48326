//! The demo: workers that share one key of a fake provider, over real sockets.
//!
//! A [`scene`] has the limits, a [`job`] the calls; workers go through the job [`paced`] or [`naive`], tell a [`board`],
//! and a [`summary`] compares what came out with the [`bound`]. Several processes are a [`crew`] of [`worker`]s, who share
//! the line through a store, which can be a [`private_redis`].

pub(crate) mod board;
pub(crate) mod bound;
pub(crate) mod client;
pub(crate) mod crew;
pub(crate) mod job;
pub(crate) mod naive;
pub(crate) mod order;
pub(crate) mod paced;
pub(crate) mod private_redis;
pub(crate) mod progress;
pub(crate) mod scene;
pub(crate) mod summary;
pub(crate) mod talk;
pub(crate) mod worker;
