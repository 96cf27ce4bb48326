//! What a provider limits: a metric, an amount, and how the amount comes back.

use serde::{Deserialize, Serialize};

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Calls.
    Requests,
    /// Tokens of prompt and output together, as the provider's rule counts them.
    Tokens,
    /// [`Metric::Tokens`] without what was read from a cache (Cerebras' "Uncached TPM").
    UncachedTokens,
    /// Tokens of the prompt.
    InputTokens,
    /// Tokens of the output.
    OutputTokens,
    /// Calls in flight, from arrival to the last byte of the answer.
    ConcurrentRequests,
}

impl Metric {
    /// Every metric, in the order of declaration.
    pub const ALL: [Self; 6] = [
        Self::Requests,
        Self::Tokens,
        Self::UncachedTokens,
        Self::InputTokens,
        Self::OutputTokens,
        Self::ConcurrentRequests,
    ];

    /// Returns the name used in configuration and reports, for example `input_tokens`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Tokens => "tokens",
            Self::UncachedTokens => "uncached_tokens",
            Self::InputTokens => "input_tokens",
            Self::OutputTokens => "output_tokens",
            Self::ConcurrentRequests => "concurrent_requests",
        }
    }
}

/// How a limit comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Algorithm {
    /// Refills without pause at `amount` per window, up to `capacity`.
    TokenBucket {
        /// The most that can lie unused in the bucket.
        capacity: u64,
    },
    /// Counts from zero at each boundary, `phase_ms + k × window_ms`.
    FixedWindow {
        /// Milliseconds from time 0 to a boundary; drawn from the judge's seed when absent.
        phase_ms: Option<u64>,
    },
    /// Remembers every charge until it is a whole window old.
    SlidingLog,
    /// Is given back when the call ends; the window plays no part.
    Concurrency,
}

/// One constraint of a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// What is counted.
    pub metric: Metric,
    /// How much of it there is per window.
    pub amount: u64,
    /// The window in milliseconds; 0 counts as 1.
    #[serde(default)]
    pub window_ms: u64,
    /// How it comes back.
    pub algorithm: Algorithm,
}

impl Limit {
    /// Makes a token bucket that holds one whole window's amount.
    pub fn bucket(metric: Metric, amount: u64, window_ms: u64) -> Self {
        Self { metric, amount, window_ms, algorithm: Algorithm::TokenBucket { capacity: amount } }
    }

    /// Makes a fixed window whose phase the judge draws from its seed.
    pub fn fixed_window(metric: Metric, amount: u64, window_ms: u64) -> Self {
        Self { metric, amount, window_ms, algorithm: Algorithm::FixedWindow { phase_ms: None } }
    }

    /// Makes a sliding log.
    pub fn sliding_log(metric: Metric, amount: u64, window_ms: u64) -> Self {
        Self { metric, amount, window_ms, algorithm: Algorithm::SlidingLog }
    }

    /// Makes a cap on the calls in flight.
    pub fn concurrent(amount: u64) -> Self {
        Self { metric: Metric::ConcurrentRequests, amount, window_ms: 0, algorithm: Algorithm::Concurrency }
    }

    /// Returns the window in microseconds, at least one millisecond.
    pub fn window_us(&self) -> u64 {
        self.window_ms.max(1).saturating_mul(1_000)
    }
}
