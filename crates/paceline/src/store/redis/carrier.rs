//! What carries batches: one connection for all ledgers of a store, made anew when it is lost.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};

use ::redis::aio::SendError;
use ::redis::{Cmd, PushInfo, PushKind, Value};
use tokio::task::JoinHandle;

use super::connect::{Pushes, Target, Wire};
use super::facts::{self, Facts};
use super::failure::{Failure, Kind};
use super::scan;
use super::script::{self, Twin};
use crate::store::shared::backoff::Backoff;
use crate::store::shared::link::PushSink;
use crate::store::shared::timing::Timing;
use crate::sync::lock;

/// One connection for all ledgers of a store.
pub(super) struct Carrier {
    target: Target,
    prefix: String,
    timing: Timing,
    twin: Twin,
    sinks: Mutex<BTreeMap<String, PushSink>>,
    current: Mutex<Current>,
    connecting: tokio::sync::Mutex<Backoff>,
    /// Counts the attempts to connect that failed.
    failed: AtomicU64,
    reviving: AtomicBool,
    this: Weak<Self>,
}

/// What is known at present.
#[derive(Default)]
struct Current {
    open: Option<Arc<Open>>,
    in_cluster: bool,
    run_id: String,
    /// On a cluster, of the node that serves a ledger.
    run_ids: BTreeMap<String, String>,
    last_failure: Option<Failure>,
}

/// A connection.
struct Open {
    wire: Wire,
    broken: Arc<AtomicBool>,
    subscribed: tokio::sync::Mutex<BTreeSet<String>>,
    /// Ends with the runtime, and so tells that nothing drives the connection any more.
    runs: JoinHandle<()>,
}

