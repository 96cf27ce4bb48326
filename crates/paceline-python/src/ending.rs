//! The end of the interpreter: a thread that wants it back then is ended by it, and takes the process along. So threads
//! of ours count themselves while they have it, none begins once the end has, and the end waits for those that did.

use std::sync::Condvar;
use std::thread;
use std::time::Duration;

use pyo3::prelude::*;

use crate::process::OfProcess;

struct Inside {
    threads: usize,
    ending: bool,
}

static INSIDE: OfProcess<Inside> = OfProcess::new(Inside { threads: 0, ending: false });
static OUTSIDE: Condvar = Condvar::new();

/// How long the end waits for threads that are slow to leave.
const PATIENCE: Duration = Duration::from_secs(5);

/// Counts a thread in, unless the end has begun.
fn enter() -> bool {
    let mut inside = INSIDE.lock();
    if inside.ending {
        return false;
    }
    inside.threads += 1;
    true
}

fn leave() {
    let mut inside = INSIDE.lock();
    inside.threads = inside.threads.saturating_sub(1);
    if inside.threads == 0 {
        OUTSIDE.notify_all();
    }
}

/// Leaves when it is dropped.
struct Counted;

impl Drop for Counted {
    fn drop(&mut self) {
        leave();
    }
}

/// Works with the interpreter on whatever thread this is; not at all once the end has begun.
pub(crate) fn attached<T>(work: impl FnOnce(Python<'_>) -> T) -> Option<T> {
    if !enter() {
        return None;
    }
    let _counted = Counted;
    Python::try_attach(work)
}

/// Works on a thread that has the interpreter and will call Python: such a thread is counted too. Once the end has begun
/// only the main thread goes on; any other lets go of the interpreter and stays away, as the interpreter would end it otherwise.
pub(crate) fn counted<T>(py: Python<'_>, work: impl FnOnce() -> T) -> T {
    if !enter() {
        if !crate::park::is_main(py).unwrap_or(true) {
            py.detach(|| {
                loop {
                    thread::park();
                }
            });
        }
        return work();
    }
    let _counted = Counted;
    work()
}

/// Works without the interpreter, and comes back to it; once the end has begun it never does.
pub(crate) fn detached<T: Send>(py: Python<'_>, work: impl FnOnce() -> T + Send) -> T {
    let result = py.detach(|| {
        let result = work();
        while !enter() {
            thread::park();
        }
        result
    });
    leave();
    result
}

/// Begins the end, and waits for the threads that are inside.
#[pyfunction]
pub(crate) fn end(py: Python<'_>) {
    py.detach(|| {
        let mut inside = INSIDE.lock();
        inside.ending = true;
        let _ = OUTSIDE.wait_timeout_while(inside, PATIENCE, |inside| inside.threads > 0);
    });
}

/// Begins anew in a forked child, which has none of its parent's threads.
pub(crate) fn forked() {
    INSIDE.renew(Inside { threads: 0, ending: false });
}
