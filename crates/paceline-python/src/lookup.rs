//! How the names that callers use find their resource, each looked up once under a configuration.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, PoisonError};

use paceline::core::Metric;
use paceline::{Mode, Resource};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::amounts::Amounts;
use crate::errors::exception;
use crate::limiter::Limiter;
use crate::seat::Seat;
use crate::wish::Said;

/// The resources that were looked up under a configuration, and what its limits count.
#[derive(Default)]
pub(crate) struct Seats {
    generation: u64,
    metrics: BTreeSet<String>,
    by_name: HashMap<String, Arc<Seat>>,
}

impl Limiter {
    /// Whether it was this limiter that looked a resource up.
    pub(crate) fn owns(&self, seat: &Seat) -> bool {
        seat.owner == self.id
    }

    pub(crate) fn seat(&self, py: Python<'_>, name: &str) -> PyResult<Arc<Seat>> {
        let generation = self.core.generation();
        {
            let seats = self.seats.read().unwrap_or_else(PoisonError::into_inner);
            if seats.generation == generation
                && let Some(seat) = seats.by_name.get(name)
            {
                return Ok(Arc::clone(seat));
            }
        }
        let resource = self.resource(py, name)?;
        let seat = Arc::new(Seat::new(resource, self.id, self.lease));
        let mut seats = self.seats.write().unwrap_or_else(PoisonError::into_inner);
        if seats.generation != generation || seats.metrics.is_empty() {
            *seats = Seats { generation, metrics: self.metrics(), by_name: HashMap::new() };
        }
        seats.metrics.extend(seat.resource.metrics().iter().map(ToString::to_string));
        // A name that any caller may make up is not kept for ever.
        if seats.by_name.len() < 10_000 {
            seats.by_name.insert(name.to_owned(), Arc::clone(&seat));
        }
        Ok(seat)
    }

    /// Returns what any limit counts, and what every ledger knows.
    fn metrics(&self) -> BTreeSet<String> {
        let resources = self.core.resources();
        let counted = resources.iter().filter_map(|name| self.core.resource(name).ok());
        let counted = counted.flat_map(|resource| resource.metrics()).map(|name| name.to_string());
        counted.chain(Metric::KNOWN.iter().map(|name| (*name).to_owned())).collect()
    }

    /// Refuses a keyword that is no metric of any limit: it would limit nothing, and is a slip as a rule.
    pub(crate) fn check(&self, amounts: &Amounts) -> PyResult<()> {
        if amounts.own.is_empty() || self.core.mode() == Mode::Off {
            return Ok(());
        }
        let seats = self.seats.read().unwrap_or_else(PoisonError::into_inner);
        let Some((name, _)) = amounts.own.iter().find(|(name, _)| !seats.metrics.contains(name)) else {
            return Ok(());
        };
        let known = seats.metrics.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        Err(PyTypeError::new_err(format!(
            "there is no keyword {name}, and no limit counts such a metric; the metrics are {known}"
        )))
    }

    fn resource(&self, py: Python<'_>, name: &str) -> PyResult<Resource> {
        self.core.resource(name).map_err(|error| exception(py, &error))
    }

    /// Returns the resource that a call names, or the only one.
    pub(crate) fn named(&self, py: Python<'_>, name: Said<'_, '_>) -> PyResult<Arc<Seat>> {
        let Some(name) = name.filter(|name| !name.is_none()) else { return self.only(py) };
        let wrong = |_| PyTypeError::new_err("the resource is named by a string, such as \"openai/gpt-4o\"");
        self.seat(py, name.cast::<PyString>().map_err(wrong)?.to_cow()?.as_ref())
    }

    /// Returns the only resource.
    fn only(&self, py: Python<'_>) -> PyResult<Arc<Seat>> {
        let only = self.only.read().unwrap_or_else(PoisonError::into_inner).clone();
        match only {
            Some(only) => self.seat(py, &only),
            None => Err(PyTypeError::new_err(format!(
                "this limiter knows {} resources: say which one is meant",
                self.core.resources().len()
            ))),
        }
    }

    pub(crate) fn seat_of(
        &self,
        py: Python<'_>,
        name: Said<'_, '_>,
        model: Option<&str>,
    ) -> PyResult<Arc<Seat>> {
        if name.is_none_or(pyo3::types::PyAnyMethods::is_none)
            && let Some(model) = model
        {
            let known = self.resolve(model, None);
            return self.seat(py, known.as_deref().unwrap_or(model));
        }
        self.named(py, name)
    }
}
