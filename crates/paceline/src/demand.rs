//! What a call wants, and what it used, as callers say it.

use paceline_core::{Amounts, Ledger, Metric, Name};

use crate::Error;
use crate::provider::{self, Call, Charges, Profile};

/// How much of each metric one call wants.
///
/// One request and one concurrent request unless said otherwise; `tokens` is input and output together unless said
/// otherwise. The resource's profile makes of it what is reserved.
///
/// ```
/// use paceline::Demand;
///
/// let short = Demand::tokens(800);
/// let long = Demand::new().input_tokens(1_200).max_output_tokens(800).metric("usd_micros", 12);
/// # let _ = (short, long);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use]
pub struct Demand {
    call: Call,
    outright: Outright,
}

/// What a call used. What is not said was used as reserved.
///
/// ```
/// use paceline::Usage;
///
/// let usage = Usage::new().input_tokens(1_180).output_tokens(212);
/// # let _ = usage;
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use]
pub struct Usage {
    call: provider::Usage,
    outright: Outright,
}

/// Amounts that no profile changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Outright {
    known: Amounts,
    named: Vec<(Name, u64)>,
}

impl Demand {
    /// Returns the demand of one call of which nothing else is known.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the demand of one call that wants this many tokens in all.
    pub fn tokens(tokens: u64) -> Self {
        Self::new().amount(Metric::TOKENS, tokens)
    }

    /// Says how many tokens the prompt has.
    pub fn input_tokens(mut self, tokens: u64) -> Self {
        self.call.input_tokens = Some(tokens);
        self
    }

    /// Says how many tokens of the prompt are expected to be read from the provider's cache.
    pub fn cached_input_tokens(mut self, tokens: u64) -> Self {
        self.call.cached_input_tokens = Some(tokens);
        self
    }

    /// Says how many tokens the answer may have.
    pub fn max_output_tokens(mut self, tokens: u64) -> Self {
        self.call.max_output_tokens = Some(tokens);
        self
    }

    /// Says how many tokens the answer is expected to have.
    pub fn expected_output_tokens(mut self, tokens: u64) -> Self {
        self.call.expected_output_tokens = Some(tokens);
        self
    }

    /// Says that the demand stands for this many requests.
    pub fn requests(self, requests: u64) -> Self {
        self.amount(Metric::REQUESTS, requests)
    }

    /// Says how much it wants of a metric, whatever the profile would make of it.
    pub fn metric(mut self, metric: &str, amount: u64) -> Self {
        self.outright.set(metric, amount);
        self
    }

    fn amount(mut self, metric: Metric, amount: u64) -> Self {
        self.outright.known.set(metric, amount);
        self
    }

    /// Returns what is reserved on a ledger.
    pub(crate) fn reservation(&self, profile: &Profile, ledger: &mut Ledger) -> Result<Amounts, Error> {
        let charges = profile.reserve(&self.call);
        let mut amounts = self.outright.over(charges, ledger)?;
        for metric in [Metric::REQUESTS, Metric::CONCURRENT_REQUESTS] {
            if amounts.get(metric).is_none() {
                amounts.set(metric, 1);
            }
        }
        Ok(amounts)
    }

    /// Returns what is reserved from now on, where a reservation changes: only what is said.
    pub(crate) fn amendment(&self, profile: &Profile, ledger: &mut Ledger) -> Result<Amounts, Error> {
        if self.call == Call::default() {
            return self.outright.over(Charges::default(), ledger);
        }
        self.outright.over(profile.reserve(&self.call), ledger)
    }
}

impl Usage {
    /// Returns the usage of a call of which nothing is known.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the usage of a call that used this many tokens in all.
    pub fn tokens(tokens: u64) -> Self {
        let mut usage = Self::new();
        usage.outright.known.set(Metric::TOKENS, tokens);
        usage
    }

    /// Says how many tokens the prompt had, what was cached included.
    pub fn input_tokens(mut self, tokens: u64) -> Self {
        self.call.input_tokens = Some(tokens);
        self
    }

    /// Says how many tokens of the prompt were read from the cache.
    pub fn cached_input_tokens(mut self, tokens: u64) -> Self {
        self.call.cached_input_tokens = Some(tokens);
        self
    }

    /// Says how many tokens of the prompt were written to the cache.
    pub fn cache_write_tokens(mut self, tokens: u64) -> Self {
        self.call.cache_write_tokens = Some(tokens);
        self
    }

    /// Says how many tokens the answer had, reasoning included.
    pub fn output_tokens(mut self, tokens: u64) -> Self {
        self.call.output_tokens = Some(tokens);
        self
    }

    /// Says how many tokens of the answer were reasoning.
    pub fn reasoning_tokens(mut self, tokens: u64) -> Self {
        self.call.reasoning_tokens = Some(tokens);
        self
    }

    /// Says how much was used of a metric, whatever the profile would make of it.
    pub fn metric(mut self, metric: &str, amount: u64) -> Self {
        self.outright.set(metric, amount);
        self
    }

    /// Returns what is charged on a ledger.
    pub(crate) fn charge(&self, profile: &Profile, ledger: &mut Ledger) -> Result<Amounts, Error> {
        if self.call == provider::Usage::default() {
            return self.outright.over(Charges::default(), ledger);
        }
        self.outright.over(profile.settle(&self.call), ledger)
    }
}

impl From<provider::Usage> for Usage {
    fn from(call: provider::Usage) -> Self {
        Self { call, outright: Outright::default() }
    }
}

impl From<Call> for Demand {
    fn from(call: Call) -> Self {
        Self { call, outright: Outright::default() }
    }
}

impl Outright {
    fn set(&mut self, metric: &str, amount: u64) {
        match Metric::known(metric) {
            Some(known) => self.known.set(known, amount),
            None => self.named.push((metric.into(), amount)),
        }
    }

    /// Returns what a profile made of a call, with what was said outright in its place.
    fn over(&self, charges: Charges, ledger: &mut Ledger) -> Result<Amounts, Error> {
        let mut amounts = charges.known;
        for (metric, amount) in self.known.iter() {
            amounts.set(metric, amount);
        }
        for (name, amount) in charges.named.iter().chain(&self.named) {
            let metric = ledger.metric(name).ok_or_else(|| Error::TooManyMetrics(name.to_string()))?;
            amounts.set(metric, *amount);
        }
        Ok(amounts)
    }
}
