//! What a store answers, as Python sees it: under way already, to be awaited, waited for, or left alone.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};

use paceline::{Error, Settled};
use pyo3::exceptions::PyRuntimeError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::drive::{Step, Turn, go_on, look, stop};
use crate::errors::exception;
use crate::park::block_on;
use crate::wake::in_a_loop;

/// Makes the Python value of an answer.
pub(crate) type Make = Box<dyn FnOnce(Python<'_>) -> PyResult<Py<PyAny>> + Send + Sync>;
type Pending = Pin<Box<dyn Future<Output = Result<Make, Error>> + Send + Sync>>;

/// The answer of a store. The command is under way already: await the answer, ``wait()`` for it, or leave it alone.
#[pyclass(frozen, module = "paceline._native")]
pub(crate) struct Reply {
    stage: Mutex<Stage>,
}

enum Stage {
    Settled(Result<Settled, Error>),
    Pending(Pending, Turn),
    Answered(Py<PyAny>),
    Failed(PyErr),
    /// Somebody waits for it.
    Taken,
}

impl Reply {
    /// The answer to a settlement, which is there already as a rule and seldom looked at.
    pub(crate) fn settled(reply: paceline::Reply<Settled>) -> Self {
        let mut answer = reply.into_future();
        match look(&mut answer) {
            Some(settled) => Self::at(Stage::Settled(settled)),
            None => Self::at(pending(answer, |py, settled| Ok(moved(py, &settled)?.into_any().unbind()))),
        }
    }

    /// Any other answer, and how Python sees it.
    pub(crate) fn new<T: Send + Sync + 'static>(
        reply: paceline::Reply<T>,
        make: impl FnOnce(Python<'_>, T) -> PyResult<Py<PyAny>> + Send + Sync + 'static,
    ) -> Self {
        Self::at(pending(reply.into_future(), make))
    }

    /// An answer of nothing but that it was done.
    pub(crate) fn done(reply: paceline::Reply<()>) -> Self {
        Self::new(reply, |py, ()| Ok(py.None()))
    }

    /// The answer where nothing was to be done.
    pub(crate) fn nothing() -> Self {
        Self::at(Stage::Settled(Ok(Settled::default())))
    }

    fn at(stage: Stage) -> Self {
        Self { stage: Mutex::new(stage) }
    }

    fn stage(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Stage {
        std::mem::replace(&mut *self.stage(), Stage::Taken)
    }

    /// Keeps the answer, so that it can be asked for again.
    fn keep(&self, py: Python<'_>, answer: PyResult<Py<PyAny>>) -> PyResult<Py<PyAny>> {
        let kept = match &answer {
            Ok(value) => Stage::Answered(value.clone_ref(py)),
            Err(error) => Stage::Failed(error.clone_ref(py)),
        };
        *self.stage() = kept;
        answer
    }

    fn made(&self, py: Python<'_>, answer: Result<Make, Error>) -> PyResult<Py<PyAny>> {
        let value = answer.map_err(|error| exception(py, &error)).and_then(|make| make(py));
        self.keep(py, value)
    }

    fn step(&self, py: Python<'_>) -> PyResult<Step<Py<PyAny>>> {
        let (mut future, mut turn) = match self.take() {
            Stage::Pending(future, turn) => (future, turn),
            other => return self.ready(py, other).map(Step::Done),
        };
        if turn.is_none()
            && let Some(answer) = look(&mut future)
        {
            return self.made(py, answer).map(Step::Done);
        }
        match go_on(py, &mut future, &mut turn) {
            Ok(Step::Done(answer)) => self.made(py, answer).map(Step::Done),
            other => {
                if other.is_err() {
                    turn = None;
                }
                *self.stage() = Stage::Pending(future, turn);
                other.map(|step| match step {
                    Step::Yield(value) => Step::Yield(value),
                    Step::Done(_) => Step::Yield(py.None()),
                })
            }
        }
    }

    fn ready(&self, py: Python<'_>, stage: Stage) -> PyResult<Py<PyAny>> {
        match stage {
            Stage::Settled(Ok(settled)) => {
                let value = moved(py, &settled).map(|moved| moved.into_any().unbind());
                self.keep(py, value)
            }
            Stage::Settled(Err(error)) => self.keep(py, Err(exception(py, &error))),
            Stage::Answered(value) => self.keep(py, Ok(value)),
            Stage::Failed(error) => self.keep(py, Err(error)),
            Stage::Pending(..) | Stage::Taken => {
                Err(PyRuntimeError::new_err("somebody else waits for this reply already"))
            }
        }
    }
}

fn pending<T: Send + Sync + 'static>(
    answer: paceline::Answer<T>,
    make: impl FnOnce(Python<'_>, T) -> PyResult<Py<PyAny>> + Send + Sync + 'static,
) -> Stage {
    let made = async move {
        let value = answer.await?;
        let make: Make = Box::new(move |py| make(py, value));
        Ok(make)
    };
    Stage::Pending(Box::pin(made), None)
}

/// What a settlement moved: ``{"returned": {metric: amount}, "charged": {metric: amount}}``.
fn moved<'py>(py: Python<'py>, settled: &Settled) -> PyResult<Bound<'py, PyDict>> {
    let named = |amounts: Vec<(paceline::Name, u64)>| {
        let named = PyDict::new(py);
        for (metric, amount) in amounts {
            named.set_item(&*metric, amount)?;
        }
        Ok::<_, PyErr>(named)
    };
    let moved = PyDict::new(py);
    moved.set_item("returned", named(settled.all_returned())?)?;
    moved.set_item("charged", named(settled.all_charged())?)?;
    Ok(moved)
}

