//! Real servers, faulty networks and dying processes, for tests.
//!
//! Everything is started on free ports of the loopback and in temporary folders, is waited for until it answers, and is
//! killed when it is dropped. What cannot be done is said by a panic: this crate is for tests alone.
//!
//! ```no_run
//! use paceline_testkit::{Fault, FaultProxy, RedisServer};
//!
//! let server = RedisServer::start();
//! let proxy = FaultProxy::to(server.port());
//! proxy.set(Fault::DropReplies);
//! println!("redis://127.0.0.1:{}", proxy.port());
//! ```
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, reason = "a test ends where it fails")]
#![allow(clippy::missing_panics_doc, reason = "everything here panics rather than return an error")]

mod certificates;
mod mutations;
mod ports;
mod processes;
mod proxy;
mod redis;
mod signals;
mod wait;

pub use certificates::Certificates;
pub use mutations::mutate;
pub use ports::free as free_port;
pub use processes::{Processes, Talking, Worker, worker};
pub use proxy::{Fault, FaultProxy};
pub use redis::{Redis, RedisCluster, RedisSentinel, RedisServer, Reply, Talk, slot_of};
pub use signals::allow_open_files;
pub use wait::{pause, until};
