//! Small tools of synchronisation: locks that no panic can poison, and wakers that wait for the lock to open.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;

/// Takes a lock whatever became of those who held it: every critical section leaves whole values behind.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Wakers gathered under a lock, to be called, or dropped, once it is open: both run code of the caller's.
#[derive(Default)]
pub(crate) struct Wakers {
    called: Vec<Waker>,
    dropped: Vec<Waker>,
}

impl Wakers {
    pub(crate) fn call(&mut self, waker: Option<Waker>) {
        self.called.extend(waker);
    }

    pub(crate) fn discard(&mut self, waker: Option<Waker>) {
        self.dropped.extend(waker);
    }

    pub(crate) fn release(self) {
        if self.called.is_empty() {
            return;
        }
        for waker in self.called {
            if catch_unwind(AssertUnwindSafe(|| waker.wake())).is_err() {
                log::error!("a waker panicked, its task may not hear of its permit");
            }
        }
    }
}
