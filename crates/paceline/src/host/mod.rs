//! The server half of the session protocol: ledgers of this process, served to others.
//!
//! A [`Host`] is a [`Link`](crate::link::Link) to itself: what a batch asks is applied under its ledger's lock, and the
//! reply is there. Pushes are called once the lock is open. It needs no timers: each reply and push says who has to
//! speak next, and when.

mod book;
mod commands;
mod configure;
#[cfg(test)]
mod disk_tests;
mod error;
mod file;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod journal;
mod look;
mod marks;
mod seat;
mod tally;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use paceline_core::{Explanation, Millis, Name, OnLost, Snapshot};

use crate::OnLostState;
use crate::clock::Clock;
use crate::link::{Doing, Link, LinkError, PushSink};
use crate::sync::lock;
use crate::wire;
use book::{Book, Served};
pub use error::HostError;
use journal::Journal;
pub use tally::{Tally, Use, Waits};

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
    /// How limits restart that fill within a minute, of which no mark is kept on disk.
    pub on_lost: OnLostState,
    /// For how many milliseconds slots stay taken after a restart for sessions that have not spoken: the longest
    /// time-out that is in use. At least ten seconds.
    pub recovery_ms: Millis,
}

impl Default for HostOptions {
    fn default() -> Self {
        Self {
            clock: Clock::System,
            prefix: "paceline:".to_owned(),
            on_lost: OnLostState::default(),
            recovery_ms: 10_000,
        }
    }
}

/// Ledgers by name, each under its own lock.
pub struct Host {
    options: HostOptions,
    url: String,
    run_id: String,
    books: RwLock<HashMap<Name, Arc<Mutex<Option<Book>>>>>,
    sinks: Arc<Sinks>,
    journal: Option<Journal>,
    stopping: AtomicBool,
}

/// Who listens to which channel.
#[derive(Default)]
struct Sinks(RwLock<HashMap<String, PushSink>>);

impl Sinks {
    fn push(&self, pushes: Vec<(String, Vec<u8>)>) {
        for (channel, payload) in pushes {
            let sinks = self.0.read().unwrap_or_else(PoisonError::into_inner);
            let sink = sinks.get(&channel).map(Arc::clone);
            drop(sinks);
            if let Some(sink) = sink {
                sink(&payload);
            }
        }
    }
}

impl Host {
    /// Returns a host that keeps its ledgers in memory.
    pub fn new(options: HostOptions) -> Arc<Self> {
        Arc::new(Self::made(options, "memory".to_owned(), HashMap::new(), None))
    }

    /// Returns a host that keeps in a file what must outlive it: marks that run ahead of the limits that take longer than
    /// a minute to fill, configurations and pauses. A restart grants nothing twice, and costs each of those limits at
    /// most 1 % of its amount or ten seconds' worth of it.
    ///
    /// # Errors
    ///
    /// [`HostError`] says what is wrong with the file, and what to do.
    pub fn open(path: &Path, options: HostOptions) -> Result<Arc<Self>, HostError> {
        let (journal, image) = Journal::open(path)?;
        let fresh = format!("{:032x}", crate::store::here::random_session().0);
        let (now, on_lost) = (options.clock.now_ms(), OnLost::from(options.on_lost));
        let books = marks::begin_again(&image, now, on_lost, options.recovery_ms, &fresh);
        let books = books.map_err(|name| {
            log::error!("{}: {name:?} cannot be read", path.display());
            HostError::Damaged { path: path.to_owned(), at: 0 }
        })?;
        let mut must = 0;
        let keep = |(name, mut book): (Name, Book)| {
            must = must.max(book.keep(&name, &journal));
            (name, Arc::new(Mutex::new(Some(book))))
        };
        let books = books.into_iter().map(keep).collect();
        let failed = |error: LinkError| HostError::Io {
            path: path.to_owned(),
            source: std::io::Error::other(error.reason().to_owned()),
        };
        journal.wait(must).map_err(failed)?;
        Ok(Arc::new(Self::made(options, path.display().to_string(), books, Some(journal))))
    }

    fn made(
        options: HostOptions,
        url: String,
        books: HashMap<Name, Arc<Mutex<Option<Book>>>>,
        journal: Option<Journal>,
    ) -> Self {
        Self {
            options,
            url,
            run_id: format!("{:032x}", crate::store::here::random_session().0),
            books: RwLock::new(books),
            sinks: Arc::default(),
            journal,
            stopping: AtomicBool::new(false),
        }
    }

    /// Applies a batch to a ledger and returns the reply. In memory it waits for nothing but the ledger's lock; with a
    /// file it waits until what it has to say is kept, which the future of [`Link::call`] does without a thread.
    ///
    /// # Errors
    ///
    /// [`LinkError::Fatal`] where the batch cannot be read, [`LinkError::Retry`] where this host is stopping or cannot
    /// keep what must be kept.
    pub fn answer(&self, ledger: &str, batch: &[u8]) -> Result<Vec<u8>, LinkError> {
        let (reply, must) = self.apply(ledger, batch)?;
        if let Some(journal) = &self.journal {
            journal.wait(must)?;
        }
        Ok(reply)
    }

