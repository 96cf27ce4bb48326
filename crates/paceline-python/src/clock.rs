//! A clock that is moved by hand, so that tests need not wait.

use std::time::Duration;

use paceline::Clock;
use pyo3::exceptions::PyValueError;
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

fn millis(name: &str, time: &Bound<'_, PyAny>) -> PyResult<u64> {
    let time = seconds(name, Some(time))?.unwrap_or(Duration::ZERO);
    Ok(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

#[pymethods]
impl ManualClock {
    #[new]
    #[pyo3(signature = (at=1_800_000_000.0, /))]
    fn new(at: f64) -> PyResult<Self> {
        let at = Duration::try_from_secs_f64(at)
            .map_err(|_| PyValueError::new_err(format!("at is {at}; it is a number of seconds from 0")))?;
        Ok(Self(paceline::ManualClock::at(u64::try_from(at.as_millis()).unwrap_or(u64::MAX))))
    }

    /// Jumps to a time, back or forward, in seconds since the Unix epoch, as a clock does that was set wrong.
    #[pyo3(signature = (at, /))]
    fn jump_to(&self, py: Python<'_>, at: &Bound<'_, PyAny>) -> PyResult<()> {
        let at = millis("at", at)?;
        py.detach(|| self.0.jump_to(at));
        crate::logging::deliver(py);
        Ok(())
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
