//! Stores: where ledgers live. The URL chooses.

mod account;
mod ask;
mod desk;
mod here;
mod holds;
mod lease;
mod line;
mod memory;
#[cfg(feature = "redis")]
pub(crate) mod redis;
#[cfg(feature = "redis")]
pub(crate) mod shared;
mod state;

pub use holds::PermitInfo;

pub(crate) use account::Account;
pub(crate) use ask::{Answer, Asking, Grant};
pub(crate) use here::Memory;
pub(crate) use memory::{Options, Store};
pub(crate) use state::State;

use std::sync::Arc;

use crate::Error;

/// Opens the store that a URL names: equal URLs are one store for the life of the process.
pub(crate) fn open(url: &str, options: Options) -> Result<Arc<Store>, Error> {
    match url.split_once("://") {
        Some((scheme, name)) if scheme.eq_ignore_ascii_case("memory") => memory::open(name, options),
        Some(_) => Err(refused(url, "its scheme is not memory")),
        None => Err(refused(url, "it has no scheme; memory:// is the store of this process")),
    }
}

fn refused(url: &str, reason: &'static str) -> Error {
    Error::StoreUrl { url: url.to_owned(), reason }
}
