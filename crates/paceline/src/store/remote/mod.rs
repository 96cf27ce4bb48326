//! Ledgers behind a control plane, or in another process of this host: batches go over a `WebSocket`.

mod carrier;
mod connect;
mod connection;
mod dial;
mod failure;
mod link;
#[cfg(all(unix, feature = "host"))]
mod local;
#[cfg(all(unix, feature = "host"))]
pub(crate) mod place;
mod url;

pub use connect::Stream;
pub use dial::Dial;

use std::sync::Arc;
use std::time::Duration;

use link::RemoteLink;
use url::Address;

use crate::Error;
use crate::store::shared::registry::Registry;
use crate::store::shared::timing::Timing;
use crate::store::{Options, Store, refused};

/// The longest that an answer may take: longer than what a server may wait for a store of its own.
const REPLY: Duration = Duration::from_secs(3);

/// Opens the store that a URL names; `None` where its scheme is none of ours.
pub(crate) fn open(url: &str, options: Options) -> Option<Result<Arc<Store>, Error>> {
    static STORES: Registry<Address> = Registry::new();
    let address = match Address::parse(url)? {
        Ok(address) => address.or_key(std::env::var(url::KEY_VARIABLE).ok()),
        Err(reason) => return Some(Err(refused(url, reason))),
    };
    Some(STORES.open(address.to_string(), address, options, Address::differs, |address, options| {
        let sharing = &options.sharing;
        let most = Timing::within(sharing.store_timeout);
        let reply = Duration::from_millis(sharing.store_timeout).min(REPLY).max(most.reply);
        let timing = Timing { reply, ..most };
        Ok(Arc::new(RemoteLink::new(address.clone(), timing, sharing.name.clone())?))
    }))
}
