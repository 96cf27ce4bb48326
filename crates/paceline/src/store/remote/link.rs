//! The link: what a store asks of a control plane, or of the process that hosts a local store.

use std::sync::{Arc, Mutex};

use super::carrier::Carrier;
use super::connect::{self, Cryptography};
use super::url::Address;
use crate::store::shared::link::{Doing, Link, LinkError, PushSink};
use crate::store::shared::timing::Timing;
use crate::store::shared::url::Reason;
use crate::sync::lock;

/// A link to a server.
pub(crate) struct RemoteLink {
    address: Address,
    url: String,
    cryptography: Option<Cryptography>,
    timing: Timing,
    name: Option<String>,
    kept: Mutex<Kept>,
}

/// What carries batches in one process: a child of it needs its own.
struct Kept {
    process: u32,
    carrier: Arc<Carrier>,
}

impl RemoteLink {
    pub(super) fn new(address: Address, timing: Timing, name: Option<String>) -> Result<Self, Reason> {
        let url = address.to_string();
        let cryptography = connect::cryptography(&address)?;
        if address.shows_key() {
            log::warn!("the API key for {url} goes over the network in plain sight; use https://");
        }
        let process = std::process::id();
        let carrier = carrier(&address, cryptography.as_ref(), timing, name.as_deref());
        let kept = Mutex::new(Kept { process, carrier });
        Ok(Self { address, url, cryptography, timing, name, kept })
    }

    /// Returns what carries batches in this process.
    fn carrier(&self) -> Arc<Carrier> {
        let process = std::process::id();
        let mut kept = lock(&self.kept);
        if kept.process != process {
            let carrier =
                carrier(&self.address, self.cryptography.as_ref(), self.timing, self.name.as_deref());
            let parents = std::mem::replace(&mut *kept, Kept { process, carrier });
            // It belongs to a runtime of the parent: whatever it did at its end would be done to the parent.
            std::mem::forget(parents);
        }
        Arc::clone(&kept.carrier)
    }
}

fn carrier(
    address: &Address,
    cryptography: Option<&Cryptography>,
    timing: Timing,
    name: Option<&str>,
) -> Arc<Carrier> {
    let name = crate::store::shared::label::of_process(name);
    Carrier::new(address.clone(), cryptography.cloned(), timing, name)
}

impl Link for RemoteLink {
    fn call<'a>(&'a self, ledger: &'a str, batch: Vec<u8>) -> Doing<'a, Vec<u8>> {
        Box::pin(async move { self.carrier().call(ledger, batch).await })
    }

    fn ready<'a>(&'a self, _: &'a str) -> Doing<'a, ()> {
        Box::pin(async move { self.carrier().ready().await })
    }

    fn listen<'a>(&'a self, channel: &'a str, sink: PushSink) -> Doing<'a, ()> {
        Box::pin(async move { self.carrier().listen(channel, sink).await })
    }

    fn unlisten(&self, channel: &str, sink: &PushSink) {
        self.carrier().unlisten(channel, sink);
    }

    fn configuration(&self) -> Option<Doing<'_, Option<String>>> {
        Some(Box::pin(async move {
            let greeting = self.carrier().greeting().await?;
            log::debug!("store {} is {}", self.url, greeting.store);
            Ok::<_, LinkError>(greeting.configuration)
        }))
    }

    fn channel(&self, ledger: &str, inbox: &str) -> String {
        // The server translates it into the name that its own store uses.
        format!("paceline:{{{ledger}}}:to:{inbox}")
    }

    fn sharded(&self) -> bool {
        false
    }

    fn run_id(&self, ledger: &str) -> String {
        self.carrier().run_id(ledger)
    }

    fn url(&self) -> &str {
        &self.url
    }
}
