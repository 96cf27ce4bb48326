//! Drives one future by Python's protocol of awaitables: it yields a future of the loop wherever it has to wait.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use pyo3::exceptions::PyStopIteration;
use pyo3::prelude::*;
use pyo3::types::PyIterator;

use crate::ending::counted;
use crate::wake::Call;

/// The wait under way: the iterator of the loop's future.
pub(crate) type Turn = Option<Py<PyIterator>>;

/// What the next step of an awaitable came to.
pub(crate) enum Step<T> {
    /// The task waits for this.
    Yield(Py<PyAny>),
    /// The future is done.
    Done(T),
}

/// Looks whether the future is done already: such a one never touches an event loop.
pub(crate) fn look<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    match Pin::new(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

/// Goes on with a future that was not done when it was looked at.
pub(crate) fn go_on<F: Future + Unpin>(
    py: Python<'_>,
    future: &mut F,
    turn: &mut Turn,
) -> PyResult<Step<F::Output>> {
    counted(py, || take_turn(py, future, turn))
}

fn take_turn<F: Future + Unpin>(
    py: Python<'_>,
    future: &mut F,
    turn: &mut Turn,
) -> PyResult<Step<F::Output>> {
    if let Some(waiting) = turn {
        match waiting.bind(py).clone().next() {
            Some(Ok(yielded)) => return Ok(Step::Yield(yielded.unbind())),
            Some(Err(error)) => return Err(error),
            None => *turn = None,
        }
    }
    let (call, awaited) = Call::new(py)?;
    let waker = Waker::from(call);
    if let Poll::Ready(output) = Pin::new(future).poll(&mut Context::from_waker(&waker)) {
        return Ok(Step::Done(output));
    }
    let mut waiting = awaited.try_iter()?;
    match waiting.next() {
        Some(yielded) => {
            let yielded = yielded?.unbind();
            *turn = Some(waiting.unbind());
            Ok(Step::Yield(yielded))
        }
        // It was completed before it was looked at: the loop comes back at once.
        None => Ok(Step::Yield(py.None())),
    }
}

/// Returns the exception by which an awaitable hands over its value.
pub(crate) fn stop(value: Py<PyAny>) -> PyErr {
    PyStopIteration::new_err((value,))
}

/// An awaitable that is done.
#[pyclass(frozen)]
pub(crate) struct Ready(Option<Py<PyAny>>);

impl Ready {
    pub(crate) fn nothing() -> Self {
        Self(None)
    }

    pub(crate) fn with(value: Py<PyAny>) -> Self {
        Self(Some(value))
    }
}

#[pymethods]
impl Ready {
    fn __await__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        Err(stop(self.0.as_ref().map_or_else(|| py.None(), |value| value.clone_ref(py))))
    }
}
