//! Writing what must not be forgotten, off the way of who asks: one thread writes and syncs what was queued since it
//! last did, and says how far it has come.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::watch;

use super::error::HostError;
use super::file::{Image, Pairs, StateFile};
use crate::link::LinkError;
use crate::sync::lock;

/// How long it waits before it tries again to write what it could not.
const AGAIN: Duration = Duration::from_secs(1);

type Deferred = Box<dyn FnOnce() + Send>;

pub(super) struct Journal {
    desk: Arc<Desk>,
    path: PathBuf,
    writer: Mutex<Option<JoinHandle<()>>>,
}

/// What is shared with the thread.
struct Desk {
    queue: Mutex<Queue>,
    bell: Condvar,
    /// Rung where it is to end.
    end: Condvar,
    durable: AtomicU64,
    progress: watch::Sender<Progress>,
    /// For those who wait without a runtime.
    moved: Condvar,
    #[cfg(test)]
    broken: std::sync::atomic::AtomicBool,
}

#[derive(Default)]
struct Queue {
    pairs: Pairs,
    /// How many times something was queued.
    queued: u64,
    deferred: VecDeque<(u64, Deferred)>,
    failure: Option<Arc<str>>,
    closing: bool,
}

#[derive(Clone, Default)]
struct Progress {
    durable: u64,
    failure: Option<Arc<str>>,
}

impl Progress {
    /// Whether who waits for this number need not wait longer.
    fn answers(&self, number: u64) -> bool {
        self.durable >= number || self.failure.is_some()
    }

    fn told(&self, number: u64) -> Result<(), LinkError> {
        match &self.failure {
            Some(failure) if self.durable < number => Err(LinkError::Retry(failure.to_string())),
            _ => Ok(()),
        }
    }
}

impl Journal {
    /// Opens a file and returns it with what it keeps.
    pub(super) fn open(path: &Path) -> Result<(Self, Image), HostError> {
        let file = StateFile::open(path)?;
        let image = file.image().clone();
        let desk = Arc::new(Desk {
            queue: Mutex::default(),
            bell: Condvar::new(),
            end: Condvar::new(),
            durable: AtomicU64::new(0),
            progress: watch::Sender::default(),
            moved: Condvar::new(),
            #[cfg(test)]
            broken: std::sync::atomic::AtomicBool::new(false),
        });
        let shared = Arc::clone(&desk);
        let writer =
            std::thread::Builder::new().name("paceline-state".into()).spawn(move || shared.write(file));
        let writer = writer.map_err(|source| HostError::Io { path: path.to_owned(), source })?;
        Ok((Self { desk, path: path.to_owned(), writer: Mutex::new(Some(writer)) }, image))
    }

    /// Queues pairs, and returns the number by which they are known to be kept.
    pub(super) fn put(&self, pairs: Pairs) -> u64 {
        let mut queue = lock(&self.desk.queue);
        queue.pairs.extend(pairs);
        queue.queued += 1;
        self.desk.bell.notify_one();
        queue.queued
    }

    /// Returns up to which number all is kept.
    pub(super) fn durable(&self) -> u64 {
        self.desk.durable.load(Ordering::Acquire)
    }

    /// Does something once all up to a number is kept.
    pub(super) fn then(&self, number: u64, what: impl FnOnce() + Send + 'static) {
        let mut queue = lock(&self.desk.queue);
        if self.durable() >= number {
            drop(queue);
            return what();
        }
        queue.deferred.push_back((number, Box::new(what)));
    }

    /// Says why nothing can be kept, where that is so and something up to this number is not.
    pub(super) fn check(&self, number: u64) -> Result<(), LinkError> {
        if self.durable() >= number {
            return Ok(());
        }
        self.desk.progress.borrow().told(number)
    }

    /// Waits until all up to a number is kept.
    pub(super) async fn kept(&self, number: u64) -> Result<(), LinkError> {
        if self.durable() >= number {
            return Ok(());
        }
        let mut progress = self.desk.progress.subscribe();
        let told = progress.wait_for(|progress| progress.answers(number)).await;
        told.map_or_else(|_| Err(stopped()), |progress| progress.told(number))
    }

    /// Waits on this thread until all up to a number is kept.
    pub(super) fn wait(&self, number: u64) -> Result<(), LinkError> {
        let mut queue = lock(&self.desk.queue);
        while self.durable() < number {
            if let Some(failure) = &queue.failure {
                return Err(LinkError::Retry(failure.to_string()));
            }
            queue = self.desk.moved.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        Ok(())
    }

    /// Writes what is queued, and ends.
    pub(super) fn close(&self) {
        lock(&self.desk.queue).closing = true;
        self.desk.bell.notify_one();
        self.desk.end.notify_one();
        let writer = lock(&self.writer).take();
        if let Some(writer) = writer
            && writer.join().is_err()
        {
            log::error!("{}: the thread that writes it panicked", self.path.display());
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.close();
    }
}

#[cfg(test)]
impl Journal {
    pub(super) fn break_file(&self, broken: bool) {
        self.desk.broken.store(broken, Ordering::Release);
    }

    pub(super) fn await_writer(&self, most: Duration) {
        let queue = lock(&self.desk.queue);
        drop(self.desk.moved.wait_timeout(queue, most));
    }
}

fn stopped() -> LinkError {
    LinkError::Retry("the server is stopping".to_owned())
}

impl Desk {
    fn write(&self, mut file: StateFile) {
        loop {
            let (pairs, upto, closing) = self.next();
            if upto > self.durable.load(Ordering::Acquire) || !pairs.is_empty() {
                #[cfg(test)]
                file.break_off(self.broken.load(Ordering::Acquire));
                let done = file.keep(pairs);
                self.tell(&file, upto, done);
            }
            if closing {
                return;
            }
        }
    }

    /// Waits for something to write: what is new, or after a pause what could not be written.
    fn next(&self) -> (Pairs, u64, bool) {
        let mut queue = lock(&self.queue);
        if queue.failure.is_some() && !queue.closing {
            let waited = self.end.wait_timeout(queue, AGAIN);
            queue = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        while queue.pairs.is_empty()
            && queue.failure.is_none()
            && queue.queued <= self.durable.load(Ordering::Acquire)
            && !queue.closing
        {
            queue = self.bell.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        (std::mem::take(&mut queue.pairs), queue.queued, queue.closing)
    }

    fn tell(&self, file: &StateFile, upto: u64, done: std::io::Result<()>) {
        let mut queue = lock(&self.queue);
        match done {
            Ok(()) => {
                if queue.failure.take().is_some() {
                    log::warn!("{} is written again", file.path().display());
                }
                self.durable.store(upto, Ordering::Release);
            }
            Err(error) => {
                let reason: Arc<str> = format!("{} cannot be written: {error}", file.path().display()).into();
                if queue.failure.is_none() {
                    log::error!("{reason}; what needs it is not granted until it can be");
                }
                queue.failure = Some(reason);
            }
        }
        let durable = self.durable.load(Ordering::Acquire);
        self.progress.send_replace(Progress { durable, failure: queue.failure.clone() });
        self.moved.notify_all();
        let mut due = Vec::new();
        while queue.deferred.front().is_some_and(|(number, _)| *number <= durable) {
            due.extend(queue.deferred.pop_front());
        }
        drop(queue);
        for (_, what) in due {
            what();
        }
    }
}
