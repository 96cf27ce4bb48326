//! Keeps a forked child off its parent's state.
//!
//! A child inherits ledgers, locks and holds, but no thread; if it went on granting, each child would grant the whole
//! limit. Asking the system who we are costs as much as a grant, so a guard asks when something makes it worth it:
//! at most once in each millisecond, wherever a lock is found taken, and at once after [`forked`], which a host's
//! own fork hook (`os.register_at_fork`, `pthread_atfork`) may call in the child. Without that hook a child that
//! acquires within the millisecond of its parent's last operation is not noticed before the next millisecond.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use paceline_core::Millis;

use crate::Error;

static FORKS: AtomicU32 = AtomicU32::new(0);

/// Tells the library that this process is a forked child, so that what it inherited refuses at once.
pub fn forked() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}

/// Knows in which process it was made.
pub(crate) struct Guard {
    pid: u32,
    forks: u32,
    asked_at: AtomicU64,
}

impl Guard {
    pub(crate) fn new() -> Self {
        Self { pid: std::process::id(), forks: FORKS.load(Ordering::Relaxed), asked_at: AtomicU64::new(0) }
    }

    /// Refuses in any other process; asks the system at most once in each millisecond.
    pub(crate) fn check(&self, now: Millis) -> Result<(), Error> {
        if self.asked_at.load(Ordering::Relaxed) != now {
            self.check_closely()?;
            self.asked_at.store(now, Ordering::Relaxed);
        }
        self.check_hook()
    }

    /// Refuses in any other process.
    pub(crate) fn check_closely(&self) -> Result<(), Error> {
        if self.pid == std::process::id() { self.check_hook() } else { Err(Error::Forked) }
    }

    fn check_hook(&self) -> Result<(), Error> {
        if self.forks == FORKS.load(Ordering::Relaxed) { Ok(()) } else { Err(Error::Forked) }
    }
}

/// A value that each forked child has anew: a lock that a child inherits may be taken for ever.
pub(crate) struct OfProcess<T> {
    guard: Guard,
    value: T,
    child: OnceLock<Box<Self>>,
}

impl<T> OfProcess<T> {
    pub(crate) fn new(value: T) -> Self {
        Self { guard: Guard::new(), value, child: OnceLock::new() }
    }

    /// Returns the value of this process, made here if it was forked off since.
    pub(crate) fn get(&self, anew: impl Fn() -> T) -> &T {
        let mut own = self;
        while own.guard.check_closely().is_err() {
            own = own.child.get_or_init(|| Box::new(Self::new(anew())));
        }
        &own.value
    }
}
