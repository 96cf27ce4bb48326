//! What a call wants, and what it used, as callers say it.

use std::fmt;

use paceline_core::{Amounts, Ledger, MAX_AMOUNT, Metric, Name};

use crate::Error;
use crate::provider::{self, Call, Charges};
use crate::seat::{Seat, count_itself};

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
    input_tokens: Said,
    cached_input_tokens: Said,
    max_output_tokens: Said,
    expected_output_tokens: Said,
    tokens: Said,
    requests: Said,
    outright: Vec<(Name, u64)>,
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
    input_tokens: Said,
    cached_input_tokens: Said,
    cache_write_tokens: Said,
    output_tokens: Said,
    reasoning_tokens: Said,
    tokens: Said,
    outright: Vec<(Name, u64)>,
}

/// A number that may be unsaid, in eight bytes: demands travel with their futures and permits.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Said(u64);

impl Demand {
    /// Returns the demand of one call of which nothing else is known.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the demand of one call that wants this many tokens in all.
    pub fn tokens(tokens: u64) -> Self {
        Self { tokens: Said::just(tokens), ..Self::default() }
    }

    /// Says how many tokens the prompt has.
    pub fn input_tokens(mut self, tokens: u64) -> Self {
        self.input_tokens = Said::just(tokens);
        self
    }

    /// Says how many tokens of the prompt are expected to be read from the provider's cache.
    pub fn cached_input_tokens(mut self, tokens: u64) -> Self {
        self.cached_input_tokens = Said::just(tokens);
        self
    }

    /// Says how many tokens the answer may have.
    pub fn max_output_tokens(mut self, tokens: u64) -> Self {
        self.max_output_tokens = Said::just(tokens);
        self
    }

    /// Says how many tokens the answer is expected to have.
    pub fn expected_output_tokens(mut self, tokens: u64) -> Self {
        self.expected_output_tokens = Said::just(tokens);
        self
    }

    /// Says that the demand stands for this many requests.
    pub fn requests(mut self, requests: u64) -> Self {
        self.requests = Said::just(requests);
        self
    }

    /// Says how much it wants of a metric, whatever the profile would make of it.
    pub fn metric(mut self, metric: &str, amount: u64) -> Self {
        self.outright.push((metric.into(), amount));
        self
    }

    /// Returns what is reserved on a ledger.
    pub(crate) fn reservation(&self, seat: &Seat, ledger: &mut Ledger) -> Result<Amounts, Error> {
        if self.is_bare() {
            return self.over(seat.bare_call(), ledger);
        }
        let mut charges = seat.profile.reserve(&self.call());
        count_itself(&mut charges.known);
        self.over(&charges, ledger)
    }

    /// Returns what is reserved from now on, where a reservation changes: only what is said.
    pub(crate) fn amendment(&self, seat: &Seat, ledger: &mut Ledger) -> Result<Amounts, Error> {
        if self.is_bare() {
            return self.over(&Charges::default(), ledger);
        }
        self.over(&seat.profile.reserve(&self.call()), ledger)
    }

    fn over(&self, charges: &Charges, ledger: &mut Ledger) -> Result<Amounts, Error> {
        let said = [(Metric::TOKENS, self.tokens), (Metric::REQUESTS, self.requests)];
        over(charges, said, &self.outright, ledger)
    }

    /// Whether nothing is said of the call that a profile would look at.
    fn is_bare(&self) -> bool {
        let said = [
            self.input_tokens,
            self.cached_input_tokens,
            self.max_output_tokens,
            self.expected_output_tokens,
        ];
        said == [Said::default(); 4]
    }

    fn call(&self) -> Call {
        let mut call = Call::new();
        call.input_tokens = self.input_tokens.get();
        call.cached_input_tokens = self.cached_input_tokens.get();
        call.max_output_tokens = self.max_output_tokens.get();
        call.expected_output_tokens = self.expected_output_tokens.get();
        call
    }
}

impl Usage {
    /// Returns the usage of a call of which nothing is known.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the usage of a call that used this many tokens in all.
    pub fn tokens(tokens: u64) -> Self {
        Self { tokens: Said::just(tokens), ..Self::default() }
    }

    /// Says how many tokens the prompt had, what was cached included.
    pub fn input_tokens(mut self, tokens: u64) -> Self {
        self.input_tokens = Said::just(tokens);
        self
    }

