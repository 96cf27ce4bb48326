//! The link: what a store asks of a server or a cluster.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use super::carrier::Carrier;
use super::connect::Target;
use super::failure::Failure;
use super::script::{self, Program, Twin};
use super::url::Address;
use crate::store::shared::link::{Link, LinkError, PushSink};
use crate::store::shared::timing::Timing;
use crate::sync::lock;

/// A link to a server or a cluster.
pub(crate) struct RedisLink {
    origin: Origin,
    url: String,
    prefix: String,
    timing: Timing,
    program: Program,
    kept: Mutex<Kept>,
}

/// What says where the servers are.
#[derive(Clone)]
pub(super) enum Origin {
    Url(Box<Address>),
    Client(Box<::redis::Client>),
}

/// What carries batches in one process: a child of it needs its own.
struct Kept {
    process: u32,
    carrier: Arc<Carrier>,
}

impl Origin {
    fn target(&self) -> Result<Target, &'static str> {
        match self {
            Self::Url(address) => Target::of(address),
            Self::Client(client) => Target::of_client(client),
        }
    }

    /// Returns in what this differs from another of the same URL.
    pub(super) fn differs(&self, other: &Self) -> Option<&'static str> {
        match (self, other) {
            (Self::Url(one), Self::Url(other)) => one.differs(other),
            _ => None,
        }
    }

    /// Returns the URL without its password.
    pub(super) fn url(&self) -> String {
        match self {
            Self::Url(address) => address.to_string(),
            Self::Client(client) => super::url_of(client),
        }
    }
}

impl RedisLink {
    pub(super) fn new(
        origin: Origin,
        prefix: &str,
        timing: Timing,
        program: impl Into<Program>,
    ) -> Result<Self, &'static str> {
        let (url, prefix, program) = (origin.url(), prefix.to_owned(), program.into());
        let carrier = Carrier::new(origin.target()?, prefix.clone(), timing, Twin::new(program));
        let kept = Mutex::new(Kept { process: std::process::id(), carrier });
        Ok(Self { origin, url, prefix, timing, program, kept })
    }

    /// Returns the names of all ledgers under the prefix.
    pub(crate) async fn ledgers(&self) -> Result<BTreeSet<String>, LinkError> {
        Ok(self.carrier()?.ledgers().await?)
    }

    /// Returns how many of a ledger's five keys exist.
    pub(crate) async fn keys_present(&self, ledger: &str) -> Result<usize, LinkError> {
        Ok(self.carrier()?.keys_present(ledger).await?)
    }

    /// Returns what carries batches in this process.
    fn carrier(&self) -> Result<Arc<Carrier>, Failure> {
        let process = std::process::id();
        let mut kept = lock(&self.kept);
        if kept.process != process {
            let target = self.origin.target().map_err(Failure::lasting)?;
            let carrier = Carrier::new(target, self.prefix.clone(), self.timing, Twin::new(self.program));
            let parents = std::mem::replace(&mut *kept, Kept { process, carrier });
            // It belongs to a runtime of the parent: whatever it did at its end would be done to the parent.
            std::mem::forget(parents);
        }
        Ok(Arc::clone(&kept.carrier))
    }
}

impl Link for RedisLink {
    fn call<'a>(
        &'a self,
        ledger: &'a str,
        batch: Vec<u8>,
    ) -> Pin<Box<dyn Future<Output = Result<Vec<u8>, LinkError>> + Send + 'a>> {
        Box::pin(async move { Ok(self.carrier()?.call(ledger, &batch).await?) })
    }

    fn ready<'a>(
        &'a self,
        ledger: &'a str,
    ) -> Pin<Box<dyn Future<Output = Result<(), LinkError>> + Send + 'a>> {
        Box::pin(async move { Ok(self.carrier()?.ready(ledger).await?) })
    }

    fn listen<'a>(
        &'a self,
        channel: &'a str,
        sink: PushSink,
    ) -> Pin<Box<dyn Future<Output = Result<(), LinkError>> + Send + 'a>> {
        Box::pin(async move { Ok(self.carrier()?.listen(channel, sink).await?) })
    }

    fn unlisten(&self, channel: &str, sink: &PushSink) {
        if let Ok(carrier) = self.carrier() {
            carrier.unlisten(channel, sink);
        }
    }

    fn channel(&self, ledger: &str, inbox: &str) -> String {
        script::channel(&self.prefix, ledger, inbox)
    }

    fn sharded(&self) -> bool {
        self.carrier().is_ok_and(|carrier| carrier.in_cluster())
    }

    fn run_id(&self, ledger: &str) -> String {
        self.carrier().map(|carrier| carrier.run_id(ledger)).unwrap_or_default()
    }

    fn url(&self) -> &str {
        &self.url
    }
}
