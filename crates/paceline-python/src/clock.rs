//! A clock that is moved by hand, so that tests need not wait.

use std::time::Duration;

use paceline::Clock;
use pyo3::prelude::*;

use crate::amounts::seconds;

/// A clock that stands still until it is told to advance: for tests of code that waits for limits.
#[pyclass(frozen, module = "paceline._native")]
pub(crate) struct ManualClock(paceline::ManualClock);

impl ManualClock {
    pub(crate) fn clock(&self) -> Clock {
        Clock::from(self.0.clone())
    }
}

#[pymethods]
impl ManualClock {
    #[new]
    fn new() -> Self {
        Self(paceline::ManualClock::at(1_800_000_000_000))
    }

    /// Moves the clock on by so many seconds; what is due meanwhile happens before it returns.
    #[pyo3(signature = (by, /))]
    fn advance(&self, py: Python<'_>, by: &Bound<'_, PyAny>) -> PyResult<()> {
        let by = seconds("by", Some(by))?.unwrap_or(Duration::ZERO);
        py.detach(|| self.0.advance(by));
        crate::logging::deliver(py);
        Ok(())
    }
}
