//! Stores: where ledgers live. The URL chooses.

mod account;
mod ask;
mod desk;
pub(crate) mod here;
mod holds;
mod lease;
mod line;
mod memory;
#[cfg(feature = "redis")]
pub(crate) mod redis;
#[cfg(feature = "shared")]
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
    let Some((scheme, name)) = url.split_once("://") else {
        return Err(refused(url, "it has no scheme; memory:// is the store of this process"));
    };
    let scheme = scheme.to_ascii_lowercase();
    match scheme.as_str() {
        "memory" => memory::open(name, options),
        scheme if scheme.starts_with("redis") || scheme.starts_with("valkey") => open_redis(url, options),
        _ => Err(refused(url, "its scheme is neither memory nor one of redis")),
    }
}

#[cfg(feature = "redis")]
fn open_redis(url: &str, options: Options) -> Result<Arc<Store>, Error> {
    redis::open(url, options)
}

#[cfg(not(feature = "redis"))]
fn open_redis(url: &str, _: Options) -> Result<Arc<Store>, Error> {
    Err(refused(url, "paceline is built without its feature redis"))
}

fn refused(url: &str, reason: &'static str) -> Error {
    Error::StoreUrl { url: without_secrets(url), reason }
}

/// Returns as much of a URL as cannot be a secret, whatever is wrong with it.
pub(crate) fn without_secrets(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").map_or(("", url), |(scheme, rest)| (scheme, rest));
    let plain = !rest.contains(['@', '?']) && !rest.starts_with(':');
    if plain { url.to_owned() } else { format!("{scheme}://…") }
}
