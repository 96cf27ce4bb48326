//! Makes Python exceptions of what the library says no with.

use std::time::Duration;

use paceline::{Error, Shortage};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyString};

/// Returns the exception that stands for an error.
pub(crate) fn exception(py: Python<'_>, error: &Error) -> PyErr {
    raise(py, error).unwrap_or_else(|failed| failed)
}

/// Returns the exception of a permit that has ended.
pub(crate) fn over(py: Python<'_>, permit: &str) -> PyErr {
    not_a_permit(py, permit, &format!("permit {permit} has ended, or never was"))
}

/// Returns the exception of what stands for no permit.
pub(crate) fn not_a_permit(py: Python<'_>, permit: &str, message: &str) -> PyErr {
    let facts = PyDict::new(py);
    let made = facts.set_item("permit", permit).and_then(|()| make(py, "PermitOver", message, &facts));
    made.unwrap_or_else(|failed| failed)
}

fn raise(py: Python<'_>, error: &Error) -> PyResult<PyErr> {
    let facts = PyDict::new(py);
    let class = match error {
        Error::Busy(shortage) => busy(&facts, "Busy", shortage)?,
        Error::AcquireTimeout(shortage) | Error::TooLate(shortage) => {
            busy(&facts, "AcquireTimeout", shortage)?
        }
        Error::ExpectedWait { expected, most, shortage } => {
            facts.set_item("expected", expected.as_secs_f64())?;
            facts.set_item("most", most.as_secs_f64())?;
            busy(&facts, "ExpectedWaitTooLong", shortage)?
        }
        Error::LineFull { resource, waiting, most, retry_after } => {
            facts.set_item("resource", &**resource)?;
            facts.set_item("waiting", waiting)?;
            facts.set_item("most", most)?;
            facts.set_item("ahead", waiting)?;
            facts.set_item("retry_after", retry_after.as_secs_f64())?;
            "LineFull"
        }
        Error::Paused { resource, ends_in } => {
            facts.set_item("resource", &**resource)?;
            facts.set_item("retry_after", ends_in.map_or(f64::INFINITY, |left| left.as_secs_f64()))?;
            "Paused"
        }
        other => rare(&facts, other)?,
    };
    make(py, class, &error.to_string(), &facts)
}

fn rare(facts: &Bound<'_, PyDict>, error: &Error) -> PyResult<&'static str> {
    Ok(match error {
        Error::Impossible { resource, limit, wanted, most } => {
            facts.set_item("resource", &**resource)?;
            facts.set_item("limit", &**limit)?;
            facts.set_item("wanted", wanted)?;
            facts.set_item("most", most)?;
            "Impossible"
        }
        Error::UnknownResource { name, .. } | Error::UnknownLimit { name, .. } => {
            facts.set_item("name", name)?;
            "UnknownResource"
        }
        Error::UnknownLane { lane, .. } => {
            facts.set_item("name", &**lane)?;
            "UnknownResource"
        }
        Error::Purged { resource } => {
            facts.set_item("resource", &**resource)?;
            "LinePurged"
        }
        Error::PermitOver(id) => {
            facts.set_item("permit", id.to_string())?;
            "PermitOver"
        }
        Error::StoreUnavailable { url, .. } => {
            facts.set_item("store", url)?;
            "StoreUnavailable"
        }
        Error::Closed => "LimiterClosed",
        Error::Forked => "ForkedStore",
        Error::StoreUrl { .. }
        | Error::StoreConflict { .. }
        | Error::UnknownMode(_)
        | Error::Config(_)
        | Error::Spec(_) => "ConfigError",
        _ => "PacelineError",
    })
}

fn busy(facts: &Bound<'_, PyDict>, class: &'static str, shortage: &Shortage) -> PyResult<&'static str> {
    facts.set_item("resource", &*shortage.resource)?;
    facts.set_item("limit", shortage.limit.as_deref())?;
    facts.set_item("wanted", shortage.wanted)?;
    facts.set_item("left", shortage.left)?;
    facts.set_item("ahead", shortage.ahead)?;
    facts.set_item("head_waited", shortage.head_waited.map(|waited| waited.as_secs_f64()))?;
    facts.set_item("waited", shortage.waited.as_secs_f64())?;
    facts.set_item("retry_after", shortage.retry_after.max(Duration::ZERO).as_secs_f64())?;
    Ok(class)
}

fn make(py: Python<'_>, class: &str, message: &str, facts: &Bound<'_, PyDict>) -> PyResult<PyErr> {
    static ERRORS: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
    let errors = ERRORS.get_or_try_init(py, || py.import("paceline._errors").map(Bound::unbind))?;
    let error = errors.bind(py).getattr(class)?.call((PyString::new(py, message),), Some(facts))?;
    Ok(PyErr::from_value(error))
}
