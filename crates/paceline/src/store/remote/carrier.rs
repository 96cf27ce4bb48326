//! What carries batches: one connection for all ledgers of a store, made anew when it is lost.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use futures_util::future::try_join_all;

use super::connect::{self, Cryptography, Greeting};
use super::connection::{Connection, Hearer};
use super::failure;
#[cfg(all(unix, feature = "host"))]
use super::local::{self, Joined};
use super::url::{Address, Place};
use crate::store::shared::backoff::Backoff;
use crate::store::shared::link::{Link, LinkError, PushSink};
use crate::store::shared::timing::Timing;
use crate::sync::lock;

/// One connection for all ledgers of a store.
pub(super) struct Carrier {
    address: Address,
    cryptography: Option<Cryptography>,
    timing: Timing,
    /// What people see of this process.
    name: String,
    sinks: Mutex<BTreeMap<String, PushSink>>,
    open: Mutex<Option<Arc<Way>>>,
    last_failure: Mutex<Option<LinkError>>,
    connecting: tokio::sync::Mutex<Backoff>,
    /// Counts the attempts to connect that failed.
    failed: AtomicU64,
    reviving: AtomicBool,
    this: Weak<Self>,
}

/// The way to the ledgers.
pub(super) enum Way {
    /// This process has them.
    #[cfg_attr(not(all(unix, feature = "host")), expect(dead_code, reason = "this build hosts nothing"))]
    Here(Arc<dyn Link>),
    There(Connection),
}

