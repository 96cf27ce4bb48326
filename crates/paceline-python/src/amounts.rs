//! Reads what Python callers say: amounts, seconds, and which metric a name means.

use std::time::Duration;

use paceline::core::MAX_AMOUNT;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyString};

use paceline::{Demand, Usage};

/// What may be said of a call: the known metrics by name, and the rest outright.
#[derive(Default)]
pub(crate) struct Amounts {
    pub(crate) tokens: Option<u64>,
    pub(crate) input: Option<u64>,
    pub(crate) cached_input: Option<u64>,
    pub(crate) cache_write: Option<u64>,
    pub(crate) max_output: Option<u64>,
    pub(crate) output: Option<u64>,
    pub(crate) expected_output: Option<u64>,
    pub(crate) reasoning: Option<u64>,
    pub(crate) requests: Option<u64>,
    pub(crate) own: Vec<(String, u64)>,
}

type Said<'a, 'py> = Option<&'a Bound<'py, PyAny>>;

/// Reads an amount: a whole number from 0 to 2^50.
pub(crate) fn amount(name: &str, value: &Bound<'_, PyAny>) -> PyResult<u64> {
    if value.is_exact_instance_of::<PyInt>()
        && let Ok(amount) = value.extract::<u64>()
        && amount <= MAX_AMOUNT
    {
        return Ok(amount);
    }
    other_amount(name, value)
}

#[cold]
fn other_amount(name: &str, value: &Bound<'_, PyAny>) -> PyResult<u64> {
    let wrong = || {
        let value = value.repr().map_or_else(|_| "that".into(), |shown| shown.to_string());
        PyValueError::new_err(format!("{name} is {value}; an amount is a whole number from 0 to 2^50"))
    };
    if value.is_instance_of::<PyBool>() {
        return Err(wrong());
    }
    if let Ok(float) = value.cast::<PyFloat>() {
        let float = float.value();
        #[expect(clippy::cast_precision_loss, reason = "2^50 is a double")]
        let most = MAX_AMOUNT as f64;
        if float.fract() != 0.0 || !(0.0..=most).contains(&float) {
            return Err(wrong());
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it was checked")]
        return Ok(float as u64);
    }
    // Numbers of other libraries, such as NumPy's, say that they stand for an integer.
    match value.call_method0("__index__").and_then(|index| index.extract::<u64>()) {
        Ok(amount) if amount <= MAX_AMOUNT => Ok(amount),
        _ => Err(wrong()),
    }
}

/// Reads a time in seconds; `None` and infinity mean that there is no bound.
pub(crate) fn seconds(name: &str, value: Said<'_, '_>) -> PyResult<Option<Duration>> {
    let Some(value) = value.filter(|value| !value.is_none()) else { return Ok(None) };
    let wrong = || {
        let value = value.repr().map_or_else(|_| "that".into(), |shown| shown.to_string());
        PyValueError::new_err(format!("{name} is {value}; it is a number of seconds from 0, or None"))
    };
    if value.is_instance_of::<PyBool>() {
        return Err(wrong());
    }
    let number = match value.extract::<f64>() {
        Ok(number) => number,
        Err(_) => value.call_method0("total_seconds").and_then(|all| all.extract()).map_err(|_| wrong())?,
    };
    if number == f64::INFINITY {
        return Ok(None);
    }
    Duration::try_from_secs_f64(number).map(Some).map_err(|_| wrong())
}

impl Amounts {
    /// Takes over what was said under a name.
    pub(crate) fn set(&mut self, name: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
        if value.is_none() {
            return Ok(());
        }
        let amount = amount(name, value)?;
        let slot = match name {
            "tokens" => &mut self.tokens,
            "input_tokens" => &mut self.input,
            "cached_input_tokens" => &mut self.cached_input,
            "cache_write_tokens" => &mut self.cache_write,
            "max_output_tokens" => &mut self.max_output,
            "output_tokens" => &mut self.output,
            "expected_output_tokens" => &mut self.expected_output,
            "reasoning_tokens" => &mut self.reasoning,
            "requests" => &mut self.requests,
            "concurrency" => {
                self.own.push(("concurrent_requests".to_owned(), amount));
                return Ok(());
            }
            own => {
                self.own.push((own.to_owned(), amount));
                return Ok(());
            }
        };
        *slot = Some(amount);
        Ok(())
    }

    /// Takes over a mapping of names to amounts.
    pub(crate) fn extend(&mut self, said: &Bound<'_, PyDict>) -> PyResult<()> {
        for (name, value) in said.iter() {
            let name =
                name.cast::<PyString>().map_err(|_| PyTypeError::new_err("metrics are named by strings"))?;
            self.set(name.to_cow()?.as_ref(), &value)?;
        }
        Ok(())
    }

    /// Takes over what is said elsewhere and not here.
    pub(crate) fn fill(&mut self, other: Self) {
        let Self { tokens, input, cached_input, cache_write, max_output, output, .. } = other;
        if self.names_tokens() {
            self.expected_output = self.expected_output.or(other.expected_output);
        } else {
            (self.tokens, self.expected_output) = (tokens, other.expected_output);
        }
        if self.tokens.is_none() {
            self.input = self.input.or(input);
            self.max_output = self.max_output.or(self.output).or(max_output).or(output);
        }
        self.cached_input = self.cached_input.or(cached_input);
        self.cache_write = self.cache_write.or(cache_write);
        self.requests = self.requests.or(other.requests);
        for (name, amount) in other.own {
            if !self.own.iter().any(|(own, _)| *own == name) {
                self.own.push((name, amount));
            }
        }
    }

    /// Whether anything is said of tokens.
    pub(crate) fn names_tokens(&self) -> bool {
        let said = [self.tokens, self.input, self.max_output, self.output, self.expected_output];
        said.iter().any(Option::is_some) || self.own.iter().any(|(name, _)| name.contains("token"))
    }

    pub(crate) fn demand(&self) -> Demand {
        let mut demand = Demand::new();
        if let Some(tokens) = self.tokens {
            demand = Demand::tokens(tokens);
        }
        if let Some(tokens) = self.input {
            demand = demand.input_tokens(tokens);
        }
        if let Some(tokens) = self.cached_input {
            demand = demand.cached_input_tokens(tokens);
        }
        if let Some(tokens) = self.max_output.or(self.output) {
            demand = demand.max_output_tokens(tokens);
        }
        if let Some(tokens) = self.expected_output {
            demand = demand.expected_output_tokens(tokens);
        }
        if let Some(requests) = self.requests {
            demand = demand.requests(requests);
        }
        self.own.iter().fold(demand, |demand, (name, amount)| demand.metric(name, *amount))
    }

    pub(crate) fn usage(&self) -> Usage {
        let mut usage = Usage::new();
        if let Some(tokens) = self.tokens {
            usage = Usage::tokens(tokens);
        }
        if let Some(tokens) = self.input {
            usage = usage.input_tokens(tokens);
        }
        if let Some(tokens) = self.cached_input {
            usage = usage.cached_input_tokens(tokens);
        }
        if let Some(tokens) = self.cache_write {
            usage = usage.cache_write_tokens(tokens);
        }
        if let Some(tokens) = self.output.or(self.max_output) {
            usage = usage.output_tokens(tokens);
        }
        if let Some(tokens) = self.reasoning {
            usage = usage.reasoning_tokens(tokens);
        }
        if let Some(requests) = self.requests {
            usage = usage.metric("requests", requests);
        }
        self.own.iter().fold(usage, |usage, (name, amount)| usage.metric(name, *amount))
    }
}
