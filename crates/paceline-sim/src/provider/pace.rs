//! How long answers are and how long they take.

use serde::{Deserialize, Serialize};

use super::ask::Ask;
use super::dice::Dice;

/// The longest time that a header can dictate: a day.
const LONGEST_MS: u64 = 86_400_000;

/// Distributions of lengths and times. One request with one seed is always answered alike.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Pace {
    /// Median length of an answer, in tokens.
    pub output_median_tokens: u32,
    /// Sigma of the lognormal length: 0 makes every answer the median, 1 makes one in a hundred ten times as long.
    pub output_sigma: f64,
    /// The longest answer of the model, in tokens.
    pub output_cap_tokens: u32,
    /// Median time to the first token, in milliseconds.
    pub first_token_median_ms: u32,
    /// Sigma of the lognormal time to the first token.
    pub first_token_sigma: f64,
    /// Time per token after the first, in microseconds.
    pub per_token_us: u32,
    /// Part of each answer that is reasoning, in percent of its tokens.
    pub reasoning_percent: u8,
    /// Part of each prompt that is read from a cache, in percent of its tokens.
    pub cached_percent: u8,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            output_median_tokens: 200,
            output_sigma: 1.0,
            output_cap_tokens: 16_384,
            first_token_median_ms: 300,
            first_token_sigma: 0.4,
            per_token_us: 10_000,
            reasoning_percent: 0,
            cached_percent: 0,
        }
    }
}

impl Pace {
    /// Makes answers of exactly `output_tokens` tokens that take no time.
    pub fn instant(output_tokens: u32) -> Self {
        Self {
            output_median_tokens: output_tokens,
            output_sigma: 0.0,
            first_token_median_ms: 0,
            per_token_us: 0,
            ..Self::default()
        }
    }

    /// Decides the answer to one request.
    pub(super) fn plan(&self, seed: u64, ask: &Ask) -> Plan {
        let mut dice = Dice::new(seed, ask.identity);
        let thrown = dice.lognormal(self.output_median_tokens, self.output_sigma).max(1);
        let wanted = ask.wishes.output_tokens.unwrap_or(thrown.min(self.output_cap_tokens.into()));
        let wanted = if ask.endpoint.generates() { wanted } else { 0 };
        let output_tokens = ask.max_tokens.map_or(wanted, |most| wanted.min(most));
        let first_token_us = 1_000 * dice.lognormal(self.first_token_median_ms, self.first_token_sigma);
        let own_us = first_token_us + output_tokens * u64::from(self.per_token_us);
        let total_us = ask.wishes.latency_ms.map_or(own_us, |ms| ms.min(LONGEST_MS) * 1_000);
        Plan {
            output_tokens,
            reasoning_tokens: percent(output_tokens, self.reasoning_percent),
            cached_tokens: ask
                .wishes
                .cached_tokens
                .unwrap_or(percent(ask.prompt_tokens, self.cached_percent))
                .min(ask.prompt_tokens),
            truncated: output_tokens < wanted,
            first_token_us: first_token_us.min(total_us),
            total_us,
        }
    }
}

/// The answer to one request, before it is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// Tokens of one choice, reasoning included.
    pub(super) output_tokens: u64,
    pub(super) reasoning_tokens: u64,
    pub(super) cached_tokens: u64,
    /// Whether `max_tokens` cut the answer short.
    pub(super) truncated: bool,
    pub(super) first_token_us: u64,
    pub(super) total_us: u64,
}

impl Plan {
    pub(super) fn slowed(mut self, factor: u64) -> Self {
        self.first_token_us *= factor;
        self.total_us *= factor;
        self
    }
}

fn percent(amount: u64, percent: u8) -> u64 {
    amount * u64::from(percent.min(100)) / 100
}