#[pymethods]
impl Reply {
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        let Ok(stage) = self.stage.try_lock() else { return Ok(()) };
        match &*stage {
            Stage::Pending(_, Some(turn)) => visit.call(turn),
            Stage::Answered(value) => visit.call(value),
            _ => Ok(()),
        }
    }

    fn __clear__(&self) {
        drop(self.take());
    }

    /// Waits for the answer on this thread, which parks without holding the interpreter.
    fn wait(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let mut future = match self.take() {
            Stage::Pending(future, _) => future,
            other => return self.ready(py, other),
        };
        if let Some(answer) = look(&mut future) {
            return self.made(py, answer);
        }
        if in_a_loop(py) {
            *self.stage() = Stage::Pending(future, None);
            return Err(PyRuntimeError::new_err(
                "wait() would block the event loop of this thread: await the reply",
            ));
        }
        match block_on(py, &mut future) {
            Ok(answer) => self.made(py, answer),
            Err(interrupt) => {
                *self.stage() = Stage::Pending(future, None);
                Err(interrupt)
            }
        }
    }

    fn __await__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        match self.step(py)? {
            Step::Yield(value) => Ok(value),
            Step::Done(value) => Err(stop(value)),
        }
    }

    fn send(&self, py: Python<'_>, _value: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        self.__next__(py)
    }

    #[pyo3(signature = (kind, value=None, traceback=None))]
    fn throw(
        &self,
        py: Python<'_>,
        kind: Bound<'_, PyAny>,
        value: Option<Bound<'_, PyAny>>,
        traceback: Option<Bound<'_, PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        if let Stage::Pending(_, turn) = &mut *self.stage() {
            *turn = None;
        }
        let _ = (value, traceback);
        Err(thrown(py, &kind))
    }

    /// Leaves the answer alone; what was asked is under way.
    #[expect(clippy::unused_self, reason = "a method of the protocol of coroutines")]
    fn close(&self) {}

    fn __repr__(&self) -> &'static str {
        match &*self.stage() {
            Stage::Pending(..) | Stage::Taken => "<paceline.Reply: under way>",
            Stage::Settled(Err(_)) | Stage::Failed(_) => "<paceline.Reply: refused>",
            Stage::Settled(Ok(_)) | Stage::Answered(_) => "<paceline.Reply: done>",
        }
    }
}

/// Returns what was thrown into an awaitable, as an exception.
pub(crate) fn thrown(py: Python<'_>, kind: &Bound<'_, PyAny>) -> PyErr {
    if kind.is_instance_of::<pyo3::types::PyType>() {
        return match kind.call0() {
            Ok(error) => PyErr::from_value(error),
            Err(error) => error,
        };
    }
    let _ = py;
    PyErr::from_value(kind.clone())
}
