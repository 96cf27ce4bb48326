//! What a fake provider is told before it starts.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};

use serde::{Deserialize, Serialize};

use super::fault::Fault;
use super::pace::Pace;
use crate::judge::{Dialect, Limit, Metric, Rules};

const SECOND_MS: u64 = 1_000;
const MINUTE_MS: u64 = 60 * SECOND_MS;
const DAY_MS: u64 = 24 * 60 * MINUTE_MS;

/// Everything a fake provider does, as plain data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProviderConfig {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// How calls are counted, and in whose words they are refused.
    pub rules: Rules,
    /// The limits that each account has on each model.
    pub limits: Vec<Limit>,
    /// Limits of single models, in the place of [`ProviderConfig::limits`].
    pub models: BTreeMap<String, Vec<Limit>>,
    /// How long answers are and how long they take.
    pub pace: Pace,
    /// How likely each fault befalls a request that asks for none, from 0 to 1.
    pub faults: BTreeMap<Fault, f64>,
    /// Decides every random choice.
    pub seed: u64,
}

impl Default for ProviderConfig {
    fn default() -> Self {
        Self::new(Dialect::default())
    }
}

impl ProviderConfig {
    /// Makes a provider without limits.
    pub fn new(dialect: Dialect) -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            rules: Rules::of(dialect),
            limits: Vec::new(),
            models: BTreeMap::new(),
            pace: Pace::default(),
            faults: BTreeMap::new(),
            seed: 0,
        }
    }

    /// `OpenAI`: requests and tokens per minute, as buckets of one minute's capacity
    /// (developers.openai.com/api/docs/guides/rate-limits, 2026-10).
    pub fn openai(rpm: u64, tpm: u64) -> Self {
        Self::new(Dialect::Openai)
            .limit(Limit::bucket(Metric::Requests, rpm, MINUTE_MS))
            .limit(Limit::bucket(Metric::Tokens, tpm, MINUTE_MS))
    }

    /// Azure: tokens counted anew each minute, requests spread over windows of `sub_window_ms`, 1,000 or 10,000 by the
    /// vendor's page (azure-ai-docs `includes/quota-2.md`, 2026-05-06).
    pub fn azure(rpm: u64, tpm: u64, sub_window_ms: u64) -> Self {
        let per_sub_window = (rpm.saturating_mul(sub_window_ms) / MINUTE_MS).max(1);
        Self::new(Dialect::Azure)
            .limit(Limit::fixed_window(Metric::Requests, per_sub_window, sub_window_ms))
            .limit(Limit::fixed_window(Metric::Tokens, tpm, MINUTE_MS))
    }

    /// Anthropic: requests, uncached input tokens and output tokens per minute
    /// (platform.claude.com/docs/en/api/rate-limits, 2026-10).
    pub fn anthropic(rpm: u64, itpm: u64, otpm: u64) -> Self {
        Self::new(Dialect::Anthropic)
            .limit(Limit::bucket(Metric::Requests, rpm, MINUTE_MS))
            .limit(Limit::bucket(Metric::InputTokens, itpm, MINUTE_MS))
            .limit(Limit::bucket(Metric::OutputTokens, otpm, MINUTE_MS))
    }

    /// Gemini: requests and input tokens per minute, requests per calendar day. The minute's kind is not documented:
    /// its refusals fit a sliding one (ai.google.dev/gemini-api/docs/rate-limits, 2026-08-18).
    pub fn gemini(rpm: u64, tpm: u64, rpd: u64) -> Self {
        Self::new(Dialect::Gemini)
            .limit(Limit::sliding_log(Metric::Requests, rpm, MINUTE_MS))
            .limit(Limit::sliding_log(Metric::InputTokens, tpm, MINUTE_MS))
            .limit(Limit::fixed_window(Metric::Requests, rpd, DAY_MS))
    }

    /// Groq: requests and tokens per minute, requests per day, all refilled without pause
    /// (console.groq.com/docs/rate-limits, 2026-10).
    pub fn groq(rpm: u64, tpm: u64, rpd: u64) -> Self {
        Self::new(Dialect::Groq)
            .limit(Limit::bucket(Metric::Requests, rpm, MINUTE_MS))
            .limit(Limit::bucket(Metric::Tokens, tpm, MINUTE_MS))
            .limit(Limit::bucket(Metric::Requests, rpd, DAY_MS))
    }

    /// Cerebras: requests and uncached tokens per minute, and three times as many tokens in all
    /// (inference-docs.cerebras.ai/support/rate-limits, autumn 2026).
    pub fn cerebras(rpm: u64, uncached_tpm: u64) -> Self {
        Self::new(Dialect::Cerebras)
            .limit(Limit::bucket(Metric::Requests, rpm, MINUTE_MS))
            .limit(Limit::bucket(Metric::UncachedTokens, uncached_tpm, MINUTE_MS))
            .limit(Limit::bucket(Metric::Tokens, uncached_tpm.saturating_mul(3), MINUTE_MS))
    }

    /// Mistral: requests in any one second, tokens per minute (docs.mistral.ai/deployment/ai-studio/tier, 2026).
    pub fn mistral(rps: u64, tpm: u64) -> Self {
        Self::new(Dialect::Mistral)
            .limit(Limit::sliding_log(Metric::Requests, rps, SECOND_MS))
            .limit(Limit::sliding_log(Metric::Tokens, tpm, MINUTE_MS))
    }

    /// Bedrock's runtime endpoint: tokens per minute, output settled at `burndown` each; the window's kind is not
    /// documented (docs.aws.amazon.com/bedrock quotas-token-burndown, 2026-09).
    pub fn bedrock(tpm: u64, burndown: u64) -> Self {
        let mut config = Self::new(Dialect::Bedrock);
        config.rules.burndown = burndown;
        config.limit(Limit::sliding_log(Metric::Tokens, tpm, MINUTE_MS))
    }

    /// `DeepSeek`: calls in flight (api-docs.deepseek.com/quick_start/rate_limit.md, 2026).
    pub fn deepseek(concurrent_requests: u64) -> Self {
        Self::new(Dialect::Deepseek).limit(Limit::concurrent(concurrent_requests))
    }

    /// Adds a limit that each account has on each model.
    #[must_use]
    pub fn limit(mut self, limit: Limit) -> Self {
        self.limits.push(limit);
        self
    }

    /// Gives one model limits of its own.
    #[must_use]
    pub fn model(mut self, name: impl Into<String>, limits: Vec<Limit>) -> Self {
        self.models.insert(name.into(), limits);
        self
    }

    /// Sets how long answers are and how long they take.
    #[must_use]
    pub fn pace(mut self, pace: Pace) -> Self {
        self.pace = pace;
        self
    }

    /// Lets a fault befall requests with a probability from 0 to 1.
    #[must_use]
    pub fn fault(mut self, fault: Fault, probability: f64) -> Self {
        self.faults.insert(fault, probability);
        self
    }

    /// Sets the seed.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Sets where to listen.
    #[must_use]
    pub fn listen(mut self, listen: SocketAddr) -> Self {
        self.listen = listen;
        self
    }

    pub(super) fn limits_of(&self, model: &str) -> &[Limit] {
        self.models.get(model).unwrap_or(&self.limits)
    }
}
