//! Real servers of Redis: alone, in a cluster, under sentinels.

mod cluster;
mod sentinel;
mod server;
mod talk;

pub use cluster::{RedisCluster, slot_of};
pub use sentinel::RedisSentinel;
pub use server::{Redis, RedisServer};
pub use talk::{Reply, Talk};
