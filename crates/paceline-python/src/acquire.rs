//! Asking for permits: awaited, entered, or waited for, and once.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use paceline::{Error, Permit as Granted};
use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyList;

use crate::current;
use crate::drive::{Ready, Step, Turn, go_on, look, stop};
use crate::errors::exception;
use crate::park::block_on;
use crate::permit::Permit;
use crate::reply::thrown;
use crate::seat::Seat;
use crate::wake::in_a_loop;

/// What a caller said beside the demand.
#[derive(Default)]
pub(crate) struct Terms {
    /// What an exception inside the block settles.
    pub(crate) on_error: Option<Py<PyAny>>,
    /// How long its permit lives, where that is not the limiter's lease.
    pub(crate) lease: Option<Duration>,
}

/// What is waited for.
pub(crate) enum Asking {
    One(paceline::Acquire, Arc<Seat>),
    Any(Vec<Option<(paceline::Acquire, Arc<Seat>)>>),
    Many(Together),
}

/// Requests whose permits come together; what was granted goes back where they do not.
pub(crate) struct Together(pub(crate) Vec<Asked>);

pub(crate) enum Asked {
    Waiting(paceline::Acquire, Arc<Seat>),
    Granted(Granted, Arc<Seat>),
}

type Answer = Result<Vec<(Granted, Arc<Seat>)>, Error>;

impl Future for Asking {
    type Output = Result<Answered, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut *self {
            Self::One(acquire, seat) => {
                let answer = Pin::new(acquire).poll(context);
                answer.map(|answer| answer.map(|permit| Answered::One(permit, Arc::clone(seat))))
            }
            Self::Any(asked) => first_granted(asked, context),
            Self::Many(Together(asked)) => {
                all_granted(asked, context).map(|answer| answer.map(Answered::Many))
            }
        }
    }
}

/// What was granted.
pub(crate) enum Answered {
    One(Granted, Arc<Seat>),
    Many(Vec<(Granted, Arc<Seat>)>),
}

/// The first permit that is granted; the rest leave the line when this future ends. A refusal counts when all refused.
fn first_granted(
    asked: &mut [Option<(paceline::Acquire, Arc<Seat>)>],
    context: &mut Context<'_>,
) -> Poll<Result<Answered, Error>> {
    let (mut waiting, mut refused) = (false, None);
    for slot in asked.iter_mut() {
        let Some((acquire, seat)) = slot else { continue };
        match Pin::new(acquire).poll(context) {
            Poll::Pending => waiting = true,
            Poll::Ready(Ok(permit)) => return Poll::Ready(Ok(Answered::One(permit, Arc::clone(seat)))),
            Poll::Ready(Err(error)) => {
                *slot = None;
                refused = Some(sooner(refused, error));
            }
        }
    }
    match refused {
        Some(error) if !waiting => Poll::Ready(Err(error)),
        // What refuses while others wait is not asked again.
        _ if waiting => Poll::Pending,
        _ => Poll::Ready(Err(Error::Closed)),
    }
}

/// Of two refusals that which may pass earlier.
fn sooner(one: Option<Error>, other: Error) -> Error {
    let after = |error: &Error| error.retry_after().map_or(u128::MAX, |after| after.as_millis());
    match one {
        Some(one) if after(&one) <= after(&other) => one,
        _ => other,
    }
}

/// All permits together, or none: what was granted before a refusal goes back.
fn all_granted(asked: &mut Vec<Asked>, context: &mut Context<'_>) -> Poll<Answer> {
    let mut waiting = false;
    for slot in asked.iter_mut() {
        let Asked::Waiting(acquire, seat) = slot else { continue };
        match Pin::new(acquire).poll(context) {
            Poll::Pending => waiting = true,
            Poll::Ready(Ok(permit)) => *slot = Asked::Granted(permit, Arc::clone(seat)),
            Poll::Ready(Err(error)) => {
                give_back(asked);
                return Poll::Ready(Err(error));
            }
        }
    }
    if waiting {
        return Poll::Pending;
    }
    let granted = std::mem::take(asked).into_iter().filter_map(|asked| match asked {
        Asked::Granted(permit, seat) => Some((permit, seat)),
        Asked::Waiting(..) => None,
    });
    Poll::Ready(Ok(granted.collect()))
}

fn give_back(asked: &mut Vec<Asked>) {
    for asked in std::mem::take(asked) {
        if let Asked::Granted(permit, _) = asked {
            permit.give_back();
        }
    }
}

impl Drop for Together {
    fn drop(&mut self) {
        give_back(&mut self.0);
    }
}

