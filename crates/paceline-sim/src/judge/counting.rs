//! How much of each metric a call costs: on arrival, while it is answered, and in the end.
//!
//! The sources are the vendors' own pages, as they stood between 2026-02 and 2026-10; each rule names its page.

use serde::{Deserialize, Serialize};

use super::limit::Metric;

/// A provider's manner of counting, refusing and answering.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    /// `max(max_tokens, estimate)` on arrival, never returned (developers.openai.com/api/docs/guides/rate-limits,
    /// 2026-10).
    #[default]
    Openai,
    /// `(estimate + max_tokens) × best_of` on arrival, never returned (azure-ai-docs
    /// `includes/quota-2.md`, 2026-05-06).
    Azure,
    /// Uncached input on arrival, output as it is produced (platform.claude.com/docs/en/api/rate-limits, 2026-10).
    Anthropic,
    /// Input only (ai.google.dev/gemini-api/docs/rate-limits, 2026-08-18).
    Gemini,
    /// Input on arrival, output as it is produced, cached input returned at the end
    /// (console.groq.com/docs/rate-limits, 2026-10).
    Groq,
    /// `input + max_tokens` on arrival, settled to the actual use (inference-docs.cerebras.ai/support/rate-limits,
    /// autumn 2026).
    Cerebras,
    /// Input on arrival and output as it is produced (docs.mistral.ai/deployment/ai-studio/tier, 2026).
    Mistral,
    /// `input + max_tokens` on arrival, settled to `uncached input + output × burndown` (docs.aws.amazon.com/bedrock
    /// quotas-token-burndown, 2026-09).
    Bedrock,
    /// Calls in flight and nothing else (api-docs.deepseek.com/quick_start/rate_limit.md, 2026).
    Deepseek,
}

/// A dialect with its adjustable numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// The manner of counting.
    pub dialect: Dialect,
    /// Whether a refused call still costs a request. `OpenAI` and Azure: "unsuccessful requests contribute to your
    /// per-minute limit". It takes what is left, so that retries alone cannot dig a debt.
    pub refusals_cost_a_request: bool,
    /// What one output token weighs in a Bedrock settlement: 1, 5, 10 or 15 by model.
    pub burndown: u64,
    /// The output reserved where a call names no `max_tokens` and the dialect reserves the model's maximum.
    pub default_max_tokens: u64,
}

impl Rules {
    /// Returns the documented rules of a dialect.
    pub fn of(dialect: Dialect) -> Self {
        let default_max_tokens = match dialect {
            Dialect::Bedrock => 64_000,
            Dialect::Cerebras => 8_192,
            _ => 0,
        };
        Self {
            dialect,
            refusals_cost_a_request: matches!(dialect, Dialect::Openai | Dialect::Azure),
            burndown: 1,
            default_max_tokens,
        }
    }

    /// Returns what a call is charged the moment it arrives.
    pub fn on_arrival(&self, call: &Call) -> Counts {
        let prompt = call.prompt_tokens;
        let uncached = prompt.saturating_sub(call.cached_tokens);
        let reserved = call.max_tokens.unwrap_or(self.default_max_tokens);
        let mut counts = Counts { requests: 1, concurrent_requests: 1, ..Counts::default() };
        (counts.tokens, counts.input_tokens) = match self.dialect {
            Dialect::Openai => (prompt.max(reserved), prompt),
            Dialect::Azure => ((prompt + reserved) * call.choices.max(1), prompt),
            Dialect::Anthropic => (uncached, uncached),
            Dialect::Gemini | Dialect::Groq | Dialect::Mistral => (prompt, prompt),
            Dialect::Cerebras | Dialect::Bedrock => (prompt + reserved, prompt),
            Dialect::Deepseek => (0, 0),
        };
        counts.uncached_tokens = counts.tokens;
        counts
    }

    /// Returns what `output_tokens` more cost at the moment they are produced.
    pub fn while_produced(&self, output_tokens: u64) -> Counts {
        let mut counts = Counts { output_tokens, ..Counts::default() };
        match self.dialect {
            Dialect::Anthropic | Dialect::Groq | Dialect::Mistral => {
                counts.tokens = output_tokens;
                counts.uncached_tokens = output_tokens;
            }
            Dialect::Deepseek => counts.output_tokens = 0,
            _ => {}
        }
        counts
    }

