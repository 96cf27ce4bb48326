//! The demo: workers that share one key of a fake provider, over real sockets.
//!
//! A [`scene`] has the limits, a [`job`] the calls; workers go through the job [`paced`] or [`naive`], tell a [`board`],
//! and a [`summary`] compares what came out with the [`bound`].

pub(crate) mod board;
pub(crate) mod bound;
pub(crate) mod client;
pub(crate) mod job;
pub(crate) mod naive;
pub(crate) mod paced;
pub(crate) mod progress;
pub(crate) mod scene;
pub(crate) mod summary;
