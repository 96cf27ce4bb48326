//! What requests say.

use std::collections::BTreeMap;
use std::time::Duration;

use paceline::core::MAX_AMOUNT;
use paceline::{Demand, Usage};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use crate::clock;
use crate::problem::Problem;

/// The longest duration that can be asked for, in seconds: ten years.
const LONGEST_SECONDS: f64 = 315_360_000.0;
/// The longest that one request waits, in seconds.
pub(crate) const LONGEST_POLL_SECONDS: f64 = 60.0;
/// How long one request waits that does not say.
pub(crate) const POLL: Duration = Duration::from_secs(20);
/// How long a permit lives that does not say.
pub(crate) const LEASE: Duration = Duration::from_mins(15);
/// The most metrics of one's own in one request.
const MOST_METRICS: usize = 32;

/// What is asked for.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AcquireBody {
    /// What is to be called, as the configuration names it.
    #[schema(example = "openai/gpt-4o")]
    pub(crate) resource: String,
    /// How many tokens the prompt has.
    #[schema(example = 1200)]
    input_tokens: Option<u64>,
    /// How many of them are expected to be read from the provider's cache.
    cached_input_tokens: Option<u64>,
    /// How many tokens the answer may have.
    #[schema(example = 800)]
    max_output_tokens: Option<u64>,
    /// How many tokens the answer is expected to have.
    output_tokens: Option<u64>,
    /// How many tokens it wants in all, where that is not to be made of input and output.
    tokens: Option<u64>,
    /// How many requests it stands for; one unless said otherwise.
    requests: Option<u64>,
    /// How much of other metrics it wants.
    #[serde(default)]
    metrics: BTreeMap<String, u64>,
    /// The lane to wait in.
    pub(crate) lane: Option<String>,
    /// It counts as having arrived this much earlier, as far as the lane allows.
    head_start_seconds: Option<f64>,
    /// The longest wait in line; without one it waits until it is granted or cancelled.
    timeout_seconds: Option<f64>,
    /// It is refused at once where the wait is expected to be longer.
    max_expected_wait_seconds: Option<f64>,
    /// How long the permit lives that nobody settles or renews; 900 unless said otherwise.
    lease_seconds: Option<f64>,
    /// How long this request waits for the decision before it answers with a ticket; 20 unless said otherwise, at most 60.
    wait_seconds: Option<f64>,
    /// Asks for an immediate answer: granted, or refused.
    #[serde(default, rename = "try")]
    pub(crate) at_once: bool,
}

/// How long a poll waits.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct PollQuery {
    /// How long this request waits for the decision; 20 unless said otherwise, at most 60.
    wait_seconds: Option<f64>,
    /// How long the permit lives that nobody settles or renews; 900 unless said otherwise.
    lease_seconds: Option<f64>,
    /// When the time-out passes, by RFC 3339; `poll` of the answer before says it.
    pub(crate) until: Option<String>,
}

/// What a call used. What is not said was used as reserved.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UsageBody {
    /// How many tokens the prompt had, what was cached included.
    #[schema(example = 1180)]
    input_tokens: Option<u64>,
    /// How many of them were read from the cache.
    cached_input_tokens: Option<u64>,
    /// How many of them were written to the cache.
    cache_write_tokens: Option<u64>,
    /// How many tokens the answer had, reasoning included.
    #[schema(example = 212)]
    output_tokens: Option<u64>,
    /// How many of them were reasoning.
    reasoning_tokens: Option<u64>,
    /// How many tokens it used in all, where that is not to be made of input and output.
    tokens: Option<u64>,
    /// How much of other metrics it used.
    #[serde(default)]
    metrics: BTreeMap<String, u64>,
}

/// Use that nobody asked for.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RecordBody {
    /// The resource.
    #[schema(example = "openai/gpt-4o")]
    pub(crate) resource: String,
    /// How many tokens the prompt had.
    input_tokens: Option<u64>,
    /// How many tokens the answer had.
    output_tokens: Option<u64>,
    /// How many tokens it used in all.
    tokens: Option<u64>,
    /// How many requests it stands for.
    requests: Option<u64>,
    /// How much of other metrics it used.
    #[serde(default)]
    metrics: BTreeMap<String, u64>,
}

/// What a permit reserves from now on; what is not said stays.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AmendBody {
    /// How many tokens the prompt has.
    input_tokens: Option<u64>,
    /// How many tokens the answer may have.
    max_output_tokens: Option<u64>,
    /// How many tokens it wants in all.
    tokens: Option<u64>,
    /// How much of other metrics it wants.
    #[serde(default)]
    metrics: BTreeMap<String, u64>,
}

/// How long a permit lives from now on.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RenewBody {
    /// In seconds; 900 unless said otherwise.
    lease_seconds: Option<f64>,
}

