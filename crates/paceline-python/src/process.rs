//! State of one process: a forked child begins with its own, for a lock that it inherits may be taken for ever.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

/// A value under a lock, anew in each forked child.
pub(crate) struct OfProcess<T: 'static> {
    value: Mutex<T>,
    child: OnceLock<Box<OfProcess<T>>>,
}

impl<T> OfProcess<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self { value: Mutex::new(value), child: OnceLock::new() }
    }

    /// Takes the lock of this process.
    pub(crate) fn lock(&'static self) -> MutexGuard<'static, T> {
        self.last().value.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins with another value: in a forked child, before anything else is done there.
    pub(crate) fn renew(&'static self, value: T) {
        let _ = self.last().child.set(Box::new(Self::new(value)));
    }

    fn last(&'static self) -> &'static Self {
        let mut last = self;
        while let Some(child) = last.child.get() {
            last = child;
        }
        last
    }
}
