//! The 429 of each dialect, word for word where the vendor's words are known.

mod anthropic;
mod gemini;
mod openai;
mod others;

use super::answer::{Answer, Headers, header};
use super::durations::whole_seconds;
use crate::judge::{Dialect, Limit, Metric, Refusal, Violation, Wait};

/// Waiting for another call to end is guessed at one second.
const UNKNOWN_WAIT_US: u64 = 1_000_000;

/// What a refusal's text and headers are made of.
#[derive(Debug)]
pub(super) struct Case<'a> {
    pub(super) dialect: Dialect,
    pub(super) account: usize,
    pub(super) model: &'a str,
    pub(super) refusal: &'a Refusal,
    /// What the hints are divided by: 1 for the truth.
    pub(super) hint_divisor: u64,
}

/// A refusal in a dialect's words.
#[derive(Debug)]
pub(super) struct Words {
    pub(super) message: String,
    pub(super) answer: Answer,
}

impl Words {
    fn new(message: String, answer: Answer) -> Self {
        Self { message, answer }
    }
}

/// Writes a refusal.
pub(super) fn write(case: &Case<'_>) -> Words {
    let Some(violation) = case.refusal.binding() else {
        return Words::new(String::new(), Answer::new(429, serde_json::Value::Null));
    };
    match case.dialect {
        Dialect::Openai => openai::openai(case, violation),
        Dialect::Groq => openai::groq(case, violation),
        Dialect::Azure => openai::azure(case, violation),
        Dialect::Anthropic => anthropic::anthropic(case, violation),
        Dialect::Gemini => gemini::gemini(case, violation),
        Dialect::Cerebras => others::cerebras(case, violation),
        Dialect::Mistral => others::mistral(case, violation),
        Dialect::Bedrock => others::bedrock(violation),
        Dialect::Deepseek => others::deepseek(case, violation),
    }
}

impl Case<'_> {
    /// How long the hints say to wait; nothing for a call that can never be served.
    fn hint_us(&self, violation: &Violation) -> Option<u64> {
        let us = match violation.wait {
            Wait::Us(us) => us,
            Wait::Unknown => UNKNOWN_WAIT_US,
            Wait::Never => return None,
        };
        Some(us / self.hint_divisor)
    }

    fn retry_after(&self, violation: &Violation) -> Headers {
        let seconds = self.hint_us(violation).map(|us| header("retry-after", whole_seconds(us)));
        seconds.into_iter().collect()
    }
}

/// The wait that a text names, in microseconds: always the truth.
fn told_us(violation: &Violation) -> u64 {
    match violation.wait {
        Wait::Us(us) => us,
        Wait::Unknown | Wait::Never => UNKNOWN_WAIT_US,
    }
}

/// The unit of time that a text names: the window's, or the next longer one that has a name.
fn unit(limit: &Limit) -> &'static str {
    match limit.window_ms {
        0..=1_000 => "second",
        1_001..=60_000 => "minute",
        60_001..=3_600_000 => "hour",
        _ => "day",
    }
}

/// The noun that a text gives to a metric.
fn noun(metric: Metric) -> &'static str {
    match metric {
        Metric::Requests => "requests",
        Metric::Tokens | Metric::UncachedTokens => "tokens",
        Metric::InputTokens => "input tokens",
        Metric::OutputTokens => "output tokens",
        Metric::ConcurrentRequests => "concurrent requests",
    }
}