/// A question whether something would go.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExplainQuery {
    /// The resource.
    #[param(example = "openai/gpt-4o")]
    pub(crate) resource: String,
    /// The lane.
    pub(crate) lane: Option<String>,
    /// How many tokens the prompt has.
    input_tokens: Option<u64>,
    /// How many tokens the answer may have.
    max_output_tokens: Option<u64>,
    /// How many tokens it wants in all.
    tokens: Option<u64>,
    /// How many requests it stands for; one unless said otherwise.
    requests: Option<u64>,
    /// Other metrics, as in `images:2,usd_micros:1500`.
    metrics: Option<String>,
}

/// How callers of a resource are held up.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PauseBody {
    /// For how long; until resumed where it is not said.
    #[schema(example = 30)]
    pub(crate) seconds: Option<f64>,
    /// Why, for the audit log and those who look on.
    pub(crate) reason: Option<String>,
    /// Refuses callers, waiting ones included, rather than let them wait.
    #[serde(default)]
    pub(crate) refuse: bool,
}

/// Who is refused.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PurgeBody {
    /// Those of this lane; all where it is not said.
    pub(crate) lane: Option<String>,
}

impl AcquireBody {
    /// Returns what it wants.
    pub(crate) fn demand(&self) -> Result<Demand, Problem> {
        let mut demand = Demand::new();
        let said = [
            ("input_tokens", self.input_tokens, Demand::input_tokens as fn(Demand, u64) -> Demand),
            ("cached_input_tokens", self.cached_input_tokens, Demand::cached_input_tokens),
            ("max_output_tokens", self.max_output_tokens, Demand::max_output_tokens),
            ("output_tokens", self.output_tokens, Demand::expected_output_tokens),
            ("requests", self.requests, Demand::requests),
        ];
        for (field, amount, say) in said {
            if let Some(amount) = bounded(field, amount)? {
                demand = say(demand, amount);
            }
        }
        with_metrics(demand, self.tokens, &self.metrics)
    }

    /// Returns how long the request waits.
    pub(crate) fn wait(&self) -> Result<Duration, Problem> {
        poll(self.wait_seconds)
    }

    /// Returns how long the permit lives.
    pub(crate) fn lease(&self) -> Result<Duration, Problem> {
        lease(self.lease_seconds)
    }

    /// Returns the longest wait in line.
    pub(crate) fn timeout(&self) -> Result<Option<Duration>, Problem> {
        seconds("timeout_seconds", self.timeout_seconds)
    }

    /// Returns by how much it counts as having arrived earlier.
    pub(crate) fn head_start(&self) -> Result<Duration, Problem> {
        Ok(seconds("head_start_seconds", self.head_start_seconds)?.unwrap_or_default())
    }

    /// Returns the longest expected wait that is accepted.
    pub(crate) fn max_expected_wait(&self) -> Result<Option<Duration>, Problem> {
        seconds("max_expected_wait_seconds", self.max_expected_wait_seconds)
    }
}

impl PollQuery {
    /// Returns what is left of the time-out at this time, in milliseconds since the Unix epoch.
    pub(crate) fn timeout(&self, now_ms: u64) -> Result<Option<Duration>, Problem> {
        let Some(until) = &self.until else { return Ok(None) };
        let wrong = || Problem::field("until", format!("{until} is no time by RFC 3339"));
        let until_ms = clock::read(until).ok_or_else(wrong)?;
        Ok(Some(Duration::from_millis(until_ms.saturating_sub(now_ms))))
    }

    /// Returns how long the request waits.
    pub(crate) fn wait(&self) -> Result<Duration, Problem> {
        poll(self.wait_seconds)
    }

    /// Returns how long the permit lives.
    pub(crate) fn lease(&self) -> Result<Duration, Problem> {
        lease(self.lease_seconds)
    }
}

impl UsageBody {
    /// Returns what was used.
    pub(crate) fn usage(&self) -> Result<Usage, Problem> {
        let mut usage = Usage::new();
        let said = [
            ("input_tokens", self.input_tokens, Usage::input_tokens as fn(Usage, u64) -> Usage),
            ("cached_input_tokens", self.cached_input_tokens, Usage::cached_input_tokens),
            ("cache_write_tokens", self.cache_write_tokens, Usage::cache_write_tokens),
            ("output_tokens", self.output_tokens, Usage::output_tokens),
            ("reasoning_tokens", self.reasoning_tokens, Usage::reasoning_tokens),
        ];
        for (field, amount, say) in said {
            if let Some(amount) = bounded(field, amount)? {
                usage = say(usage, amount);
            }
        }
        used(usage, self.tokens, None, &self.metrics)
    }
}

impl RecordBody {
    /// Returns what was used.
    pub(crate) fn usage(&self) -> Result<Usage, Problem> {
        let mut usage = Usage::new();
        if let Some(tokens) = bounded("input_tokens", self.input_tokens)? {
            usage = usage.input_tokens(tokens);
        }
        if let Some(tokens) = bounded("output_tokens", self.output_tokens)? {
            usage = usage.output_tokens(tokens);
        }
        used(usage, self.tokens, self.requests, &self.metrics)
    }
}

impl AmendBody {
    /// Returns what the permit is to reserve.
    pub(crate) fn demand(&self) -> Result<Demand, Problem> {
        plain_demand(self.input_tokens, self.max_output_tokens, None, self.tokens, &self.metrics)
    }
}

