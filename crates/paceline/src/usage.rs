//! What a call used, as callers say it.

use paceline_core::{Amounts, Ledger, Metric, Name};

use crate::Error;
use crate::demand::{Said, over};
use crate::provider::{self, Charges};
use crate::seat::Seat;

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
