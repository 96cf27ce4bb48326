//! The referee's side of a configuration: which provider it plays, and what it enforces in that provider's manner.

use std::sync::Arc;

use clap::ValueEnum;
use paceline::config::{CompiledLedger, CompiledResource};
use paceline::core::Lanes;
use paceline::core::{Algorithm, Boundaries, LimitSpec};
use paceline::provider::{Profile, Usage};
use paceline_sim::judge::{self, Dialect, Limit, Metric, Rules};
use serde::{Deserialize, Serialize};

/// A provider that the referee can play.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Provider {
    /// `max(prompt, max_tokens)` when a call arrives, never returned; token buckets.
    Openai,
    /// Prompt and `max_tokens` when a call arrives, never returned; fixed minutes of unknown phase.
    Azure,
    /// Input when a call arrives, output as it is produced; token buckets.
    Anthropic,
    /// Input alone; sliding minutes, fixed days.
    Gemini,
    /// Input when a call arrives, output as it is produced; token buckets, of the day too.
    Groq,
    /// Prompt and `max_tokens` when a call arrives, corrected at its end; token buckets.
    Cerebras,
    /// Input when a call arrives, output as it is produced; sliding windows.
    Mistral,
    /// Prompt and `max_tokens` when a call arrives, corrected at its end; sliding minutes.
    Bedrock,
    /// Calls in flight alone.
    Deepseek,
}

const DAY_MS: u64 = 86_400_000;

impl Provider {
    /// Finds the provider that a profile describes.
    pub(crate) fn of(profile: &Profile) -> Option<Self> {
        Self::from_str(&profile.name, false).ok()
    }

    /// Returns the name by which configurations know it.
    pub(crate) fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// Returns limits as an account has them, as a configuration of one model.
    pub(crate) fn preset(self) -> &'static str {
        match self {
            Self::Openai => {
                "openai:\n  gpt-4o: {requests_per_minute: 10_000, tokens_per_minute: 2_000_000}\n"
            }
            Self::Azure => "azure:\n  gpt-4o: {requests_per_minute: 6_000, tokens_per_minute: 1_000_000}\n",
            Self::Anthropic => {
                "anthropic:\n  claude-sonnet-5:\n    requests_per_minute: 1_000\n    \
                 input_tokens_per_minute: 2_000_000\n    output_tokens_per_minute: 400_000\n"
            }
            Self::Gemini => {
                "gemini:\n  gemini-2.5-flash:\n    requests_per_minute: 1_000\n    \
                 tokens_per_minute: 1_000_000\n    requests_per_day: 10_000\n"
            }
            Self::Groq => {
                "groq:\n  llama-4:\n    requests_per_minute: 1_000\n    tokens_per_minute: 300_000\n    \
                 requests_per_day: 500_000\n"
            }
            Self::Cerebras => {
                "cerebras:\n  qwen-3:\n    requests_per_minute: 1_000\n    uncached_tokens_per_minute: 500_000\n    \
                 tokens_per_minute: 1_500_000\n"
            }
            Self::Mistral => {
                "mistral:\n  mistral-large: {requests_per_second: 6, tokens_per_minute: 2_000_000}\n"
            }
            Self::Bedrock => "bedrock:\n  amazon.nova-pro: {tokens_per_minute: 1_000_000}\n",
            Self::Deepseek => "deepseek:\n  deepseek-chat: {concurrent_requests: 20}\n",
        }
    }

    /// Returns its rules, with the burn-down rate of a resource's model.
    pub(crate) fn rules(self, profile: &Profile) -> Rules {
        let one = profile.settle(&Usage::new().input_tokens(0).output_tokens(1)).get("tokens");
        let burndown = if self == Self::Bedrock { one.unwrap_or(1).max(1) } else { 1 };
        Rules { burndown, ..Rules::of(self.dialect()) }
    }

    fn dialect(self) -> Dialect {
        match self {
            Self::Openai => Dialect::Openai,
            Self::Azure => Dialect::Azure,
            Self::Anthropic => Dialect::Anthropic,
            Self::Gemini => Dialect::Gemini,
            Self::Groq => Dialect::Groq,
            Self::Cerebras => Dialect::Cerebras,
            Self::Mistral => Dialect::Mistral,
            Self::Bedrock => Dialect::Bedrock,
            Self::Deepseek => Dialect::Deepseek,
        }
    }

    /// Returns how the provider enforces so much of a metric in a window.
    fn enforced(self, metric: Metric, spec: &LimitSpec, window_ms: u64) -> Limit {
        let amount = spec.amount;
        let bucket = |capacity| judge::Algorithm::TokenBucket { capacity };
        let algorithm = match (self, &spec.algorithm) {
            (_, Algorithm::Concurrency) => return Limit::concurrent(amount),
            (Self::Azure, _) => judge::Algorithm::FixedWindow { phase_ms: None },
            (_, Algorithm::FixedWindow { .. }) if window_ms >= DAY_MS => {
                judge::Algorithm::FixedWindow { phase_ms: None }
            }
            (Self::Gemini | Self::Mistral | Self::Bedrock, _) => judge::Algorithm::SlidingLog,
            (_, Algorithm::TokenBucket { burst, .. }) => bucket(*burst),
            _ => bucket(amount),
        };
        Limit { metric, amount, window_ms, algorithm }
    }
}

/// Returns what a provider enforces of a resource: every limit that all its calls draw on and whose metric it knows.
pub(crate) fn limits(ledger: &CompiledLedger, resource: &str, provider: Provider) -> Vec<Limit> {
    let draws = |spec: &&LimitSpec| {
        let all =
            |member: &paceline::core::Member| *member.resource == *resource && member.lanes == Lanes::All;
        !spec.shadow && spec.members.iter().any(all)
    };
    let specs = ledger.configuration.limits.iter().filter(draws);
    specs
        .filter_map(|spec| Some(provider.enforced(metric(&spec.metric)?, spec, window_ms(&spec.algorithm))))
        .collect()
}

/// Returns the length of a limit's window in milliseconds, 0 for calls in flight.
pub(crate) fn window_ms(algorithm: &Algorithm) -> u64 {
    match algorithm {
        Algorithm::TokenBucket { window, .. } | Algorithm::SlidingWindow { window, .. } => *window,
        Algorithm::FixedWindow { boundaries: Boundaries::Every { period, .. }, .. } => *period,
        Algorithm::FixedWindow { boundaries: Boundaries::At(instants), .. } => {
            instants.windows(2).map(|pair| pair[1] - pair[0]).min().unwrap_or(DAY_MS)
        }
        Algorithm::Concurrency => 0,
    }
}

/// Returns the provider of a resource: the one that was asked for, else the one of its profile.
pub(crate) fn provider(asked: Option<Provider>, resource: &CompiledResource) -> Option<Provider> {
    let profile: &Arc<Profile> = &resource.profile;
    asked.or_else(|| Provider::of(profile))
}

fn metric(name: &str) -> Option<Metric> {
    Metric::ALL.into_iter().find(|metric| metric.name() == name)
}
