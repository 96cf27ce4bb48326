//! The server half of the session protocol: ledgers of this process, served to others.
//!
//! A [`Host`] is a [`Link`](crate::link::Link) to itself: what a batch asks is applied under its ledger's lock, and the
//! reply is there. Pushes are called once the lock is open. It needs no timers: each reply and push says who has to
//! speak next, and when.

mod book;
mod commands;
mod configure;
mod look;
mod seat;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use paceline_core::Name;

use crate::clock::Clock;
use crate::link::{Doing, Link, LinkError, PushSink};
use crate::sync::lock;
use crate::wire;
use book::{Book, Served};

/// The longest name of a ledger, in bytes.
const NAME_BYTES: usize = 512;

/// What a host is made with.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct HostOptions {
    /// Where it reads the time. A host whose clock is told the time follows as well what a batch says of it.
    pub clock: Clock,
    /// What stands before the names of ledgers in the names of channels.
    pub prefix: String,
}

impl Default for HostOptions {
    fn default() -> Self {
        Self { clock: Clock::System, prefix: "paceline:".to_owned() }
    }
}

/// Ledgers by name, each under its own lock.
pub struct Host {
    options: HostOptions,
    url: String,
    run_id: String,
    books: RwLock<HashMap<Name, Arc<Mutex<Option<Book>>>>>,
    sinks: RwLock<HashMap<String, PushSink>>,
    stopping: AtomicBool,
}

impl Host {
    /// Returns a host that keeps its ledgers in memory.
    pub fn new(options: HostOptions) -> Arc<Self> {
        Arc::new(Self {
            options,
            url: "memory".to_owned(),
            run_id: format!("{:032x}", crate::store::here::random_session().0),
            books: RwLock::default(),
            sinks: RwLock::default(),
            stopping: AtomicBool::new(false),
        })
    }

    /// Applies a batch to a ledger and returns the reply. Never waits but for the ledger's lock.
    ///
    /// # Errors
    ///
    /// [`LinkError::Fatal`] where the batch cannot be read, [`LinkError::Retry`] where this host is stopping.
    pub fn answer(&self, ledger: &str, batch: &[u8]) -> Result<Vec<u8>, LinkError> {
        if self.stopping.load(Ordering::Acquire) {
            return Err(LinkError::Retry("the server is stopping".to_owned()));
        }
        let batch = wire::read_batch(batch)
            .map_err(|error| LinkError::Fatal(format!("the batch cannot be read: {error}")))?;
        if ledger.len() > NAME_BYTES {
            return Err(LinkError::Fatal(format!("the name of a ledger has at most {NAME_BYTES} bytes")));
        }
        let (now, is_told) = match &self.options.clock {
            Clock::System => (self.options.clock.now_ms(), false),
            Clock::Manual(clock) => (batch.header.now.unwrap_or_else(|| clock.now_ms()), true),
        };
        let Some(book) = self.book(ledger, !book::only_looks(&batch)) else {
            return Ok(book::look_at_nothing(&batch, now));
        };
        let Served { reply, pushes } = book::serve(&mut lock(&book), &batch, now, is_told);
        for (channel, payload) in pushes {
            self.push(&channel, &payload);
        }
        Ok(reply)
    }

    /// Returns the names of its ledgers, sorted.
    pub fn ledgers(&self) -> Vec<Name> {
        let books = self.books.read().unwrap_or_else(PoisonError::into_inner);
        let begun = books.iter().filter(|(_, book)| lock(book).is_some());
        let mut names: Vec<Name> = begun.map(|(name, _)| Name::clone(name)).collect();
        names.sort_unstable();
        names
    }

    /// Ends the service: from here on every batch is told to try again later.
    pub fn close(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    fn book(&self, ledger: &str, make: bool) -> Option<Arc<Mutex<Option<Book>>>> {
        let books = self.books.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(book) = books.get(ledger) {
            return Some(Arc::clone(book));
        }
        drop(books);
        if !make {
            return None;
        }
        let mut books = self.books.write().unwrap_or_else(PoisonError::into_inner);
        Some(Arc::clone(books.entry(ledger.into()).or_default()))
    }

    fn push(&self, channel: &str, payload: &[u8]) {
        let sinks = self.sinks.read().unwrap_or_else(PoisonError::into_inner);
        let sink = sinks.get(channel).map(Arc::clone);
        drop(sinks);
        if let Some(sink) = sink {
            sink(payload);
        }
    }
}

impl Link for Host {
    fn call<'a>(&'a self, ledger: &'a str, batch: Vec<u8>) -> Doing<'a, Vec<u8>> {
        Box::pin(async move { self.answer(ledger, &batch) })
    }

    fn listen<'a>(&'a self, channel: &'a str, sink: PushSink) -> Doing<'a, ()> {
        Box::pin(async move {
            let mut sinks = self.sinks.write().unwrap_or_else(PoisonError::into_inner);
            sinks.insert(channel.to_owned(), sink);
            Ok(())
        })
    }

    fn unlisten(&self, channel: &str, sink: &PushSink) {
        let mut sinks = self.sinks.write().unwrap_or_else(PoisonError::into_inner);
        if sinks.get(channel).is_some_and(|listening| Arc::ptr_eq(listening, sink)) {
            sinks.remove(channel);
        }
    }

    fn channel(&self, ledger: &str, inbox: &str) -> String {
        format!("{}{{{ledger}}}:to:{inbox}", self.options.prefix)
    }

    fn sharded(&self) -> bool {
        false
    }

    fn run_id(&self, _: &str) -> String {
        self.run_id.clone()
    }

    fn url(&self) -> &str {
        &self.url
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host")
            .field("url", &self.url)
            .field("ledgers", &self.ledgers())
            .finish_non_exhaustive()
    }
}