    /// Returns what a call that was charged `charged` so far has cost once its use is known. It is nothing in flight
    /// by then; a dialect that returns nothing keeps its tokens as charged.
    pub fn in_the_end(&self, charged: &Counts, usage: &Usage) -> Counts {
        let (input, output) = (usage.input_tokens, usage.output_tokens);
        let uncached = input.saturating_sub(usage.cached_tokens);
        let mut counts = Counts { concurrent_requests: 0, output_tokens: output, ..*charged };
        match self.dialect {
            Dialect::Openai | Dialect::Azure | Dialect::Gemini => {}
            Dialect::Anthropic | Dialect::Groq => counts.set_tokens(uncached + output, uncached),
            Dialect::Mistral => counts.set_tokens(input + output, input),
            Dialect::Bedrock => counts.set_tokens(uncached + output * self.burndown, uncached),
            Dialect::Cerebras => {
                counts.set_tokens(input + output, input);
                counts.uncached_tokens = uncached + output;
            }
            Dialect::Deepseek => counts.output_tokens = 0,
        }
        counts
    }

    /// Tells whether a metric grows while a call is answered.
    pub(super) fn grows(&self, metric: Metric) -> bool {
        self.while_produced(1).get(metric) > 0
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self::of(Dialect::default())
    }
}

/// What a provider can see of a call when it arrives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Call {
    /// The provider's estimate of the whole prompt, in tokens.
    pub prompt_tokens: u64,
    /// The part of the prompt that a cache holds, in tokens.
    pub cached_tokens: u64,
    /// The most output the caller allows, in tokens.
    pub max_tokens: Option<u64>,
    /// `n` or `best_of`; 0 counts as 1.
    pub choices: u64,
}

/// What a call really used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens of the whole prompt, cached ones included.
    pub input_tokens: u64,
    /// Tokens of the prompt that were read from a cache.
    pub cached_tokens: u64,
    /// Tokens of the output, reasoning included.
    pub output_tokens: u64,
}

/// An amount of each metric.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Calls.
    pub requests: u64,
    /// Tokens as the dialect counts them.
    pub tokens: u64,
    /// Tokens without cached input.
    pub uncached_tokens: u64,
    /// Tokens of prompts.
    pub input_tokens: u64,
    /// Tokens of output.
    pub output_tokens: u64,
    /// Calls in flight.
    pub concurrent_requests: u64,
}

impl Counts {
    /// Returns the amount of one metric.
    pub fn get(&self, metric: Metric) -> u64 {
        match metric {
            Metric::Requests => self.requests,
            Metric::Tokens => self.tokens,
            Metric::UncachedTokens => self.uncached_tokens,
            Metric::InputTokens => self.input_tokens,
            Metric::OutputTokens => self.output_tokens,
            Metric::ConcurrentRequests => self.concurrent_requests,
        }
    }

    /// Returns the sum of both, metric by metric.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        Self {
            requests: self.requests + other.requests,
            tokens: self.tokens + other.tokens,
            uncached_tokens: self.uncached_tokens + other.uncached_tokens,
            input_tokens: self.input_tokens + other.input_tokens,
            output_tokens: self.output_tokens + other.output_tokens,
            concurrent_requests: self.concurrent_requests + other.concurrent_requests,
        }
    }

    /// Returns the difference, metric by metric, not below zero.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        Self {
            requests: self.requests.saturating_sub(other.requests),
            tokens: self.tokens.saturating_sub(other.tokens),
            uncached_tokens: self.uncached_tokens.saturating_sub(other.uncached_tokens),
            input_tokens: self.input_tokens.saturating_sub(other.input_tokens),
            output_tokens: self.output_tokens.saturating_sub(other.output_tokens),
            concurrent_requests: self.concurrent_requests.saturating_sub(other.concurrent_requests),
        }
    }

    fn set_tokens(&mut self, tokens: u64, input_tokens: u64) {
        self.tokens = tokens;
        self.uncached_tokens = tokens;
        self.input_tokens = input_tokens;
    }
}
