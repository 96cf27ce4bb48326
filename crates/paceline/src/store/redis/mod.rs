//! Ledgers on Redis or Valkey: one script, one round trip.

mod carrier;
mod connect;
mod facts;
mod failure;
mod link;
mod open;
mod scan;
mod script;
mod url;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::store::shared::timing::Timing;
use crate::wire::{LIBRARY, TWIN};
use link::Origin;
use script::{Program, fault_of_name};

pub(crate) use link::RedisLink;
pub(crate) use open::{link_to, open, open_client};

/// Makes the link, which connects when it is first used.
fn make(origin: Origin, prefix: &str, timing: Timing) -> Result<Arc<RedisLink>, &'static str> {
    if fault_of_name(prefix).is_some() {
        return Err("the key prefix has a brace, a space or a control character, or more than 256 bytes");
    }
    Ok(Arc::new(RedisLink::new(origin, prefix, timing, Program { script: TWIN, library: Some(LIBRARY) })?))
}

/// Returns what a client connects to, without its password.
fn url_of(client: &::redis::Client) -> String {
    use ::redis::ConnectionAddr::{Tcp, TcpTls, Unix};
    let info = client.get_connection_info();
    let settings = info.redis_settings();
    let secret = if settings.password().is_some() { ":***@" } else { "" };
    let user = settings.username().unwrap_or_default();
    let login =
        if secret.is_empty() && !user.is_empty() { format!("{user}@") } else { format!("{user}{secret}") };
    let database = settings.db();
    match info.addr() {
        Tcp(host, port) => format!("redis://{login}{host}:{port}/{database}"),
        TcpTls { host, port, .. } => format!("rediss://{login}{host}:{port}/{database}"),
        Unix(path) => format!("redis+unix://{}?db={database}", path.display()),
        _ => "redis://".to_owned(),
    }
}
