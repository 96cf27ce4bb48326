//! What is known of a call before it is made, and after.

use paceline_core::{Amounts, Metric, Name};

/// What is known of a call before it is made. What is not said is `None`, not zero.
///
/// ```
/// use paceline::provider::{Call, Profile};
/// use paceline::core::Metric;
///
/// let openai = Profile::named("openai").unwrap();
/// let charges = openai.reserve(&Call::new().input_tokens(300).max_output_tokens(1_000));
/// assert_eq!(charges.known.get(Metric::TOKENS), Some(1_000));
/// assert_eq!(charges.known.get(Metric::REQUESTS), Some(1));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Call {
    /// Tokens of the whole prompt, what is cached included.
    pub input_tokens: Option<u64>,
    /// How many of them the provider is expected to read from its cache.
    pub cached_input_tokens: Option<u64>,
    /// The most that an answer may have, as told to the provider.
    pub max_output_tokens: Option<u64>,
    /// How long an answer is expected to be.
    pub expected_output_tokens: Option<u64>,
    /// How many answers are asked for (`n`, `best_of`); 1 where it is not said.
    pub choices: Option<u64>,
    /// Amounts said outright; they replace what the profile makes of the rest.
    pub extra: Vec<(Name, u64)>,
}

/// What a call used, as its provider reported it. What was not reported is `None`, not zero.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Usage {
    /// Tokens of the whole prompt: what was read from the cache and what was written to it included.
    pub input_tokens: Option<u64>,
    /// How many of them were read from the cache.
    pub cached_input_tokens: Option<u64>,
    /// How many of them were written to the cache.
    pub cache_write_tokens: Option<u64>,
    /// Tokens of the answer, reasoning included.
    pub output_tokens: Option<u64>,
    /// How many of them were reasoning.
    pub reasoning_tokens: Option<u64>,
    /// Amounts said outright; they replace what the profile makes of the rest.
    pub extra: Vec<(Name, u64)>,
}

/// Amounts by metric: those of the metrics that every ledger knows, and the rest by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Charges {
    /// The amounts of known metrics.
    pub known: Amounts,
    /// The amounts of other metrics.
    pub named: Vec<(Name, u64)>,
}

impl Charges {
    /// Names an amount; a later one replaces an earlier one of the same metric.
    pub fn set(&mut self, metric: &Name, amount: u64) {
        if let Some(known) = Metric::known(metric) {
            self.known.set(known, amount);
            return;
        }
        match self.named.iter_mut().find(|(named, _)| named == metric) {
            Some((_, value)) => *value = amount,
            None => self.named.push((metric.clone(), amount)),
        }
    }

    /// Returns the amount of a metric by its name.
    pub fn get(&self, metric: &str) -> Option<u64> {
        match Metric::known(metric) {
            Some(known) => self.known.get(known),
            None => self.named.iter().find(|(named, _)| &**named == metric).map(|(_, amount)| *amount),
        }
    }
}

impl Call {
    /// Returns a call of which nothing is known.
    pub fn new() -> Self {
        Self::default()
    }

    /// Says how many tokens the prompt has.
    #[must_use]
    pub fn input_tokens(mut self, tokens: u64) -> Self {
        self.input_tokens = Some(tokens);
        self
    }

    /// Says how many tokens of the prompt are expected to be read from the provider's cache.
    #[must_use]
    pub fn cached_input_tokens(mut self, tokens: u64) -> Self {
        self.cached_input_tokens = Some(tokens);
        self
    }

    /// Says how many tokens an answer may have.
    #[must_use]
    pub fn max_output_tokens(mut self, tokens: u64) -> Self {
        self.max_output_tokens = Some(tokens);
        self
    }

    /// Says how many tokens an answer is expected to have.
    #[must_use]
    pub fn expected_output_tokens(mut self, tokens: u64) -> Self {
        self.expected_output_tokens = Some(tokens);
        self
    }

    /// Says how many answers are asked for.
    #[must_use]
    pub fn choices(mut self, answers: u64) -> Self {
        self.choices = Some(answers);
        self
    }

    /// Says an amount outright.
    #[must_use]
    pub fn amount(mut self, metric: &str, amount: u64) -> Self {
        self.extra.push((metric.into(), amount));
        self
    }
}

impl Usage {
    /// Returns a usage of which nothing is known.
    pub fn new() -> Self {
        Self::default()
    }

    /// Says how many tokens the prompt had, what was cached included.
    #[must_use]
    pub fn input_tokens(mut self, tokens: u64) -> Self {
        self.input_tokens = Some(tokens);
        self
    }

    /// Says how many tokens of the prompt were read from the cache.
    #[must_use]
    pub fn cached_input_tokens(mut self, tokens: u64) -> Self {
        self.cached_input_tokens = Some(tokens);
        self
    }

    /// Says how many tokens of the prompt were written to the cache.
    #[must_use]
    pub fn cache_write_tokens(mut self, tokens: u64) -> Self {
        self.cache_write_tokens = Some(tokens);
        self
    }

    /// Says how many tokens the answer had, reasoning included.
    #[must_use]
    pub fn output_tokens(mut self, tokens: u64) -> Self {
        self.output_tokens = Some(tokens);
        self
    }

    /// Says how many tokens of the answer were reasoning.
    #[must_use]
    pub fn reasoning_tokens(mut self, tokens: u64) -> Self {
        self.reasoning_tokens = Some(tokens);
        self
    }

    /// Says an amount outright.
    #[must_use]
    pub fn amount(mut self, metric: &str, amount: u64) -> Self {
        self.extra.push((metric.into(), amount));
        self
    }
}
