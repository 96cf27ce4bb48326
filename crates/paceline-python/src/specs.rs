//! Limits as a ledger knows them, without a provider's profile: for tests that hold Python to the ledger's own rules.

use std::time::Duration;

use paceline::core::{Algorithm, Boundaries, LaneSpec, Lanes, LimitSpec, Member, Name, ResourceSpec};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::clock::ManualClock;
use crate::errors::exception;
use crate::limiter::Limiter;

/// Returns a private limiter of these limits and resources. All times are in milliseconds.
#[pyfunction]
pub(crate) fn limiter_of_specs(
    py: Python<'_>,
    limits: Vec<Bound<'_, PyDict>>,
    resources: Vec<Bound<'_, PyDict>>,
    clock: PyRef<'_, ManualClock>,
) -> PyResult<Limiter> {
    let limits = limits.iter().map(limit).collect::<PyResult<Vec<_>>>()?;
    let resources = resources.iter().map(resource).collect::<PyResult<Vec<_>>>()?;
    let lease = Duration::from_secs(1 << 32);
    let builder = paceline::Limiter::builder().private().lease(lease).clock(clock.clock());
    let built = builder.limits(limits, resources).build();
    Ok(Limiter::over(built.map_err(|error| exception(py, &error))?, lease))
}

fn limit(said: &Bound<'_, PyDict>) -> PyResult<LimitSpec> {
    let text = |key: &str| required(said, key)?.extract::<String>();
    let number = |key: &str| said.get_item(key)?.map_or(Ok(0), |value| value.extract::<u64>());
    let algorithm = match text("kind")?.as_str() {
        "bucket" => Algorithm::TokenBucket { window: number("window")?, burst: number("burst")? },
        "sliding" => {
            let slots = u32::try_from(number("slots")?).unwrap_or(u32::MAX);
            Algorithm::SlidingWindow { window: number("window")?, slots }
        }
        "every" => Algorithm::FixedWindow {
            boundaries: Boundaries::Every { period: number("period")?, phase: number("phase")? },
            margin: number("margin")?,
        },
        "until" => Algorithm::FixedWindow {
            boundaries: Boundaries::At(required(said, "until")?.extract()?),
            margin: number("margin")?,
        },
        "concurrency" => Algorithm::Concurrency,
        other => return Err(PyValueError::new_err(format!("there is no algorithm {other}"))),
    };
    let mut spec = LimitSpec::new(&text("id")?, &text("metric")?, number("amount")?, algorithm);
    spec.transit = number("transit")?;
    if number("shadow")? == 1 {
        spec = spec.shadow();
    }
    if number("until_settled")? == 1 {
        spec = spec.until_settled();
    }
    let members: Vec<(String, String, Vec<String>)> = required(said, "members")?.extract()?;
    for (resource, how, lanes) in members {
        let lanes: Vec<Name> = lanes.iter().map(|lane| lane.as_str().into()).collect();
        let lanes = match how.as_str() {
            "only" => Lanes::Only(lanes),
            "except" => Lanes::Except(lanes),
            _ => Lanes::All,
        };
        spec.members.push(Member { resource: resource.as_str().into(), lanes });
    }
    Ok(spec)
}

fn resource(said: &Bound<'_, PyDict>) -> PyResult<ResourceSpec> {
    let mut spec = ResourceSpec::new(&required(said, "name")?.extract::<String>()?);
    if let Some(line) = said.get_item("line")? {
        spec.line_max = line.extract()?;
    }
    let lanes: Vec<(String, i32, u32, u64)> = required(said, "lanes")?.extract()?;
    for (name, priority, weight, max_head_start) in lanes {
        spec.lanes.push(LaneSpec { name: name.as_str().into(), priority, weight, max_head_start });
    }
    Ok(spec)
}

fn required<'py>(said: &Bound<'py, PyDict>, key: &str) -> PyResult<Bound<'py, PyAny>> {
    said.get_item(key)?.ok_or_else(|| PyValueError::new_err(format!("{key} is missing")))
}
