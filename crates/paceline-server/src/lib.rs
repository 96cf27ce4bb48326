//! The control plane of Paceline: limits for any language, over HTTP.
//!
//! A [`Server`] answers plain HTTP: a caller asks for a permit, waits in line, and settles with what its call used. It
//! decides with the library `paceline`, over a ledger of its own or a store that several servers share.

mod access;
mod api;
mod app;
mod catalog;
mod clock;
mod doors;
mod extract;
mod feed;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod history;
mod kind;
mod lookout;
mod meters;
mod observed;
mod persist;
mod policy;
mod problem;
mod router;
mod serve;

pub use access::{KeyFile, KeyInfo, NewKey, Scope};
pub use serve::{Backing, Server, Settings, StartError, Stop, TlsFiles};

/// Returns the description of the API, as JSON by `OpenAPI` 3.1.
pub fn openapi() -> String {
    router::openapi()
}

/// Iterates over what the server counts: name, type, and what it means.
pub fn metrics() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    meters::METRICS.into_iter()
}
