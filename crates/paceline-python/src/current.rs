//! The permit whose block is open, for wrapped clients under it: noted in a context variable once one is there.

use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use crate::permit::Permit;

static KEPT: AtomicBool = AtomicBool::new(false);
static VARIABLE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// Notes open blocks in this context variable from now on.
#[pyfunction]
pub(crate) fn keep_current(py: Python<'_>, variable: Py<PyAny>) {
    let _ = VARIABLE.set(py, variable);
    KEPT.store(true, Ordering::Release);
}

pub(crate) fn enter(py: Python<'_>, permit: &Py<Permit>) {
    if KEPT.load(Ordering::Acquire)
        && let Some(variable) = VARIABLE.get(py)
        && let Ok(outer) = variable.call_method1(py, "get", (py.None(),))
        && variable.call_method1(py, "set", ((permit, outer),)).is_err()
    {
        KEPT.store(false, Ordering::Release);
    }
}

/// Restores the outer block, unless this one is not the innermost of the context: a generator may be left in another.
pub(crate) fn leave(py: Python<'_>, permit: &Py<Permit>) {
    if !KEPT.load(Ordering::Acquire) {
        return;
    }
    let Some(variable) = VARIABLE.get(py) else { return };
    let Ok(noted) = variable.call_method1(py, "get", (py.None(),)) else { return };
    if let Ok((inner, outer)) = noted.extract::<(Py<PyAny>, Py<PyAny>)>(py)
        && inner.is(permit)
    {
        let _ = variable.call_method1(py, "set", (outer,));
    }
}
