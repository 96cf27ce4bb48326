//! Wakes asyncio tasks from any thread: however many are granted at once, their loop is called once.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Wake;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyWeakrefMethods, PyWeakrefReference};

use crate::ending::{attached, counted};

/// An event loop that has tasks waiting here.
pub(crate) struct Bridge {
    event_loop: Py<PyAny>,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    fired: Vec<Arc<Call>>,
    /// Whether the loop has been told to drain the queue.
    scheduled: bool,
}

/// One task's wait for one answer: a future of its loop, and the waker that completes it.
pub(crate) struct Call {
    bridge: Arc<Bridge>,
    /// Weak, so that a task which nobody keeps is collected though it is in line.
    future: Py<PyWeakrefReference>,
    fired: AtomicBool,
}

impl Wake for Call {
    fn wake(self: Arc<Self>) {
        if !self.fired.swap(true, Ordering::AcqRel) {
            let bridge = Arc::clone(&self.bridge);
            bridge.push(self);
        }
    }
}

impl Call {
    /// Makes a future of the running loop, to be completed by a waker.
    pub(crate) fn new(py: Python<'_>) -> PyResult<(Arc<Self>, Bound<'_, PyAny>)> {
        let bridge = Bridge::running(py)?;
        let future = bridge.event_loop.bind(py).call_method0(intern!(py, "create_future"))?;
        let weak = PyWeakrefReference::new(&future)?.unbind();
        Ok((Arc::new(Self { bridge, future: weak, fired: AtomicBool::new(false) }), future))
    }

    fn complete(&self, py: Python<'_>) -> PyResult<()> {
        let Some(future) = self.future.bind(py).upgrade() else { return Ok(()) };
        if !future.call_method0(intern!(py, "done"))?.is_truthy()? {
            future.call_method1(intern!(py, "set_result"), (py.None(),))?;
        }
        Ok(())
    }
}

impl Bridge {
    /// Returns the bridge to the loop that runs on this thread.
    fn running(py: Python<'_>) -> PyResult<Arc<Self>> {
        thread_local! {
            static LAST: RefCell<Option<Arc<Bridge>>> = const { RefCell::new(None) };
        }
        let event_loop = running_loop(py)?;
        let known = LAST.with_borrow(Option::clone);
        if let Some(bridge) = known.filter(|bridge| bridge.event_loop.is(&event_loop)) {
            return Ok(bridge);
        }
        let bridge = Arc::new(Self { event_loop: event_loop.unbind(), queue: Mutex::default() });
        let before = LAST.replace(Some(Arc::clone(&bridge)));
        drop(before);
        Ok(bridge)
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(self: Arc<Self>, call: Arc<Call>) {
        let mut queue = self.queue();
        queue.fired.push(call);
        let told = std::mem::replace(&mut queue.scheduled, true);
        drop(queue);
        if !told {
            // While the interpreter ends nobody is left to be woken.
            attached(|py| self.schedule(py));
        }
    }

    fn schedule(self: Arc<Self>, py: Python<'_>) {
        let here = running_loop(py).is_ok_and(|running| self.event_loop.is(&running));
        let how = if here { intern!(py, "call_soon") } else { intern!(py, "call_soon_threadsafe") };
        let drain = Py::new(py, Drain(Arc::clone(&self)));
        let told = drain.and_then(|drain| self.event_loop.call_method1(py, how, (drain,)));
        if told.is_err() {
            // The loop is closed, and with it are the tasks that waited.
            let mut queue = self.queue();
            queue.scheduled = false;
            let gone = std::mem::take(&mut queue.fired);
            drop(queue);
            drop(gone);
        }
    }

    /// Completes what fired. As long as something did, the loop comes back by itself, so that those who grant need not
    /// ask for the interpreter while it is busy.
    fn drain(self: Arc<Self>, py: Python<'_>) {
        let mut queue = self.queue();
        let fired = std::mem::take(&mut queue.fired);
        queue.scheduled = !fired.is_empty();
        drop(queue);
        if fired.is_empty() {
            return;
        }
        Arc::clone(&self).schedule(py);
        for call in fired {
            if let Err(error) = call.complete(py) {
                error.write_unraisable(py, None);
            }
        }
    }
}

/// What the loop calls.
#[pyclass(frozen)]
struct Drain(Arc<Bridge>);

#[pymethods]
impl Drain {
    fn __call__(&self, py: Python<'_>) {
        counted(py, || Arc::clone(&self.0).drain(py));
    }
}

/// Returns the loop that runs on this thread; a `RuntimeError` where none does.
pub(crate) fn running_loop(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    static GET: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    GET.get_or_try_init(py, || Ok::<_, PyErr>(py.import("asyncio")?.getattr("get_running_loop")?.unbind()))?
        .bind(py)
        .call0()
}

/// Whether a loop runs on this thread; asyncio is not imported for the question.
pub(crate) fn in_a_loop(py: Python<'_>) -> bool {
    let modules = py.import("sys").and_then(|sys| sys.getattr("modules"));
    let loaded = modules.and_then(|modules| modules.contains("asyncio")).unwrap_or(false);
    loaded && running_loop(py).is_ok()
}
