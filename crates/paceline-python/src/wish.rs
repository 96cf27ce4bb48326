//! What a call asks for, read off its keywords and off the body of a request.

use std::time::Duration;

use paceline::Pause;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::acquire::Terms;
use crate::amounts::{Amounts, seconds};
use crate::seat::Seat;

/// A keyword that may be left out.
pub(crate) type Said<'a, 'py> = Option<&'a Bound<'py, PyAny>>;

/// What a call asks for, as its caller said it.
#[derive(Default)]
pub(crate) struct Wish {
    pub(crate) amounts: Amounts,
    pub(crate) lane: Option<String>,
    pub(crate) head_start: Option<Duration>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) max_expected_wait: Option<Duration>,
}

impl Wish {
    /// Puts on a request what was said beside the demand.
    pub(crate) fn on(&self, acquire: paceline::Acquire) -> paceline::Acquire {
        let mut acquire = acquire;
        if let Some(lane) = &self.lane {
            acquire = acquire.lane(lane.as_str());
        }
        if let Some(head_start) = self.head_start {
            acquire = acquire.head_start(head_start);
        }
        if let Some(timeout) = self.timeout {
            acquire = acquire.timeout(timeout);
        }
        if let Some(most) = self.max_expected_wait {
            acquire = acquire.max_expected_wait(most);
        }
        acquire
    }
}

/// Completes what a call said of its tokens: from what others used, where it said nothing.
pub(crate) fn complete(seat: &Seat, amounts: &mut Amounts) -> PyResult<()> {
    if !seat.limits_tokens || amounts.names_tokens() {
        return Ok(());
    }
    if let Some(estimate) = seat.estimate() {
        amounts.fill(estimate);
        return Ok(());
    }
    Err(PyValueError::new_err(format!(
        "{} limits tokens, and this call names none: pass input_tokens= and max_output_tokens=, or tokens=, or \
         request= the body of the call; once 20 calls were settled with their usage, theirs is the estimate",
        seat.resource.name()
    )))
}

/// Reads what is said by keywords where speed is not all: the resource is `Some` where one is meant.
pub(crate) fn wish(
    py: Python<'_>,
    said: Option<&Bound<'_, PyDict>>,
) -> PyResult<(Wish, Terms, Option<String>)> {
    let (mut wish, mut terms, mut model) = (Wish::default(), Terms::default(), None);
    let Some(said) = said else { return Ok((wish, terms, model)) };
    for (name, value) in said.iter() {
        let name = name.cast::<PyString>()?.to_cow()?;
        match name.as_ref() {
            "lane" => wish.lane = value.extract()?,
            "head_start" => wish.head_start = seconds("head_start", Some(&value))?,
            "timeout" => wish.timeout = seconds("timeout", Some(&value))?,
            "max_expected_wait" => wish.max_expected_wait = seconds("max_expected_wait", Some(&value))?,
            "lease" => terms.lease = lease(Some(&value))?,
            "on_error" => terms.on_error = Some(value.unbind()).filter(|said| !said.is_none(py)),
            "request" => {}
            own => wish.amounts.set(own, &value)?,
        }
    }
    if let Some(body) = said.get_item("request")?.filter(|body| !body.is_none()) {
        model = request(py, &body, &mut wish.amounts)?;
    }
    Ok((wish, terms, model))
}

/// Reads the body of a call: its amounts where they are not said, and its model.
pub(crate) fn request(
    py: Python<'_>,
    body: &Bound<'_, PyAny>,
    amounts: &mut Amounts,
) -> PyResult<Option<String>> {
    let reading = py.import("paceline._reading")?;
    let (model, demand): (Option<String>, Bound<'_, PyDict>) =
        reading.call_method1("demand_of", (body,))?.extract()?;
    let mut read = Amounts::default();
    read.extend(&demand)?;
    amounts.fill(read);
    Ok(model)
}

/// Reads how long a permit lives.
pub(crate) fn lease(lease: Said<'_, '_>) -> PyResult<Option<Duration>> {
    match seconds("lease", lease)? {
        Some(Duration::ZERO) => {
            Err(PyValueError::new_err("lease is 0; a permit lives for longer than no time"))
        }
        lease => Ok(lease),
    }
}

/// Reads how callers are held up.
pub(crate) fn pause(lasting: Said<'_, '_>, refuse: bool) -> PyResult<Pause> {
    let pause = seconds("seconds", lasting)?.map_or_else(Pause::until_resumed, Pause::lasting);
    Ok(if refuse { pause.refusing() } else { pause })
}
