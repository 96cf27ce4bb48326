//! What a call wants, as callers say it.

use std::fmt;

use paceline_core::{Amounts, Ledger, MAX_AMOUNT, Metric, Name};

use crate::Error;
use crate::provider::{Call, Charges};
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

/// A number that may be unsaid, in eight bytes: demands travel with their futures and permits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Said(u64);

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

    /// Returns the demand that this one becomes by a change that names some of it: what a profile makes of a call, it makes
    /// of the whole call.
    pub(crate) fn amended_by(&self, change: &Self) -> Self {
        if change.is_bare() && change.tokens == Said::default() {
            return Self { outright: change.outright.clone(), requests: change.requests, ..Self::default() };
        }
        Self {
            input_tokens: change.input_tokens.or(self.input_tokens),
            cached_input_tokens: change.cached_input_tokens.or(self.cached_input_tokens),
            max_output_tokens: change.max_output_tokens.or(self.max_output_tokens),
            expected_output_tokens: change.expected_output_tokens.or(self.expected_output_tokens),
            tokens: change.tokens.or(self.tokens),
            requests: change.requests.or(self.requests),
            outright: change.outright.clone(),
        }
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

/// Returns what a profile made of a call, with what was said outright in its place.
pub(crate) fn over<const N: usize>(
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

    pub(crate) fn just(amount: u64) -> Self {
        Self(amount.min(MAX_AMOUNT))
    }

    fn or(self, other: Self) -> Self {
        if self == Self::default() { other } else { self }
    }

    pub(crate) fn get(self) -> Option<u64> {
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
