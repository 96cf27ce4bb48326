//! The right to make one call, as Python sees it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use paceline::{GrantedVia, PermitId};
use pyo3::exceptions::PyRuntimeError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyInt};

use crate::acquire::{Acquire, Terms};
use crate::amounts::{self, Amounts};
use crate::blocks::{self, Place};
use crate::drive::Ready;
use crate::errors::over;
use crate::logging;
use crate::reply::Reply;
use crate::seat::Seat;

/// The right to make one call: settle it with what the call used.
///
/// It ends once: by ``settle``, by ``give_back`` where the call never left, or when its block is left. One that nobody
/// ends is ended at its lease, with its reservation spent.
#[pyclass(frozen, weakref, module = "paceline._native")]
pub(crate) struct Permit {
    held: Arc<Held>,
    on_error: Option<Py<PyAny>>,
    waited: Duration,
    via: GrantedVia,
    adopted: AtomicBool,
}

/// A permit until it ends, and its name for ever.
pub(crate) struct Held {
    pub(crate) seat: Arc<Seat>,
    state: Mutex<State>,
}

struct State {
    permit: Option<paceline::Permit>,
    ended: Option<PermitId>,
    /// Where it is noted that its block is open.
    open: Option<Place>,
}

impl Held {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets it live on, if it has not ended.
    pub(crate) fn renew(&self, lease: Duration) {
        let renewed = self.state().permit.as_ref().map(|permit| permit.renew(lease));
        drop(renewed);
    }

    fn take(&self) -> Option<paceline::Permit> {
        let mut state = self.state();
        let permit = state.permit.take()?;
        state.ended = Some(permit.id());
        let open = state.open.take();
        drop(state);
        if let Some(place) = open {
            blocks::close(place);
        }
        Some(permit)
    }

    fn id(&self) -> Option<PermitId> {
        let state = self.state();
        state.permit.as_ref().map(paceline::Permit::id).or_else(|| state.ended.clone())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let place = self.state().open.take();
        if let Some(place) = place {
            blocks::close(place);
        }
    }
}

impl Permit {
    pub(crate) fn new(permit: paceline::Permit, seat: Arc<Seat>, terms: &Terms, py: Python<'_>) -> Self {
        if let Some(lease) = terms.lease {
            drop(permit.renew(lease));
        }
        let (waited, via) = (permit.waited(), permit.granted_via());
        let state = State { permit: Some(permit), ended: None, open: None };
        Self {
            held: Arc::new(Held { seat, state: Mutex::new(state) }),
            on_error: terms.on_error.as_ref().map(|settle| settle.clone_ref(py)),
            waited,
            via,
            adopted: AtomicBool::new(false),
        }
    }

    /// Ends it with a usage that was read.
    fn end(&self, py: Python<'_>, used: &Amounts, strict: bool) -> PyResult<Reply> {
        let Some(permit) = self.held.take() else { return self.over(py, strict) };
        self.held.seat.learn(used);
        let reply = Reply::settled(permit.settle(used.usage()));
        logging::deliver(py);
        Ok(reply)
    }

    /// Says that it has ended before: an answer that was paid for is not lost to that.
    fn over(&self, py: Python<'_>, strict: bool) -> PyResult<Reply> {
        let id = self.id();
        if strict {
            return Err(over(py, &id));
        }
        // A permit that a wrapped call took over was settled by that call.
        if self.adopted.load(Ordering::Acquire) {
            return Ok(Reply::nothing());
        }
        py.import("paceline._reading")?.call_method1("settled_before", (id, self.resource()))?;
        Ok(Reply::nothing())
    }

    /// Leaves its block: what was not settled counts as its caller said, or as reserved.
    pub(crate) fn leave(&self, py: Python<'_>, error: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let error = error.filter(|error| !error.is_none());
        let open = self.held.state().permit.is_some();
        if !open {
            return Ok(());
        }
        match (error, &self.on_error) {
            (Some(error), Some(said)) => {
                let reading = py.import("paceline._reading")?;
                let said = reading.call_method1("on_error", (said.bind(py), error))?;
                if said.is_none() {
                    self.give_back(py)?;
                } else {
                    self.end(py, &read(py, Some(&said), None, false)?, false)?;
                }
            }
            (Some(_), None) => {
                self.end(py, &Amounts::default(), false)?;
            }
            // The library says once for each resource that a permit was dropped without being settled.
            (None, _) => {
                drop(self.held.take());
                logging::deliver(py);
            }
        }
        Ok(())
    }

    /// Notes that its block is open, so that its lease is renewed until it is left.
    pub(crate) fn enter(&self) {
        let place = blocks::open(&self.held);
        let before = self.held.state().open.replace(place);
        if let Some(before) = before {
            blocks::close(before);
        }
    }
}

/// Reads what a call used: nothing, an amount of tokens, a mapping, or the response of an SDK.
pub(crate) fn read(
    py: Python<'_>,
    usage: Option<&Bound<'_, PyAny>>,
    named: Option<&Bound<'_, PyDict>>,
    strict: bool,
) -> PyResult<Amounts> {
    let mut used = Amounts::default();
    if let Some(usage) = usage.filter(|usage| !usage.is_none()) {
        if usage.is_instance_of::<PyInt>() && !usage.is_instance_of::<PyBool>() {
            used.set("tokens", usage)?;
        } else {
            let read = py.import("paceline._reading")?.call_method1("usage_of", (usage, strict))?;
            if !read.is_none() {
                used.extend(read.cast::<PyDict>()?)?;
            }
        }
    }
    if let Some(named) = named {
        used.extend(named)?;
    }
    Ok(used)
}