enum Stage {
    Fresh(Asking),
    Waiting(Asking, Turn),
    /// Its block is open.
    Open(Open),
    Spent,
}

enum Open {
    One(Py<Permit>),
    Many(Vec<Py<Permit>>),
}

/// A request for a permit: ``await`` it, enter it (``with``, ``async with``), or ``wait()`` for it, once.
///
/// It does nothing before. Cancelled at any instant it leaves no trace: its place in line is free, and a permit that
/// was granted meanwhile goes back in full.
#[pyclass(frozen, weakref, module = "paceline._native")]
pub(crate) struct Acquire {
    stage: Mutex<Stage>,
    terms: Terms,
}

impl Acquire {
    pub(crate) fn one(acquire: paceline::Acquire, seat: Arc<Seat>, terms: Terms) -> Self {
        Self::new(Asking::One(acquire, seat), terms)
    }

    pub(crate) fn new(asking: Asking, terms: Terms) -> Self {
        Self { stage: Mutex::new(Stage::Fresh(asking)), terms }
    }

    /// Takes out what is asked, to be asked together with others.
    pub(crate) fn take_one(&self) -> PyResult<(paceline::Acquire, Arc<Seat>)> {
        let mut stage = self.stage();
        match std::mem::replace(&mut *stage, Stage::Spent) {
            Stage::Fresh(Asking::One(acquire, seat)) => Ok((acquire, seat)),
            fresh @ Stage::Fresh(_) => {
                *stage = fresh;
                Err(PyTypeError::new_err("only requests for one permit can be asked together"))
            }
            other => {
                *stage = other;
                Err(used())
            }
        }
    }

    fn stage(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Stage {
        std::mem::replace(&mut *self.stage(), Stage::Spent)
    }

    fn granted(&self, py: Python<'_>, answer: Result<Answered, Error>) -> PyResult<Open> {
        match answer {
            Ok(Answered::One(permit, seat)) => {
                Ok(Open::One(Py::new(py, Permit::new(permit, seat, &self.terms, py))?))
            }
            Ok(Answered::Many(permits)) => {
                let permit = |(permit, seat)| Py::new(py, Permit::new(permit, seat, &self.terms, py));
                Ok(Open::Many(permits.into_iter().map(permit).collect::<PyResult<_>>()?))
            }
            Err(error) => {
                crate::logging::deliver(py);
                Err(exception(py, &error))
            }
        }
    }

    /// Takes the next step towards the permit.
    fn step(&self, py: Python<'_>) -> PyResult<Step<Open>> {
        let (mut asking, mut turn) = match self.take() {
            Stage::Fresh(mut asking) => {
                if let Some(answer) = look(&mut asking) {
                    return self.granted(py, answer).map(Step::Done);
                }
                (asking, None)
            }
            Stage::Waiting(asking, turn) => (asking, turn),
            other => {
                *self.stage() = other;
                return Err(used());
            }
        };
        match go_on(py, &mut asking, &mut turn)? {
            Step::Done(answer) => self.granted(py, answer).map(Step::Done),
            Step::Yield(value) => {
                *self.stage() = Stage::Waiting(asking, turn);
                Ok(Step::Yield(value))
            }
        }
    }

    fn block(&self, py: Python<'_>, verb: &str) -> PyResult<Open> {
        let mut asking = match self.take() {
            Stage::Fresh(asking) => asking,
            other => {
                *self.stage() = other;
                return Err(used());
            }
        };
        if let Some(answer) = look(&mut asking) {
            return self.granted(py, answer);
        }
        if in_a_loop(py) {
            return Err(PyRuntimeError::new_err(format!(
                "there is no room at the moment, and {verb} would block the event loop of this thread until there \
                 is: use `async with` or `await`"
            )));
        }
        let answer = block_on(py, &mut asking)?;
        self.granted(py, answer)
    }

    fn enter(&self, py: Python<'_>, open: Open) -> Py<PyAny> {
        let value = match &open {
            Open::One(permit) => {
                permit.get().enter();
                current::enter(py, permit);
                permit.clone_ref(py).into_any()
            }
            Open::Many(permits) => {
                for permit in permits {
                    permit.get().enter();
                }
                value(py, &open)
            }
        };
        *self.stage() = Stage::Open(open);
        value
    }

    fn leave(&self, py: Python<'_>, error: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        match self.take() {
            Stage::Open(Open::One(permit)) => {
                current::leave(py, &permit);
                permit.get().leave(py, error)
            }
            Stage::Open(Open::Many(permits)) => {
                permits.iter().try_for_each(|permit| permit.get().leave(py, error))
            }
            _ => Ok(()),
        }
    }
}