impl RenewBody {
    /// Returns how long the permit lives.
    pub(crate) fn lease(&self) -> Result<Duration, Problem> {
        lease(self.lease_seconds)
    }
}

impl ExplainQuery {
    /// Returns what is wanted.
    pub(crate) fn demand(&self) -> Result<Demand, Problem> {
        let mut metrics = BTreeMap::new();
        for pair in self.metrics.iter().flat_map(|metrics| metrics.split(',')) {
            let wrong =
                || Problem::field("metrics", format!("expected NAME:AMOUNT, as in images:2, not {pair}"));
            let (name, amount) = pair.split_once(':').ok_or_else(wrong)?;
            metrics.insert(name.to_owned(), amount.parse().map_err(|_| wrong())?);
        }
        plain_demand(self.input_tokens, self.max_output_tokens, self.requests, self.tokens, &metrics)
    }
}

impl PauseBody {
    /// Returns for how long, if it has an end.
    pub(crate) fn lasting(&self) -> Result<Option<Duration>, Problem> {
        seconds("seconds", self.seconds)
    }
}

fn plain_demand(
    input: Option<u64>,
    output: Option<u64>,
    requests: Option<u64>,
    tokens: Option<u64>,
    metrics: &BTreeMap<String, u64>,
) -> Result<Demand, Problem> {
    let mut demand = Demand::new();
    if let Some(input) = bounded("input_tokens", input)? {
        demand = demand.input_tokens(input);
    }
    if let Some(output) = bounded("max_output_tokens", output)? {
        demand = demand.max_output_tokens(output);
    }
    if let Some(requests) = bounded("requests", requests)? {
        demand = demand.requests(requests);
    }
    with_metrics(demand, tokens, metrics)
}

fn with_metrics(
    mut demand: Demand,
    tokens: Option<u64>,
    metrics: &BTreeMap<String, u64>,
) -> Result<Demand, Problem> {
    if let Some(tokens) = bounded("tokens", tokens)? {
        demand = demand.metric("tokens", tokens);
    }
    for (name, amount) in checked(metrics)? {
        demand = demand.metric(name, amount);
    }
    Ok(demand)
}

fn used(
    mut usage: Usage,
    tokens: Option<u64>,
    requests: Option<u64>,
    metrics: &BTreeMap<String, u64>,
) -> Result<Usage, Problem> {
    for (field, amount) in [("tokens", tokens), ("requests", requests)] {
        if let Some(amount) = bounded(field, amount)? {
            usage = usage.metric(field, amount);
        }
    }
    for (name, amount) in checked(metrics)? {
        usage = usage.metric(name, amount);
    }
    Ok(usage)
}

fn checked(metrics: &BTreeMap<String, u64>) -> Result<impl Iterator<Item = (&str, u64)>, Problem> {
    if metrics.len() > MOST_METRICS {
        return Err(Problem::field("metrics", format!("a request names at most {MOST_METRICS} metrics")));
    }
    for (name, amount) in metrics {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
            let said = format!("{name:?} is no metric: its name has 1 to 64 letters, digits and _");
            return Err(Problem::field("metrics", said));
        }
        bounded("metrics", Some(*amount))?;
    }
    Ok(metrics.iter().map(|(name, amount)| (name.as_str(), *amount)))
}

fn bounded(field: &str, amount: Option<u64>) -> Result<Option<u64>, Problem> {
    match amount {
        Some(amount) if amount > MAX_AMOUNT => {
            let said = format!("{field} is {amount}, and no limit counts above {MAX_AMOUNT}");
            Err(Problem::field(field, said).with(|more| more.most = Some(MAX_AMOUNT)))
        }
        fits => Ok(fits),
    }
}

/// Reads a duration.
pub(crate) fn seconds(field: &str, seconds: Option<f64>) -> Result<Option<Duration>, Problem> {
    match seconds {
        None => Ok(None),
        Some(seconds) if (0.0..=LONGEST_SECONDS).contains(&seconds) => {
            Ok(Some(Duration::from_secs_f64(seconds)))
        }
        Some(wrong) => {
            let said = format!("{field} is {wrong}; expected seconds from 0 to {LONGEST_SECONDS}");
            Err(Problem::field(field, said))
        }
    }
}

fn poll(wait: Option<f64>) -> Result<Duration, Problem> {
    match wait {
        Some(wait) if !(0.0..=LONGEST_POLL_SECONDS).contains(&wait) => {
            let said =
                format!("wait_seconds is {wait}; a request waits from 0 to {LONGEST_POLL_SECONDS} seconds");
            Err(Problem::field("wait_seconds", said))
        }
        wait => Ok(wait.map_or(POLL, Duration::from_secs_f64)),
    }
}

fn lease(asked: Option<f64>) -> Result<Duration, Problem> {
    match seconds("lease_seconds", asked)? {
        Some(Duration::ZERO) => Err(Problem::field("lease_seconds", "a permit has to live for a while")),
        asked => Ok(asked.unwrap_or(LEASE)),
    }
}
