//! Stores that are open in this process: equal URLs are one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use super::link::Link;
use super::url::Reason;
use crate::Error;
use crate::store::{Options, Store};
use crate::sync::lock;

/// Stores by their URLs without secrets and their prefixes; `O` is what said where they are.
pub(crate) struct Registry<O>(Mutex<BTreeMap<(String, String), Kept<O>>>);

struct Kept<O> {
    origin: O,
    store: Arc<Store>,
}

impl<O> Registry<O> {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(BTreeMap::new()))
    }

    /// Returns the store that is open there, opened by `make` if there is none. `differs` names in what two origins of
    /// one URL differ.
    pub(crate) fn open<L: Link>(
        &self,
        url: String,
        origin: O,
        options: Options,
        differs: impl FnOnce(&O, &O) -> Option<Reason>,
        make: impl FnOnce(&O, &Options) -> Result<Arc<L>, Reason>,
    ) -> Result<Arc<Store>, Error> {
        let key = (url.clone(), options.sharing.key_prefix.clone());
        let mut stores = lock(&self.0);
        if let Some(kept) = stores.get(&key) {
            let option = differs(&kept.origin, &origin).or_else(|| differing(&kept.store.options, &options));
            return match option {
                Some(option) => Err(Error::StoreConflict { url, option }),
                None => Ok(Arc::clone(&kept.store)),
            };
        }
        let link = make(&origin, &options).map_err(|reason| Error::StoreUrl { url, reason })?;
        let store = Store::shared(options, link);
        stores.insert(key, Kept { origin, store: Arc::clone(&store) });
        Ok(store)
    }
}

/// Returns the option by which two openings of a store differ.
fn differing(kept: &Options, asked: &Options) -> Option<&'static str> {
    let (kept_sharing, sharing) = (&kept.sharing, &asked.sharing);
    let differences = [
        (!kept.clock.is(&asked.clock), "clock"),
        (kept.lease != asked.lease, "lease"),
        (kept.mode != asked.mode, "mode"),
        (kept_sharing.session_timeout != sharing.session_timeout, "session_timeout"),
        (kept_sharing.on_lost != sharing.on_lost, "on_lost_state"),
    ];
    differences.into_iter().find_map(|(differs, option)| differs.then_some(option))
}
