//! What people look at, as Python's own dictionaries and lists.

use paceline::core::{Binding, LaneView, LimitView, Metric, ResourceView};
use paceline::{AccountSnapshot, Name, NearLimit, Outlook, PermitInfo};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

type Dict<'py> = PyResult<Bound<'py, PyDict>>;

pub(crate) fn accounts(py: Python<'_>, accounts: &[AccountSnapshot]) -> PyResult<Py<PyAny>> {
    let all = PyDict::new(py);
    for account in accounts {
        let (limits, resources) = (PyDict::new(py), PyDict::new(py));
        for view in &account.ledger.limits {
            limits.set_item(&*view.name, limit(py, view)?)?;
        }
        for view in &account.ledger.resources {
            resources.set_item(&*view.name, resource(py, view)?)?;
        }
        let one = PyDict::new(py);
        one.set_item("limits", limits)?;
        one.set_item("resources", resources)?;
        all.set_item(&*account.name, one)?;
    }
    Ok(all.into_any().unbind())
}

fn limit<'py>(py: Python<'py>, view: &LimitView) -> Dict<'py> {
    let dict = PyDict::new(py);
    dict.set_item("metric", &*view.metric)?;
    dict.set_item("amount", view.amount)?;
    dict.set_item("window", as_seconds(view.window))?;
    dict.set_item("most", view.most)?;
    dict.set_item("used", view.used)?;
    dict.set_item("held", view.held)?;
    dict.set_item("left", view.left)?;
    dict.set_item("full_in", as_seconds(view.full_in))?;
    dict.set_item("paused_for", view.paused_for.map(as_seconds))?;
    dict.set_item("shadow", view.shadow)?;
    Ok(dict)
}

fn resource<'py>(py: Python<'py>, view: &ResourceView) -> Dict<'py> {
    let dict = PyDict::new(py);
    dict.set_item("limits", names(py, &view.limits)?)?;
    dict.set_item("waiting", view.waiting)?;
    dict.set_item("in_flight", view.in_flight)?;
    dict.set_item("paused_for", view.paused_for.map(as_seconds))?;
    let lanes = PyDict::new(py);
    for view in &view.lanes {
        lanes.set_item(view.name.as_deref(), lane(py, view)?)?;
    }
    dict.set_item("lanes", lanes)?;
    Ok(dict)
}

fn lane<'py>(py: Python<'py>, view: &LaneView) -> Dict<'py> {
    let dict = PyDict::new(py);
    dict.set_item("waiting", view.waiting)?;
    dict.set_item("oldest", view.oldest.map(as_seconds))?;
    dict.set_item("granted", view.granted)?;
    let demand = PyDict::new(py);
    for (metric, amount) in view.demand.iter() {
        if let Some(name) = Metric::KNOWN.get(metric.index()) {
            demand.set_item(*name, amount)?;
        }
    }
    dict.set_item("demand", demand)?;
    Ok(dict)
}

pub(crate) fn permits(py: Python<'_>, permits: &[PermitInfo]) -> PyResult<Py<PyAny>> {
    let all = PyList::empty(py);
    for permit in permits {
        let dict = PyDict::new(py);
        dict.set_item("id", permit.id.to_string())?;
        dict.set_item("resource", &*permit.resource)?;
        dict.set_item("lane", permit.lane.as_deref())?;
        dict.set_item("age", permit.age.as_secs_f64())?;
        dict.set_item("reserved", by_metric(py, &permit.reserved)?)?;
        all.append(dict)?;
    }
    Ok(all.into_any().unbind())
}

pub(crate) fn near(py: Python<'_>, near: &[NearLimit]) -> PyResult<Py<PyAny>> {
    let all = PyList::empty(py);
    for limit in near {
        let dict = PyDict::new(py);
        near_limit(limit, &dict)?;
        all.append(dict)?;
    }
    Ok(all.into_any().unbind())
}

/// Sets what is known of a limit that is nearly used up.
pub(crate) fn near_limit(near: &NearLimit, dict: &Bound<'_, PyDict>) -> PyResult<()> {
    dict.set_item("limit", &*near.limit)?;
    dict.set_item("metric", &*near.metric)?;
    dict.set_item("used", near.used)?;
    dict.set_item("most", near.most)?;
    dict.set_item("warn_at", f64::from(near.warn_at.as_hundredths()) / 10_000.0)
}

pub(crate) fn outlook(py: Python<'_>, resource: &str, outlook: &Outlook) -> PyResult<Py<PyAny>> {
    let said = &outlook.explanation;
    let dict = PyDict::new(py);
    dict.set_item("resource", resource)?;
    dict.set_item("goes", said.goes)?;
    dict.set_item("expected_wait", outlook.expected_wait.map(|wait| wait.as_secs_f64()))?;
    dict.set_item("ahead", said.ahead)?;
    dict.set_item("head_waited", said.head_waited.map(as_seconds))?;
    dict.set_item("paused_for", said.paused_for.map(as_seconds))?;
    let limits = PyList::empty(py);
    for binding in &said.limits {
        limits.append(bound(py, binding)?)?;
    }
    dict.set_item("limits", limits)?;
    Ok(dict.into_any().unbind())
}

fn bound<'py>(py: Python<'py>, binding: &Binding) -> Dict<'py> {
    let dict = PyDict::new(py);
    dict.set_item("limit", &*binding.limit)?;
    dict.set_item("wanted", binding.wanted)?;
    dict.set_item("left", binding.left)?;
    dict.set_item("set_aside", binding.set_aside)?;
    dict.set_item("most", binding.most)?;
    dict.set_item("ready_in", as_seconds(binding.ready_in))?;
    Ok(dict)
}

pub(crate) fn by_metric<'py>(py: Python<'py>, amounts: &[(Name, u64)]) -> Dict<'py> {
    let dict = PyDict::new(py);
    for (metric, amount) in amounts {
        dict.set_item(&**metric, amount)?;
    }
    Ok(dict)
}

fn names<'py>(py: Python<'py>, names: &[Name]) -> PyResult<Bound<'py, PyList>> {
    PyList::new(py, names.iter().map(|name| &**name))
}

/// Milliseconds as seconds; what never comes is infinitely far.
fn as_seconds(millis: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "times are far below 2^53 ms")]
    if millis == paceline::core::NEVER { f64::INFINITY } else { millis as f64 / 1_000.0 }
}