    /// Says how many tokens of the prompt were read from the cache.
    pub fn cached_input_tokens(mut self, tokens: u64) -> Self {
        self.cached_input_tokens = Said::just(tokens);
        self
    }

    /// Says how many tokens of the prompt were written to the cache.
    pub fn cache_write_tokens(mut self, tokens: u64) -> Self {
        self.cache_write_tokens = Said::just(tokens);
        self
    }

    /// Says how many tokens the answer had, reasoning included.
    pub fn output_tokens(mut self, tokens: u64) -> Self {
        self.output_tokens = Said::just(tokens);
        self
    }

    /// Says how many tokens of the answer were reasoning.
    pub fn reasoning_tokens(mut self, tokens: u64) -> Self {
        self.reasoning_tokens = Said::just(tokens);
        self
    }

    /// Says how much was used of a metric, whatever the profile would make of it.
    pub fn metric(mut self, metric: &str, amount: u64) -> Self {
        self.outright.push((metric.into(), amount));
        self
    }

    /// Returns what is charged on a ledger.
    pub(crate) fn charge(&self, seat: &Seat, ledger: &mut Ledger) -> Result<Amounts, Error> {
        let said = [(Metric::TOKENS, self.tokens)];
        if self.is_bare() {
            return over(&Charges::default(), said, &self.outright, ledger);
        }
        over(&seat.profile.settle(&self.reported()), said, &self.outright, ledger)
    }

    fn is_bare(&self) -> bool {
        let said = [
            self.input_tokens,
            self.cached_input_tokens,
            self.cache_write_tokens,
            self.output_tokens,
            self.reasoning_tokens,
        ];
        said == [Said::default(); 5]
    }

    fn reported(&self) -> provider::Usage {
        let mut usage = provider::Usage::new();
        usage.input_tokens = self.input_tokens.get();
        usage.cached_input_tokens = self.cached_input_tokens.get();
        usage.cache_write_tokens = self.cache_write_tokens.get();
        usage.output_tokens = self.output_tokens.get();
        usage.reasoning_tokens = self.reasoning_tokens.get();
        usage
    }
}

impl From<Call> for Demand {
    fn from(call: Call) -> Self {
        Self {
            input_tokens: call.input_tokens.into(),
            cached_input_tokens: call.cached_input_tokens.into(),
            max_output_tokens: call.max_output_tokens.into(),
            expected_output_tokens: call.expected_output_tokens.into(),
            outright: call.extra,
            ..Self::default()
        }
    }
}

impl From<provider::Usage> for Usage {
    fn from(usage: provider::Usage) -> Self {
        Self {
            input_tokens: usage.input_tokens.into(),
            cached_input_tokens: usage.cached_input_tokens.into(),
            cache_write_tokens: usage.cache_write_tokens.into(),
            output_tokens: usage.output_tokens.into(),
            reasoning_tokens: usage.reasoning_tokens.into(),
            outright: usage.extra,
            ..Self::default()
        }
    }
}

/// Returns what a profile made of a call, with what was said outright in its place.
fn over<const N: usize>(
    charges: &Charges,
    said: [(Metric, Said); N],
    outright: &[(Name, u64)],
    ledger: &mut Ledger,
) -> Result<Amounts, Error> {
    let mut amounts = charges.known.clone();
    for (metric, said) in said {
        if let Some(amount) = said.get() {
            amounts.set(metric, amount);
        }
    }
    for (name, amount) in charges.named.iter().chain(outright) {
        let metric = ledger.metric(name).ok_or_else(|| Error::TooManyMetrics(name.to_string()))?;
        amounts.set(metric, *amount);
    }
    Ok(amounts)
}

impl Said {
    const UNSAID: u64 = u64::MAX;

    fn just(amount: u64) -> Self {
        Self(amount.min(MAX_AMOUNT))
    }

    fn get(self) -> Option<u64> {
        (self.0 != Self::UNSAID).then_some(self.0)
    }
}

impl Default for Said {
    fn default() -> Self {
        Self(Self::UNSAID)
    }
}

impl From<Option<u64>> for Said {
    fn from(amount: Option<u64>) -> Self {
        amount.map_or_else(Self::default, Self::just)
    }
}

impl fmt::Debug for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}
