//! Ports that nobody uses.

use std::hash::{BuildHasher, RandomState};
use std::net::TcpListener;

/// Returns a port of the loopback that nothing listens on, below those that the system hands out to clients.
///
/// Another process can still be quicker: whoever listens on it has to look that it is really there.
pub fn free() -> u16 {
    const FIRST: u64 = 12_000;
    const COUNT: u64 = 20_000;
    (0..1_000_u64)
        .map(|attempt| FIRST + RandomState::new().hash_one(attempt) % COUNT)
        .filter_map(|port| u16::try_from(port).ok())
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("a port of the loopback is free")
}
