//! The server's end of connections that carry sessions: for the control plane, and for the process that hosts
//! `local://`.
//!
//! A connection carries frames (see [`frames`](crate::wire)); what moves them is the caller's: a `WebSocket` of any kind.
//! Its end is no event of the protocol: sessions live by their batches, and a client that connects again goes on.

mod listening;
mod serve;
#[cfg(test)]
mod tests;
mod websocket;

pub use serve::{Ended, Guard, Incoming, Observer, Outgoing, Service, Terms, serve_connection};
pub use websocket::serve_stream;

pub use crate::store::remote::{Dial, Stream};
pub use crate::wire::{LARGEST, PROTOCOL};

/// Makes a link of its own to the ledgers on Redis that a URL names, for a server that forwards sessions there.
#[cfg(feature = "redis")]
pub fn link_to(url: &str, key_prefix: &str) -> Result<std::sync::Arc<dyn crate::link::Link>, crate::Error> {
    Ok(crate::store::redis::link_to(url, key_prefix)?)
}

/// Where a control plane answers the handshake of such a `WebSocket`.
pub const PATH: &str = "/v1/session";