impl Carrier {
    pub(super) fn new(target: Target, prefix: String, timing: Timing, twin: Twin) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            target,
            prefix,
            timing,
            twin,
            sinks: Mutex::default(),
            current: Mutex::default(),
            connecting: tokio::sync::Mutex::default(),
            failed: AtomicU64::new(0),
            reviving: AtomicBool::new(false),
            this: Weak::clone(this),
        })
    }

    pub(super) fn in_cluster(&self) -> bool {
        lock(&self.current).in_cluster
    }

    /// Returns the run id of the server that serves a ledger, as it was when it was last asked.
    pub(super) fn run_id(&self, ledger: &str) -> String {
        let current = lock(&self.current);
        if current.in_cluster {
            return current.run_ids.get(ledger).cloned().unwrap_or_default();
        }
        current.run_id.clone()
    }

    pub(super) async fn call(&self, ledger: &str, batch: &[u8]) -> Result<Vec<u8>, Failure> {
        if let Some(fault) = script::fault_of_name(ledger) {
            return Err(Failure::lasting(format!(
                "the ledger's name {ledger:?} cannot be used on redis: {fault}"
            )));
        }
        let open = self.connected().await?;
        let keys = script::keys(&self.prefix, ledger);
        if open.wire.is_cluster() {
            self.learn_run_id(&open, ledger).await?;
        }
        if !open.wire.is_cluster()
            && let Some(answer) = self.call_function(&open, &keys, batch).await
        {
            return answer;
        }
        match self.send(&open, &self.twin.call(&keys, batch)).await {
            Err(Failure { kind: Kind::NoScript, .. }) => {
                self.send(&open, &self.twin.bring(&keys, batch)).await
            }
            answer => answer,
        }
    }

    /// Calls the function of our library, loaded if need be; `None` where there can be none.
    async fn call_function(
        &self,
        open: &Arc<Open>,
        keys: &[String],
        batch: &[u8],
    ) -> Option<Result<Vec<u8>, Failure>> {
        let call = self.twin.function(keys, batch)?;
        let failure = match self.send(open, &call).await {
            Err(failure) if failure.kind != Kind::Passing => failure,
            answer => return Some(answer),
        };
        if failure.kind == Kind::NoScript {
            match self.send(open, &self.twin.load()?).await {
                Ok(_) => return Some(self.send(open, &call).await),
                Err(failure) if failure.kind == Kind::Passing => return Some(Err(failure)),
                Err(_) => {}
            }
        }
        // The server is older than libraries, or the user may not use them: the script does the same.
        self.twin.without_library();
        None
    }

    /// Connects, and learns which server it is that serves a ledger.
    pub(super) async fn ready(&self, ledger: &str) -> Result<(), Failure> {
        let open = self.connected().await?;
        if open.wire.is_cluster() {
            self.learn_run_id(&open, ledger).await?;
        }
        Ok(())
    }

    pub(super) async fn listen(&self, channel: &str, sink: PushSink) -> Result<(), Failure> {
        lock(&self.sinks).insert(channel.to_owned(), sink);
        let open = self.connected().await?;
        if let (true, Some(ledger)) = (open.wire.is_cluster(), script::ledger_of(channel)) {
            self.learn_run_id(&open, ledger).await?;
        }
        let subscribed = open.subscribe(channel).await;
        subscribed.map_err(|failure| self.noted(&open, failure))
    }

    /// Ends what [`listen`](Self::listen) began; the server is told as soon as it can be.
    pub(super) fn unlisten(&self, channel: &str, sink: &PushSink) {
        {
            let mut sinks = lock(&self.sinks);
            if !sinks.get(channel).is_some_and(|listening| Arc::ptr_eq(listening, sink)) {
                return;
            }
            sinks.remove(channel);
        }
        let Some(open) = self.intact() else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let (shared, channel) = (Weak::clone(&self.this), channel.to_owned());
        runtime.spawn(async move {
            let mut subscribed = open.subscribed.lock().await;
            let wanted = |shared: &Arc<Self>| lock(&shared.sinks).contains_key(&channel);
            if shared.upgrade().is_some_and(|shared| !wanted(&shared)) && subscribed.remove(&channel) {
                // A connection that fails here is of no more use to those who call, and they notice.
                let _ = open.wire.unsubscribe(&channel).await;
            }
        });
    }

    /// Returns the names of all ledgers under the prefix.
    pub(super) async fn ledgers(&self) -> Result<BTreeSet<String>, Failure> {
        let open = self.connected().await?;
        let names = scan::ledgers(&open.wire, &self.prefix).await;
        names.map_err(|error| self.noted(&open, error.into()))
    }

    /// Returns how many of a ledger's keys exist.
    pub(super) async fn keys_present(&self, ledger: &str) -> Result<usize, Failure> {
        if let Some(fault) = script::fault_of_name(ledger) {
            return Err(Failure::lasting(format!("no ledger on redis is called {ledger:?}: {fault}")));
        }
        let open = self.connected().await?;
        let present = scan::existing(&open.wire, &script::keys(&self.prefix, ledger)).await;
        present.map_err(|error| self.noted(&open, error.into()))
    }

    async fn send(&self, open: &Arc<Open>, command: &Cmd) -> Result<Vec<u8>, Failure> {
        let answer = tokio::time::timeout(self.timing.reply, open.wire.send(command)).await;
        let failure = match answer {
            Ok(Ok(Value::BulkString(bytes))) => return Ok(bytes),
            Ok(Ok(Value::Push { .. })) => Failure::lost("the connection mixed up its answers"),
            Ok(Ok(other)) => Failure::lasting(format!("the script answered {}", kind_of(&other))),
            Ok(Err(error)) => Failure::from(error),
            Err(_) => Failure::lost(format!(
                "the server did not answer within {} ms; look at its load, and at the network",
                self.timing.reply.as_millis()
            )),
        };
        Err(self.noted(open, failure))
    }

    /// Gives up the connection if the failure says so.
    fn noted(&self, open: &Arc<Open>, failure: Failure) -> Failure {
        if failure.disconnects {
            self.give_up(open);
        } else if open.wire.is_cluster() {
            lock(&self.current).run_ids.clear();
        }
        failure
    }

    fn give_up(&self, open: &Arc<Open>) {
        open.broken.store(true, Ordering::Relaxed);
        let mut current = lock(&self.current);
        current.run_ids.clear();
        let same = current.open.as_ref().is_some_and(|kept| Arc::ptr_eq(kept, open));
        let dropped = if same { current.open.take() } else { None };
        drop(current);
        drop(dropped);
    }

    /// Returns the connection, made anew if it was lost.
    async fn connected(&self) -> Result<Arc<Open>, Failure> {
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
            && let Some(failure) = lock(&self.current).last_failure.clone()
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
                lock(&self.current).last_failure = Some(failure.clone());
                self.failed.fetch_add(1, Ordering::Relaxed);
                Err(failure)
            }
        }
    }

    fn intact(&self) -> Option<Arc<Open>> {
        let current = lock(&self.current);
        current.open.as_ref().filter(|open| open.is_intact()).map(Arc::clone)
    }

    async fn connect(&self) -> Result<Arc<Open>, Failure> {
        let broken = Arc::new(AtomicBool::new(false));
        let pushes = self.pushes(Arc::clone(&broken));
        // A sentinel and the server behind it, or two connections to a cluster.
        let bound = self.timing.connect * 2 + self.timing.reply;
        let opened = tokio::time::timeout(bound, self.target.open(self.timing, pushes)).await;
        let (wire, facts) = opened.unwrap_or_else(|_| {
            Err(Failure::lost(
                "no connection could be made in time; look at the host, the port and the network",
            ))
        })?;
        let runs = tokio::spawn(std::future::pending());
        let open = Arc::new(Open { wire, broken, subscribed: tokio::sync::Mutex::default(), runs });
        let channels: Vec<String> = lock(&self.sinks).keys().cloned().collect();
        for channel in channels {
            open.subscribe(&channel).await?;
        }
        self.keep(Arc::clone(&open), facts);
        Ok(open)
    }

    fn keep(&self, open: Arc<Open>, facts: Facts) {
        let mut current = lock(&self.current);
        current.in_cluster = facts.in_cluster;
        current.run_id = facts.run_id;
        current.run_ids.clear();
        current.last_failure = None;
        let before = current.open.replace(open);
        drop(current);
        drop(before);
    }

    /// Takes what a connection is pushed.
    fn pushes(&self, broken: Arc<AtomicBool>) -> Pushes {
        let shared = Weak::clone(&self.this);
        Arc::new(move |push: PushInfo| {
            let shared = shared.upgrade().ok_or(SendError)?;
            shared.pushed(&push, &broken);
            Ok::<_, SendError>(())
        })
    }

    fn pushed(&self, push: &PushInfo, broken: &AtomicBool) {
        match push.kind {
            PushKind::Message | PushKind::SMessage => {
                if let [Value::BulkString(channel), Value::BulkString(payload)] = push.data.as_slice() {
                    self.deliver(channel, payload);
                }
            }
            PushKind::Disconnection if lock(&self.current).in_cluster => {
                // The client library connects to this node again, and another may have taken its slots.
                lock(&self.current).run_ids.clear();
            }
            PushKind::SUnsubscribe if !self.listens(push) => {}
            // It did not end by our doing: the slot went to another node.
            PushKind::Disconnection | PushKind::SUnsubscribe => {
                broken.store(true, Ordering::Relaxed);
                self.revive();
            }
            _ => {}
        }
    }

    /// Returns whether somebody still wants the channel that a push is about.
    fn listens(&self, push: &PushInfo) -> bool {
        let Some(Value::BulkString(channel)) = push.data.first() else { return true };
        std::str::from_utf8(channel).is_ok_and(|channel| lock(&self.sinks).contains_key(channel))
    }

    fn deliver(&self, channel: &[u8], payload: &[u8]) {
        let sink =
            std::str::from_utf8(channel).ok().and_then(|name| lock(&self.sinks).get(name).map(Arc::clone));
        if let Some(sink) = sink {
            sink(payload);
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
                if shared.connected().await.is_ok_and(|open| open.is_intact()) {
                    break;
                }
            }
            if let Some(shared) = shared.upgrade() {
                shared.reviving.store(false, Ordering::Relaxed);
            }
        });
    }

    async fn learn_run_id(&self, open: &Arc<Open>, ledger: &str) -> Result<(), Failure> {
        let Wire::Cluster { calls, .. } = &open.wire else { return Ok(()) };
        if lock(&self.current).run_ids.contains_key(ledger) {
            return Ok(());
        }
        let key = script::channel(&self.prefix, ledger, "");
        let run_id = facts::run_id_of_node(calls, &key).await;
        let run_id = run_id.map_err(|error| self.noted(open, error.into()))?;
        lock(&self.current).run_ids.insert(ledger.to_owned(), run_id);
        Ok(())
    }
}

impl Open {
    fn is_intact(&self) -> bool {
        !self.broken.load(Ordering::Relaxed) && !self.runs.is_finished()
    }

    async fn subscribe(&self, channel: &str) -> Result<(), Failure> {
        let mut subscribed = self.subscribed.lock().await;
        if !subscribed.contains(channel) {
            self.wire.subscribe(channel).await?;
            subscribed.insert(channel.to_owned());
        }
        Ok(())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.runs.abort();
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Nil => "nothing",
        Value::Int(_) => "a number",
        Value::Array(_) => "an array",
        Value::SimpleString(_) | Value::Okay => "a simple string",
        _ => "something that is no string",
    }
}