#[pymethods]
impl Permit {
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.on_error.as_ref().map_or(Ok(()), |said| visit.call(said))
    }

    /// Ends the permit: what it reserved is replaced by what the call used, and the difference goes back or is charged.
    #[pyo3(signature = (usage=None, /, *, strict=false, **amounts))]
    fn settle(
        &self,
        py: Python<'_>,
        usage: Option<&Bound<'_, PyAny>>,
        strict: bool,
        amounts: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Reply> {
        let used = read(py, usage, amounts, strict)?;
        self.end(py, &used, strict)
    }

    /// Ends the permit of a call that never left: everything goes back, as far as the limits allow.
    fn give_back(&self, py: Python<'_>) -> PyResult<Reply> {
        let Some(permit) = self.held.take() else { return self.over(py, false) };
        let reply = Reply::settled(permit.give_back());
        logging::deliver(py);
        Ok(reply)
    }

    /// Lowers or raises what the permit reserves; what is not named stays. It never waits.
    #[pyo3(signature = (**amounts))]
    fn amend(&self, py: Python<'_>, amounts: Option<&Bound<'_, PyDict>>) -> PyResult<Reply> {
        let demand = read(py, None, amounts, false)?.demand();
        let reply = self.held.state().permit.as_ref().map(|permit| permit.amend(&demand));
        match reply {
            Some(reply) => Ok(Reply::settled(reply)),
            None => self.over(py, false),
        }
    }

    /// Lets the permit live for this many seconds from now on.
    fn renew(&self, py: Python<'_>, seconds: &Bound<'_, PyAny>) -> PyResult<Reply> {
        let lease = amounts::seconds("seconds", Some(seconds))?.unwrap_or(Duration::MAX);
        let reply = self.held.state().permit.as_ref().map(|permit| permit.renew(lease));
        reply.map_or_else(|| self.over(py, false), |reply| Ok(Reply::done(reply)))
    }

    /// Keeps the permit alive until it ends, however long that is: for streams and blocks of one's own.
    fn keep_alive(&self) {
        self.enter();
    }

    /// Lets go of the permit without ending it, and returns its id: any process settles it by that.
    fn detach(&self, py: Python<'_>) -> PyResult<String> {
        match self.held.take() {
            Some(permit) => Ok(permit.detach().to_string()),
            None => Err(over(py, &self.id())),
        }
    }

    /// Ends the permit as spent, and asks for another of the same demand, in the same lane.
    fn retry(&self, py: Python<'_>) -> PyResult<Acquire> {
        let Some(permit) = self.held.take() else {
            return Err(over(py, &self.id()));
        };
        let on_error = self.on_error.as_ref().map(|settle| settle.clone_ref(py));
        let terms = Terms { on_error, ..Terms::default() };
        Ok(Acquire::one(permit.retry(), Arc::clone(&self.held.seat), terms))
    }

    /// Takes the permit for the first call under its block: true once, where this limiter granted it.
    fn adopt(&self, limiter: &crate::limiter::Limiter) -> bool {
        limiter.owns(&self.held.seat)
            && self.held.state().permit.is_some()
            && !self.adopted.swap(true, Ordering::AcqRel)
    }

    /// The permit's id, by which any process can settle it.
    #[getter]
    fn id(&self) -> String {
        self.held.id().map(|id| id.to_string()).unwrap_or_default()
    }

    /// The resource that it is for.
    #[getter]
    fn resource(&self) -> &str {
        self.held.seat.resource.name()
    }

    /// How long its caller waited for it, in seconds.
    #[getter]
    fn waited(&self) -> f64 {
        self.waited.as_secs_f64()
    }

    /// The way by which it came: ``ledger``, ``unlimited``, ``off``, ``allowed`` or ``local``.
    #[getter]
    fn granted_via(&self) -> &'static str {
        match self.via {
            GrantedVia::Ledger => "ledger",
            GrantedVia::Unlimited => "unlimited",
            GrantedVia::Off => "off",
            GrantedVia::Allowed => "allowed",
            GrantedVia::Local => "local",
            _ => "unknown",
        }
    }

    /// Whether it has ended.
    #[getter]
    fn settled(&self) -> bool {
        self.held.state().permit.is_none()
    }

    fn __enter__(slf: Bound<'_, Self>) -> PyResult<Bound<'_, Self>> {
        if slf.get().settled() {
            return Err(PyRuntimeError::new_err("this permit has ended: acquire another"));
        }
        slf.get().enter();
        Ok(slf)
    }

    #[pyo3(signature = (kind=None, error=None, traceback=None))]
    fn __exit__(
        &self,
        py: Python<'_>,
        kind: Option<Bound<'_, PyAny>>,
        error: Option<Bound<'_, PyAny>>,
        traceback: Option<Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let _ = (kind, traceback);
        self.leave(py, error.as_ref())
    }

    fn __aenter__(slf: Bound<'_, Self>) -> PyResult<Ready> {
        Ok(Ready::with(Self::__enter__(slf)?.into_any().unbind()))
    }

    #[pyo3(signature = (kind=None, error=None, traceback=None))]
    fn __aexit__(
        &self,
        py: Python<'_>,
        kind: Option<Bound<'_, PyAny>>,
        error: Option<Bound<'_, PyAny>>,
        traceback: Option<Bound<'_, PyAny>>,
    ) -> PyResult<Ready> {
        self.__exit__(py, kind, error, traceback)?;
        Ok(Ready::nothing())
    }

    fn __repr__(&self) -> String {
        let ended = if self.settled() { ", ended" } else { "" };
        format!("<paceline.Permit {} for {}{ended}>", self.id(), self.resource())
    }
}
