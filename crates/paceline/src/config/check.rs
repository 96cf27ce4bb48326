//! What the limits of a resource can sustain, given how its calls are.

use paceline_core::{Algorithm, Boundaries, Counting, LimitSpec};

use super::compiled::{CompiledLedger, CompiledResource};
use crate::provider::{Call, Usage};

/// A call as it usually is.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Typical {
    /// What is known of it beforehand, and so reserved.
    pub call: Call,
    /// What it uses in the end.
    pub usage: Usage,
    /// How long it lasts, in milliseconds.
    pub duration: u64,
}

/// What one limit of a resource sustains.
#[derive(Debug, Clone, PartialEq)]
pub struct Sustained {
    /// The resource.
    pub resource: String,
    /// The limit.
    pub limit: String,
    /// The metric.
    pub metric: String,
    /// How much of the metric comes back a minute; infinite for calls in flight.
    pub amount_per_minute: f64,
    /// How many such calls a minute it sustains; infinite where they draw nothing.
    pub calls_per_minute: f64,
    /// The part of the limit's rate that these calls can use, up to 1: what burst, reservation and duration take away.
    pub share: f64,
    /// Whether no such call can ever be granted.
    pub impossible: bool,
}

/// Returns what each limit of each resource of a ledger sustains, for calls of a kind.
///
/// ```
/// use paceline::config::{Config, Typical, check};
/// use paceline::provider::{Call, Usage};
///
/// let text = "anthropic: {claude: {output_tokens_per_minute: 60_000}}";
/// let compiled = Config::parse("limits.yaml", text)?.compile(0)?;
/// let typical = Typical {
///     call: Call::new().input_tokens(500).expected_output_tokens(1_000),
///     usage: Usage::new().input_tokens(500).output_tokens(500),
///     duration: 10_000,
/// };
/// let sustained = check(&compiled.ledgers[0], &typical);
/// assert_eq!(sustained[0].calls_per_minute, 120.0);
/// # Ok::<(), paceline::config::ConfigError>(())
/// ```
pub fn check(ledger: &CompiledLedger, typical: &Typical) -> Vec<Sustained> {
    let of_resource = |resource: &CompiledResource| {
        let limits = ledger.configuration.limits.iter();
        let drawn =
            limits.filter(|limit| limit.members.iter().any(|member| *member.resource == *resource.name));
        drawn.map(|limit| sustained(resource, limit, typical)).collect::<Vec<_>>()
    };
    ledger.resources.iter().flat_map(of_resource).collect()
}

const MINUTE: f64 = 60_000.0;

fn sustained(resource: &CompiledResource, limit: &LimitSpec, typical: &Typical) -> Sustained {
    let reserved = resource.profile.reserve(&typical.call).get(&limit.metric).unwrap_or(0);
    let used = resource.profile.settle(&typical.usage).get(&limit.metric).unwrap_or(reserved);
    let pace =
        Pace { limit, reserved: float(reserved), used: float(used), duration: float(typical.duration) };
    let calls = pace.calls_per_millisecond() * MINUTE;
    let amount = pace.amount_per_millisecond() * MINUTE;
    let ideal = if used == 0 { f64::INFINITY } else { amount / float(used) };
    Sustained {
        resource: resource.name.clone(),
        limit: limit.id.to_string(),
        metric: limit.metric.to_string(),
        amount_per_minute: amount,
        calls_per_minute: calls,
        share: if ideal.is_finite() { (calls / ideal).min(1.0) } else { 1.0 },
        impossible: reserved > pace.most_at_once(),
    }
}

/// One limit under calls of one kind.
struct Pace<'a> {
    limit: &'a LimitSpec,
    reserved: f64,
    used: f64,
    duration: f64,
}

impl Pace<'_> {
    /// In the steady state the calls in flight have taken more than they use in the end: all that they reserve where it
    /// is held apart until settled, else what will come back.
    fn in_flight(&self) -> f64 {
        let beyond = match self.limit.counting {
            Counting::UntilSettled => self.reserved,
            Counting::AtGrant => (self.reserved - self.used).max(0.0),
        };
        beyond * self.duration
    }

    fn calls_per_millisecond(&self) -> f64 {
        let amount = float(self.limit.amount);
        match &self.limit.algorithm {
            Algorithm::Concurrency => amount / (self.reserved * self.duration),
            Algorithm::TokenBucket { .. } => {
                let by_rate = self.amount_per_millisecond() / self.used;
                by_rate.min(self.burst() / self.in_flight())
            }
            Algorithm::SlidingWindow { .. } | Algorithm::FixedWindow { .. } => {
                let in_window =
                    if self.used > 0.0 { self.used * amount / self.amount_per_millisecond() } else { 0.0 };
                amount / (in_window + self.in_flight())
            }
        }
    }

    fn amount_per_millisecond(&self) -> f64 {
        let amount = float(self.limit.amount);
        match &self.limit.algorithm {
            Algorithm::Concurrency => f64::INFINITY,
            Algorithm::TokenBucket { window, .. } => amount / (float(*window) + self.spacing()),
            Algorithm::SlidingWindow { window, slots } => {
                let slot = window.div_ceil(u64::from((*slots).max(1)));
                amount / float(window + slot + self.limit.transit)
            }
            Algorithm::FixedWindow { boundaries: Boundaries::Every { period, .. }, .. } => {
                amount / float(*period)
            }
            Algorithm::FixedWindow { boundaries: Boundaries::At(instants), .. } => {
                let ends = instants.first().zip(instants.last());
                let span = ends.map_or(0, |(first, last)| last - first);
                let periods = u64::try_from(instants.len()).map_or(0, |count| count.saturating_sub(1));
                amount * float(periods) / float(span.max(1))
            }
        }
    }

    /// What the transit takes off the burst, and, where that would leave nothing, adds to the window.
    fn spacing(&self) -> f64 {
        let Algorithm::TokenBucket { burst, .. } = self.limit.algorithm else { return 0.0 };
        if self.in_transit() < burst { 0.0 } else { float(self.limit.amount) * float(self.limit.transit) }
    }

    fn in_transit(&self) -> u64 {
        let Algorithm::TokenBucket { window, .. } = self.limit.algorithm else { return 0 };
        let product = u128::from(self.limit.amount) * u128::from(self.limit.transit);
        u64::try_from(product.div_ceil(u128::from(window.max(1)))).unwrap_or(u64::MAX)
    }

    fn burst(&self) -> f64 {
        float(self.most_at_once())
    }

    fn most_at_once(&self) -> u64 {
        match self.limit.algorithm {
            Algorithm::TokenBucket { burst, .. } => burst.saturating_sub(self.in_transit()).max(1),
            _ => self.limit.amount,
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "amounts lie below 2^50")]
fn float(number: u64) -> f64 {
    number as f64
}