    /// Applies a batch, and returns the reply with up to which number all must be kept before it is told.
    fn apply(&self, ledger: &str, batch: &[u8]) -> Result<(Vec<u8>, u64), LinkError> {
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
            return Ok((book::look_at_nothing(&batch, now), 0));
        };
        let mut slot = lock(&book);
        if let (Some(journal), Some(book)) = (&self.journal, &*slot) {
            journal.check(book.marks.must)?;
        }
        let Served { reply, pushes } = book::serve(&mut slot, &batch, now, is_told);
        let must =
            self.journal.as_ref().zip(slot.as_mut()).map_or(0, |(journal, book)| book.keep(ledger, journal));
        drop(slot);
        match &self.journal {
            Some(journal) if !pushes.is_empty() && must > journal.durable() => {
                let sinks = Arc::clone(&self.sinks);
                journal.then(must, move || sinks.push(pushes));
            }
            _ => self.sinks.push(pushes),
        }
        Ok((reply, must))
    }

    /// Returns the names of its ledgers, sorted.
    pub fn ledgers(&self) -> Vec<Name> {
        let books = self.books.read().unwrap_or_else(PoisonError::into_inner);
        let begun = books.iter().filter(|(_, book)| lock(book).is_some());
        let mut names: Vec<Name> = begun.map(|(name, _)| Name::clone(name)).collect();
        names.sort_unstable();
        names
    }

    /// Returns a ledger as it is at present; nothing where none of this name was begun.
    pub fn view(&self, ledger: &str) -> Option<Snapshot> {
        let now = self.options.clock.now_ms();
        lock(&*self.book(ledger, false)?).as_mut().map(|book| book.ledger.snapshot(now))
    }

    /// Says what a lane of a resource waits for: whether the least call would go, and if not, when those before it have
    /// room, and which limit takes longest.
    pub fn explain(&self, ledger: &str, resource: &str, lane: Option<&str>) -> Option<Explanation> {
        let now = self.options.clock.now_ms();
        lock(&*self.book(ledger, false)?).as_mut()?.explain_least(now, resource, lane)
    }

    /// Returns what was counted of the resources of a ledger since this host began, by name. Those that nobody asked for are
    /// left out.
    pub fn tallies(&self, ledger: &str) -> Vec<(Name, Tally)> {
        let Some(book) = self.book(ledger, false) else { return Vec::new() };
        let now = self.options.clock.now_ms();
        lock(&book).as_mut().map_or_else(Vec::new, |book| book.tallies.named(&mut book.ledger, now))
    }

    /// Ends the service: from here on every batch is told to try again later, and what was to be kept is. Blocks until
    /// it is.
    pub fn close(&self) {
        self.stopping.store(true, Ordering::Release);
        if let Some(journal) = &self.journal {
            journal.close();
        }
    }

    /// Has pushes of a channel go to `sink`, and to no other.
    pub fn hear(&self, channel: &str, sink: PushSink) {
        let mut sinks = self.sinks.0.write().unwrap_or_else(PoisonError::into_inner);
        sinks.insert(channel.to_owned(), sink);
    }

    /// Returns another host with the same ledgers as of now, and nobody who listens.
    #[doc(hidden)]
    pub fn copy(&self) -> Arc<Self> {
        let books = self.books.read().unwrap_or_else(PoisonError::into_inner);
        let copied =
            books.iter().map(|(name, book)| (Name::clone(name), Arc::new(Mutex::new(lock(book).clone()))));
        Arc::new(Self::made(self.options.clone(), self.url.clone(), copied.collect(), None))
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
}

impl From<OnLostState> for OnLost {
    fn from(state: OnLostState) -> Self {
        match state {
            OnLostState::Elapsed => Self::Elapsed,
            OnLostState::Empty => Self::Empty,
            OnLostState::Full => Self::Full,
        }
    }
}

#[cfg(test)]
impl Host {
    /// Has every write to the file fail, or succeed again.
    fn break_file(&self, broken: bool) {
        if let Some(journal) = &self.journal {
            journal.break_file(broken);
        }
    }

    /// Waits until the writer has something to say, at most so long.
    fn await_writer(&self, most: std::time::Duration) {
        if let Some(journal) = &self.journal {
            journal.await_writer(most);
        }
    }
}

impl Link for Host {
    fn call<'a>(&'a self, ledger: &'a str, batch: Vec<u8>) -> Doing<'a, Vec<u8>> {
        Box::pin(async move {
            let (reply, must) = self.apply(ledger, &batch)?;
            if let Some(journal) = &self.journal {
                journal.kept(must).await?;
            }
            Ok(reply)
        })
    }

    fn listen<'a>(&'a self, channel: &'a str, sink: PushSink) -> Doing<'a, ()> {
        Box::pin(async move {
            self.hear(channel, sink);
            Ok(())
        })
    }

    fn unlisten(&self, channel: &str, sink: &PushSink) {
        let mut sinks = self.sinks.0.write().unwrap_or_else(PoisonError::into_inner);
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
