//! Parks a thread without holding the interpreter; the main thread stays open to signals.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use pyo3::prelude::*;

use crate::ending::detached;

/// Drives a future on this thread. On the main thread an interrupt ends the wait at once, with its exception.
pub(crate) fn block_on<F: Future<Output: Send> + Send + Unpin>(
    py: Python<'_>,
    future: &mut F,
) -> PyResult<F::Output> {
    if is_main(py)? { interruptible::block_on(py, future) } else { Ok(detached(py, || park(future))) }
}

fn park<F: Future + Unpin>(future: &mut F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = Pin::new(&mut *future).poll(&mut context) {
            return output;
        }
        thread::park();
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Whether this is the thread on which the interpreter runs signal handlers and ends.
pub(crate) fn is_main(py: Python<'_>) -> PyResult<bool> {
    let threading = py.import("threading")?;
    let main = threading.call_method0("main_thread")?.getattr("ident")?;
    main.eq(threading.call_method0("get_ident")?)
}

#[cfg(unix)]
mod interruptible {
    use super::{Arc, Context, Future, Pin, Poll, PyResult, Python, Wake, Waker};
    use std::os::fd::OwnedFd;

    use pyo3::exceptions::PyOSError;
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::io::{Errno, read, write};
    use rustix::pipe::{PipeFlags, pipe_with};

    /// Rings through a pipe: the wait for one ends at a signal, as the wait for a futex does not.
    struct Bell(OwnedFd);

    impl Wake for Bell {
        fn wake(self: Arc<Self>) {
            // A pipe that is full has been rung.
            let _ = write(&self.0, &[1]);
        }
    }

    /// Where the system hands a signal to another thread, it is noticed this late.
    const BACKSTOP: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

    pub(super) fn block_on<F: Future + Unpin>(py: Python<'_>, future: &mut F) -> PyResult<F::Output> {
        let failed = |error: Errno| PyOSError::new_err(error.to_string());
        let (ear, bell) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).map_err(failed)?;
        let waker = Waker::from(Arc::new(Bell(bell)));
        loop {
            if let Poll::Ready(output) = Pin::new(&mut *future).poll(&mut Context::from_waker(&waker)) {
                return Ok(output);
            }
            py.detach(|| match poll(&mut [PollFd::new(&ear, PollFlags::IN)], Some(&BACKSTOP)) {
                Ok(_) | Err(Errno::INTR) => Ok(()),
                Err(error) => Err(failed(error)),
            })?;
            py.check_signals()?;
            while read(&ear, &mut [0_u8; 64]).is_ok_and(|read| read == 64) {}
        }
    }
}

#[cfg(not(unix))]
mod interruptible {
    use super::{Arc, Context, Future, Pin, Poll, PyResult, Python, Unpark, Waker, thread};
    use std::time::Duration;

    pub(super) fn block_on<F: Future + Unpin>(py: Python<'_>, future: &mut F) -> PyResult<F::Output> {
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        loop {
            if let Poll::Ready(output) = Pin::new(&mut *future).poll(&mut Context::from_waker(&waker)) {
                return Ok(output);
            }
            py.detach(|| thread::park_timeout(Duration::from_millis(50)));
            py.check_signals()?;
        }
    }
}