fn used() -> PyErr {
    PyRuntimeError::new_err("this request has been used: call acquire() again for another permit")
}

fn value(py: Python<'_>, open: &Open) -> Py<PyAny> {
    match open {
        Open::One(permit) => permit.clone_ref(py).into_any(),
        Open::Many(permits) => {
            let permits = permits.iter().map(|permit| permit.clone_ref(py));
            PyList::new(py, permits).map_or_else(|_| py.None(), |list| list.into_any().unbind())
        }
    }
}

#[pymethods]
impl Acquire {
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        if let Some(said) = &self.terms.on_error {
            visit.call(said)?;
        }
        // A stage that is being changed is in use, and what is in use is no garbage.
        let Ok(stage) = self.stage.try_lock() else { return Ok(()) };
        match &*stage {
            Stage::Waiting(_, Some(turn)) => visit.call(turn),
            Stage::Open(Open::One(permit)) => visit.call(permit),
            Stage::Open(Open::Many(permits)) => permits.iter().try_for_each(|permit| visit.call(permit)),
            _ => Ok(()),
        }
    }

    fn __clear__(&self) {
        drop(self.take());
    }

    /// Waits for the permit on this thread, which parks without holding the interpreter.
    fn wait(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.block(py, "wait()").map(|open| value(py, &open))
    }

    fn __enter__(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let open = self.block(py, "`with`")?;
        Ok(self.enter(py, open))
    }

    #[pyo3(signature = (kind, error, traceback, /))]
    fn __exit__(
        &self,
        py: Python<'_>,
        kind: &Bound<'_, PyAny>,
        error: &Bound<'_, PyAny>,
        traceback: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let _ = (kind, traceback);
        self.leave(py, Some(error))
    }

    fn __aenter__(slf: Bound<'_, Self>) -> Entering {
        Entering(slf.unbind())
    }

    #[pyo3(signature = (kind, error, traceback, /))]
    fn __aexit__(
        &self,
        py: Python<'_>,
        kind: &Bound<'_, PyAny>,
        error: &Bound<'_, PyAny>,
        traceback: &Bound<'_, PyAny>,
    ) -> PyResult<Ready> {
        self.__exit__(py, kind, error, traceback)?;
        Ok(Ready::nothing())
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
            Step::Done(open) => Err(stop(value(py, &open))),
        }
    }

    fn send(&self, py: Python<'_>, _value: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        self.__next__(py)
    }

    #[pyo3(signature = (kind, value=None, traceback=None, /))]
    fn throw(
        &self,
        py: Python<'_>,
        kind: Bound<'_, PyAny>,
        value: Option<Bound<'_, PyAny>>,
        traceback: Option<Bound<'_, PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        let _ = (value, traceback);
        drop(self.take());
        Err(thrown(py, &kind))
    }

    /// Leaves the line; a permit that was granted meanwhile goes back in full.
    fn close(&self) {
        let mut stage = self.stage();
        let left = match &*stage {
            Stage::Open(_) => None,
            _ => Some(std::mem::replace(&mut *stage, Stage::Spent)),
        };
        drop(stage);
        drop(left);
    }

    fn __repr__(&self) -> &'static str {
        match &*self.stage() {
            Stage::Fresh(_) => "<paceline.Acquire: not asked>",
            Stage::Waiting(..) => "<paceline.Acquire: waiting>",
            Stage::Open(_) => "<paceline.Acquire: granted>",
            Stage::Spent => "<paceline.Acquire: used>",
        }
    }
}

/// What `async with` awaits at its beginning.
#[pyclass(frozen)]
pub(crate) struct Entering(Py<Acquire>);

#[pymethods]
impl Entering {
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.0)
    }

    fn __await__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let acquire = self.0.get();
        match acquire.step(py)? {
            Step::Yield(value) => Ok(value),
            Step::Done(open) => Err(stop(acquire.enter(py, open))),
        }
    }

    fn send(&self, py: Python<'_>, _value: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        self.__next__(py)
    }

    #[pyo3(signature = (kind, value=None, traceback=None, /))]
    fn throw(
        &self,
        py: Python<'_>,
        kind: Bound<'_, PyAny>,
        value: Option<Bound<'_, PyAny>>,
        traceback: Option<Bound<'_, PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        self.0.get().throw(py, kind, value, traceback)
    }

    fn close(&self) {
        self.0.get().close();
    }
}