impl Carrier {
    pub(super) fn new(
        address: Address,
        cryptography: Option<Cryptography>,
        timing: Timing,
        name: String,
    ) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            address,
            cryptography,
            timing,
            name,
            sinks: Mutex::default(),
            open: Mutex::default(),
            last_failure: Mutex::default(),
            connecting: tokio::sync::Mutex::default(),
            failed: AtomicU64::new(0),
            reviving: AtomicBool::new(false),
            this: Weak::clone(this),
        })
    }

    pub(super) fn run_id(&self, ledger: &str) -> String {
        match self.intact().as_deref() {
            Some(Way::Here(link)) => link.run_id(ledger),
            Some(Way::There(connection)) => connection.greeting.run_id.clone(),
            None => String::new(),
        }
    }

    pub(super) async fn call(&self, ledger: &str, batch: Vec<u8>) -> Result<Vec<u8>, LinkError> {
        match &*self.connected().await? {
            Way::Here(link) => link.call(ledger, batch).await,
            Way::There(connection) => connection.call(ledger, &batch, self.timing.reply).await,
        }
    }

    pub(super) async fn ready(&self) -> Result<(), LinkError> {
        self.connected().await.map(drop)
    }

    /// Connects, and returns who is there.
    pub(super) async fn greeting(&self) -> Result<Greeting, LinkError> {
        Ok(match &*self.connected().await? {
            Way::Here(_) => Greeting::default(),
            Way::There(connection) => connection.greeting.clone(),
        })
    }

    pub(super) async fn listen(&self, channel: &str, sink: PushSink) -> Result<(), LinkError> {
        lock(&self.sinks).insert(channel.to_owned(), Arc::clone(&sink));
        let way = self.connected().await?;
        way.listen(channel, sink, self.timing.reply).await
    }

    /// A server that is connected goes on to push, to nobody.
    pub(super) fn unlisten(&self, channel: &str, sink: &PushSink) {
        let mut sinks = lock(&self.sinks);
        if sinks.get(channel).is_some_and(|listening| Arc::ptr_eq(listening, sink)) {
            sinks.remove(channel);
        }
        drop(sinks);
        if let Some(Way::Here(link)) = self.intact().as_deref() {
            link.unlisten(channel, sink);
        }
    }

    /// Returns the connection, made anew if it was lost.
    async fn connected(&self) -> Result<Arc<Way>, LinkError> {
        if let Some(open) = self.intact() {
            return Ok(open);
        }
        let failed = self.failed.load(Ordering::Relaxed);
        let mut backoff = self.connecting.lock().await;
        if let Some(open) = self.intact() {
            return Ok(open);
        }
        // Another caller tried while this one waited for its turn: one attempt answers all.
        if failed != self.failed.load(Ordering::Relaxed)
            && let Some(failure) = lock(&self.last_failure).clone()
        {
            return Err(failure);
        }
        backoff.wait().await;
        match self.connect().await {
            Ok(open) => {
                backoff.succeeded();
                Ok(open)
            }
            Err(failure) => {
                backoff.failed();
                *lock(&self.last_failure) = Some(failure.clone());
                self.failed.fetch_add(1, Ordering::Relaxed);
                Err(failure)
            }
        }
    }

    fn intact(&self) -> Option<Arc<Way>> {
        lock(&self.open).as_ref().filter(|way| way.is_intact()).map(Arc::clone)
    }

    async fn connect(&self) -> Result<Arc<Way>, LinkError> {
        let way = Arc::new(match &self.address.place {
            Place::Local(name) => self.join(name).await?,
            Place::Tcp(_) | Place::Socket(_) => {
                let opening = connect::open(&self.address, self.cryptography.as_ref());
                let stream = self.in_time(opening).await?;
                self.take_up(stream).await?
            }
        });
        let sinks: Vec<_> =
            lock(&self.sinks).iter().map(|(channel, sink)| (channel.clone(), Arc::clone(sink))).collect();
        try_join_all(sinks.iter().map(|(channel, sink)| self.renew(&way, channel, sink))).await?;
        let before = lock(&self.open).replace(Arc::clone(&way));
        drop(before);
        #[cfg(all(unix, feature = "host"))]
        self.watch(&way);
        Ok(way)
    }

    async fn in_time<T>(&self, doing: impl Future<Output = Result<T, LinkError>>) -> Result<T, LinkError> {
        let patience = self.timing.connect;
        let done = tokio::time::timeout(patience, doing).await;
        done.unwrap_or_else(|_| Err(failure::unanswered(patience.as_millis())))
    }

    async fn take_up(&self, stream: Box<dyn connect::Stream>) -> Result<Way, LinkError> {
        let taken = connect::take_up(&self.address, &self.name, stream, self.timing.connect).await;
        let (socket, greeting) = taken?;
        Ok(Way::There(Connection::start(socket, greeting, Ears(Weak::clone(&self.this)))))
    }

    #[cfg(not(all(unix, feature = "host")))]
    async fn join(&self, name: &str) -> Result<Way, LinkError> {
        std::future::ready(Err(LinkError::Fatal(format!("local://{name} needs the feature host")))).await
    }

    #[cfg(all(unix, feature = "host"))]
    async fn join(&self, name: &str) -> Result<Way, LinkError> {
        match self.in_time(local::join(&self.address, name)).await? {
            Joined::Here(link) => Ok(Way::Here(link)),
            Joined::There(stream) => self.take_up(stream).await,
        }
    }

    /// Sees now and then whether the host of a local store is still there: its end need not end the connection.
    #[cfg(all(unix, feature = "host"))]
    fn watch(&self, way: &Arc<Way>) {
        const EACH: Duration = Duration::from_secs(1);
        let Place::Local(name) = &self.address.place else { return };
        let (name, carrier, way) = (name.clone(), Weak::clone(&self.this), Arc::downgrade(way));
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(EACH).await;
                let Some(way) = way.upgrade().filter(|way| way.is_intact()) else { return };
                let Way::There(connection) = &*way else { return };
                if local::is_orphaned(&name).await {
                    connection.give_up();
                    carrier.upgrade().inspect(|carrier| carrier.revive());
                    return;
                }
            }
        });
    }

    /// One channel that may not be heard is no reason to do without the others.
    async fn renew(&self, way: &Way, channel: &str, sink: &PushSink) -> Result<(), LinkError> {
        match way.listen(channel, Arc::clone(sink), self.timing.reply).await {
            Err(LinkError::Fatal(reason)) => {
                log::warn!("store {} sends no pushes of {channel}: {reason}", self.address);
                Ok(())
            }
            done => done,
        }
    }

    /// Connects again for the sake of those who listen; whoever calls does so by itself.
    fn revive(&self) {
        const ATTEMPTS: u32 = 20;
        let nobody = lock(&self.sinks).is_empty();
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        if nobody || self.reviving.swap(true, Ordering::Relaxed) {
            return;
        }
        let shared = Weak::clone(&self.this);
        runtime.spawn(async move {
            for _ in 0..ATTEMPTS {
                let Some(shared) = shared.upgrade() else { return };
                if shared.connected().await.is_ok_and(|way| way.is_intact()) {
                    break;
                }
            }
            if let Some(shared) = shared.upgrade() {
                shared.reviving.store(false, Ordering::Relaxed);
            }
        });
    }
}

impl Way {
    fn is_intact(&self) -> bool {
        match self {
            Self::Here(_) => true,
            Self::There(connection) => connection.is_intact(),
        }
    }

    async fn listen(&self, channel: &str, sink: PushSink, patience: Duration) -> Result<(), LinkError> {
        match self {
            Self::Here(link) => link.listen(channel, sink).await,
            Self::There(connection) => connection.listen(channel, patience).await,
        }
    }
}

/// Hears what a connection says unasked.
struct Ears(Weak<Carrier>);

impl Hearer for Ears {
    fn pushed(&self, channel: &str, payload: &[u8]) {
        let sink = self.0.upgrade().and_then(|carrier| lock(&carrier.sinks).get(channel).map(Arc::clone));
        if let Some(sink) = sink {
            sink(payload);
        }
    }

    fn over(&self) {
        if let Some(carrier) = self.0.upgrade() {
            carrier.revive();
        }
    }
}
