//! What came out of a simulation.

use std::collections::BTreeMap;

use paceline_core::{Algorithm, Boundaries, LimitSpec, Millis, Name, Refusal};
use serde::Serialize;

use super::Call;
use super::draw::real;
use super::engine::counted;
use super::series::Series;

/// What came out. Times are in milliseconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Calls that were asked for.
    pub arrived: u64,
    /// Calls that were granted.
    pub granted: u64,
    /// Calls that were refused.
    pub refused: u64,
    /// Calls that wait for what never comes.
    pub waiting: u64,
    /// From the first arrival to the last end.
    pub makespan_ms: Millis,
    /// The last grant, from the first arrival on.
    pub last_grant_ms: Millis,
    /// Calls that were granted after one of their lane that had come later.
    pub overtaken: u64,
    /// Tokens that went back to whoever was next.
    pub tokens_returned: u64,
    /// Waits, by resource and lane.
    pub lanes: Vec<LaneReport>,
    /// Limits, in the order of the configuration.
    pub limits: Vec<LimitReport>,
    /// What they looked like over time.
    pub series: Series,
}

/// The waits of one lane of a resource, in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LaneReport {
    /// The resource.
    pub resource: String,
    /// The lane, where callers named one.
    pub lane: Option<String>,
    /// Calls that were granted.
    pub granted: u64,
    /// Calls that were refused, by reason.
    pub refused: BTreeMap<String, u64>,
    /// Half of the calls waited no longer.
    pub wait_p50_ms: Millis,
    /// Nine in ten waited no longer.
    pub wait_p90_ms: Millis,
    /// Ninety-nine in a hundred waited no longer.
    pub wait_p99_ms: Millis,
    /// Nobody waited longer.
    pub wait_max_ms: Millis,
}

/// How much of a limit was used.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LimitReport {
    /// The limit.
    pub limit: String,
    /// Its metric.
    pub metric: String,
    /// What calls used of it.
    pub used: u64,
    /// What there was of it from the first arrival to the last end; for calls in flight, milliseconds of them.
    pub available: u64,
    /// The one divided by the other.
    pub utilisation: f64,
}

/// What is counted while a simulation runs.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    pub(super) arrived: u64,
    first_ms: Option<Millis>,
    granted: u64,
    refused: u64,
    last_grant_ms: Millis,
    last_end_ms: Millis,
    overtaken: u64,
    returned: u64,
    lanes: BTreeMap<(Name, Option<Name>), Waits>,
    /// By resource, lane and metric: what was used; in flight, the milliseconds.
    used: BTreeMap<(Name, Option<Name>), BTreeMap<String, u64>>,
}

#[derive(Debug, Clone, Default)]
struct Waits {
    granted_after: Vec<Millis>,
    latest: u64,
    refused: BTreeMap<String, u64>,
}

impl Tally {
    pub(super) fn decided(&self) -> u64 {
        self.granted + self.refused
    }

    pub(super) fn arrive(&mut self, call: &Call) {
        self.arrived += 1;
        self.first_ms.get_or_insert(call.at_ms);
    }

    pub(super) fn grant(&mut self, call: &Call, number: u64, now_ms: Millis, waited: Millis) {
        self.granted += 1;
        self.last_grant_ms = now_ms;
        let lane = self.lanes.entry((call.resource.clone(), call.lane.clone())).or_default();
        self.overtaken += u64::from(number < lane.latest);
        lane.latest = lane.latest.max(number);
        lane.granted_after.push(waited);
        let used = self.used.entry((call.resource.clone(), call.lane.clone())).or_default();
        for (metric, amount) in counted(call) {
            let amount = if metric == "concurrent_requests" { amount * call.duration_ms } else { amount };
            match used.get_mut(metric) {
                Some(sum) => *sum += amount,
                None => drop(used.insert(metric.to_owned(), amount)),
            }
        }
    }

    pub(super) fn refuse(&mut self, call: &Call, refusal: &Refusal) {
        self.refused += 1;
        let lane = self.lanes.entry((call.resource.clone(), call.lane.clone())).or_default();
        *lane.refused.entry(reason(refusal).to_owned()).or_default() += 1;
    }

