//! Stores behind a connection: grants and pushes, connections that are lost, servers that are something else.
#![cfg(all(unix, feature = "remote", feature = "host"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends where it fails")]

mod broken;
mod served;
mod server;
mod wrong;
