//! What happens, for threads and for tasks.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use futures_core::Stream;
use paceline::Event;
use pyo3::exceptions::{PyStopAsyncIteration, PyStopIteration};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::drive::{Step, Turn, go_on, look, stop};
use crate::errors::exception;
use crate::park::block_on;
use crate::reply::thrown;
use crate::views::{by_metric, near_limit};

/// A subscription to what happens in a store: an iterator for threads, an asynchronous one for tasks.
#[pyclass(frozen, module = "paceline._native")]
pub(crate) struct Events {
    events: Arc<Mutex<paceline::Events>>,
}

impl Events {
    pub(crate) fn new(events: paceline::Events) -> Self {
        Self { events: Arc::new(Mutex::new(events)) }
    }

    fn next(&self) -> Next {
        Next(Arc::clone(&self.events))
    }
}

/// The next event.
struct Next(Arc<Mutex<paceline::Events>>);

impl Future for Next {
    type Output = Option<Event>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Event>> {
        let mut events = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Pin::new(&mut *events).poll_next(context)
    }
}

#[pymethods]
impl Events {
    /// Returns the next event if there is one.
    fn try_next(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let event = self.events.lock().unwrap_or_else(PoisonError::into_inner).try_next();
        event.map(|event| seen(py, &event)).transpose()
    }

    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let mut next = self.next();
        let event = match look(&mut next) {
            Some(event) => event,
            None => block_on(py, &mut next)?,
        };
        event.map_or_else(|| Err(PyStopIteration::new_err(())), |event| seen(py, &event))
    }

    fn __aiter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __anext__(&self) -> NextEvent {
        NextEvent(Mutex::new((self.next(), None)))
    }
}

/// The wait for the next event.
#[pyclass(frozen)]
pub(crate) struct NextEvent(Mutex<(Next, Turn)>);

#[pymethods]
impl NextEvent {
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        let Ok(waiting) = self.0.try_lock() else { return Ok(()) };
        waiting.1.as_ref().map_or(Ok(()), |turn| visit.call(turn))
    }

    fn __clear__(&self) {
        let turn = self.0.lock().unwrap_or_else(PoisonError::into_inner).1.take();
        drop(turn);
    }

    fn __await__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (next, turn) = &mut *waiting;
        let looked = if turn.is_none() { look(next) } else { None };
        let event = match looked {
            Some(event) => event,
            None => match go_on(py, next, turn)? {
                Step::Yield(value) => return Ok(value),
                Step::Done(event) => event,
            },
        };
        match event {
            Some(event) => Err(stop(seen(py, &event)?)),
            None => Err(PyStopAsyncIteration::new_err(())),
        }
    }

    fn send(&self, py: Python<'_>, _value: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        self.__next__(py)
    }

    #[pyo3(signature = (kind, value=None, traceback=None, /))]
    #[expect(clippy::unused_self, reason = "a method of the protocol of awaitables")]
    fn throw(
        &self,
        py: Python<'_>,
        kind: Bound<'_, PyAny>,
        value: Option<Bound<'_, PyAny>>,
        traceback: Option<Bound<'_, PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        let _ = (value, traceback);
        Err(thrown(py, &kind))
    }
}

/// Returns an event as `paceline.Event`.
fn seen(py: Python<'_>, event: &Event) -> PyResult<Py<PyAny>> {
    let facts = PyDict::new(py);
    let kind = told(py, event, &facts)?;
    let event = py.import("paceline._events")?.getattr("Event")?.call((kind,), Some(&facts))?;
    Ok(event.unbind())
}

fn told(py: Python<'_>, event: &Event, facts: &Bound<'_, PyDict>) -> PyResult<&'static str> {
    Ok(match event {
        Event::Queued { permit, resource, ahead } => {
            facts.set_item("permit", permit.to_string())?;
            facts.set_item("resource", &**resource)?;
            facts.set_item("ahead", ahead)?;
            "queued"
        }
        Event::Granted { permit, resource, waited } => {
            facts.set_item("permit", permit.to_string())?;
            facts.set_item("resource", &**resource)?;
            facts.set_item("waited", waited.as_secs_f64())?;
            "granted"
        }
        Event::Refused { resource, error } => {
            facts.set_item("resource", &**resource)?;
            facts.set_item("error", exception(py, error).into_value(py))?;
            "refused"
        }
        Event::Cancelled { permit } => {
            facts.set_item("permit", permit.to_string())?;
            "cancelled"
        }
        Event::Settled { permit, returned, charged } => {
            facts.set_item("permit", permit.to_string())?;
            facts.set_item("returned", by_metric(py, returned)?)?;
            facts.set_item("charged", by_metric(py, charged)?)?;
            "settled"
        }
        Event::LeaseEnded { permit } => {
            facts.set_item("permit", permit.to_string())?;
            "lease_ended"
        }
        Event::LongWait { resource, waited, limit } => {
            facts.set_item("resource", &**resource)?;
            facts.set_item("waited", waited.as_secs_f64())?;
            facts.set_item("limit", limit.as_deref())?;
            "long_wait"
        }
        other => return of_the_store(py, other, facts),
    })
}

fn of_the_store(py: Python<'_>, event: &Event, facts: &Bound<'_, PyDict>) -> PyResult<&'static str> {
    Ok(match event {
        Event::NearLimit(near) => {
            near_limit(near, facts)?;
            "near_limit"
        }
        Event::NoLongerNear { limit } => {
            facts.set_item("limit", &**limit)?;
            "no_longer_near"
        }
        Event::Paused { target, lasting } => {
            facts.set_item("target", &**target)?;
            facts.set_item("seconds", lasting.map(|lasting| lasting.as_secs_f64()))?;
            "paused"
        }
        Event::Resumed { target } => {
            facts.set_item("target", &**target)?;
            "resumed"
        }
        Event::Configured => "configured",
        Event::ConfigurationRefused { error } => {
            facts.set_item("error", exception(py, error).into_value(py))?;
            "configuration_refused"
        }
        Event::StoreLost { url, reason } => {
            facts.set_item("store", url)?;
            facts.set_item("reason", reason)?;
            "store_lost"
        }
        Event::StoreBack { url } => {
            facts.set_item("store", url)?;
            "store_back"
        }
        Event::StateLost { ledger } => {
            facts.set_item("account", &**ledger)?;
            "state_lost"
        }
        Event::SessionExpired { ledger } => {
            facts.set_item("account", &**ledger)?;
            "session_expired"
        }
        Event::ConfigurationDiffers { ledger, resource } => {
            facts.set_item("account", &**ledger)?;
            facts.set_item("resource", &**resource)?;
            "configuration_differs"
        }
        Event::Lost(events) => {
            facts.set_item("events", events)?;
            "lost"
        }
        _ => "other",
    })
}