    pub(super) fn settle(&mut self, now_ms: Millis, returned_tokens: u64) {
        self.last_end_ms = now_ms;
        self.returned += returned_tokens;
    }

    pub(super) fn report(&self, limits: &[LimitSpec], series: &Series, waiting: u64) -> Report {
        let first_ms = self.first_ms.unwrap_or(0);
        let makespan_ms = self.last_end_ms.saturating_sub(first_ms);
        Report {
            arrived: self.arrived,
            granted: self.granted,
            refused: self.refused,
            waiting,
            makespan_ms,
            last_grant_ms: self.last_grant_ms.saturating_sub(first_ms),
            overtaken: self.overtaken,
            tokens_returned: self.returned,
            lanes: self.lanes.iter().map(|(lane, waits)| waits.report(lane)).collect(),
            limits: limits.iter().map(|limit| self.limit(limit, makespan_ms)).collect(),
            series: series.clone(),
        }
    }

    fn limit(&self, limit: &LimitSpec, span_ms: Millis) -> LimitReport {
        let draws = |(resource, lane): &(Name, Option<Name>)| {
            let member = limit.members.iter().find(|member| member.resource == *resource);
            member.is_some_and(|member| member.lanes.contain(lane.as_deref()))
        };
        let drawn = self.used.iter().filter(|(lane, _)| draws(lane));
        let used = drawn.filter_map(|(_, used)| used.get(&*limit.metric)).sum();
        let available = available(limit, span_ms);
        let utilisation = (real(used) / real(available.max(1)) * 10_000.0).round() / 10_000.0;
        LimitReport {
            limit: limit.id.to_string(),
            metric: limit.metric.to_string(),
            used,
            available,
            utilisation,
        }
    }
}

impl Waits {
    fn report(&self, (resource, lane): &(Name, Option<Name>)) -> LaneReport {
        let mut waits = self.granted_after.clone();
        waits.sort_unstable();
        LaneReport {
            resource: resource.to_string(),
            lane: lane.as_deref().map(str::to_owned),
            granted: u64::try_from(waits.len()).unwrap_or(u64::MAX),
            refused: self.refused.clone(),
            wait_p50_ms: percentile(&waits, 50),
            wait_p90_ms: percentile(&waits, 90),
            wait_p99_ms: percentile(&waits, 99),
            wait_max_ms: percentile(&waits, 100),
        }
    }
}

/// Returns the smallest of ascending values that so many percent of them do not exceed; 0 where there are none.
pub fn percentile(ascending: &[Millis], percent: usize) -> Millis {
    let index = (ascending.len() * percent).div_ceil(100).saturating_sub(1);
    ascending.get(index).copied().unwrap_or(0)
}

/// Returns what there is of a limit in a span: what it begins with, and what comes back.
fn available(limit: &LimitSpec, span_ms: Millis) -> u64 {
    let flow = |begins_with: u64, window: Millis| {
        let back = u128::from(limit.amount) * u128::from(span_ms) / u128::from(window.max(1));
        begins_with.saturating_add(u64::try_from(back).unwrap_or(u64::MAX))
    };
    match &limit.algorithm {
        Algorithm::TokenBucket { window, burst } => flow(*burst, *window),
        Algorithm::SlidingWindow { window, .. } => flow(limit.amount, *window),
        Algorithm::FixedWindow { boundaries: Boundaries::Every { period, .. }, .. } => {
            flow(limit.amount, *period)
        }
        Algorithm::FixedWindow { boundaries: Boundaries::At(instants), .. } => {
            let period = instants.windows(2).map(|pair| pair[1] - pair[0]).min().unwrap_or(Millis::MAX);
            flow(limit.amount, period)
        }
        Algorithm::Concurrency => limit.amount.saturating_mul(span_ms),
    }
}

fn reason(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::Impossible { .. } => "impossible",
        Refusal::TooLate { .. } => "too late",
        Refusal::LineFull { .. } => "line full",
        Refusal::Busy { .. } => "busy",
        Refusal::Paused { .. } => "paused",
        Refusal::UnknownLane { .. } => "unknown lane",
        Refusal::NoResource => "unknown resource",
        Refusal::Purged => "purged",
    }
}
