//! What a store looks like at one instant: the shape of `GET /v1/snapshot`, whichever store it is.

use serde::{Deserialize, Serialize};

/// Everything that was seen in one look. Durations are in seconds; absent is "without end", or "not known".
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sample {
    /// When it was, by RFC 3339.
    pub(crate) at: String,
    pub(crate) ledgers: Vec<Ledger>,
}

/// A ledger: what an account draws on.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Ledger {
    pub(crate) name: String,
    pub(crate) resources: Vec<Resource>,
    /// How long it grants nothing, so that its sessions can report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) held_off_seconds: Option<f64>,
}

/// A resource.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Resource {
    pub(crate) name: String,
    pub(crate) waiting: u64,
    pub(crate) in_flight: u64,
    pub(crate) paused: bool,
    pub(crate) paused_for_seconds: Option<f64>,
    pub(crate) limits: Vec<Limit>,
    pub(crate) lanes: Vec<Lane>,
}

/// A limit.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Limit {
    pub(crate) name: String,
    pub(crate) metric: String,
    pub(crate) amount: u64,
    /// Absent for what is in flight.
    pub(crate) window_seconds: Option<f64>,
    pub(crate) most: u64,
    pub(crate) used: u64,
    pub(crate) held: u64,
    pub(crate) left: i64,
    pub(crate) full_in_seconds: Option<f64>,
    pub(crate) paused: bool,
    pub(crate) paused_for_seconds: Option<f64>,
    pub(crate) shadow: bool,
    /// What has come back since it was configured, where the store tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) came_back: Option<u64>,
}

/// A lane of a resource's line.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Lane {
    pub(crate) name: Option<String>,
    pub(crate) waiting: u64,
    pub(crate) oldest_seconds: Option<f64>,
    pub(crate) granted: u64,
    /// What those who wait want in all, by metric, where the store tells it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) demand: Vec<(String, u64)>,
}

impl Sample {
    /// Iterates over all resources.
    pub(crate) fn resources(&self) -> impl Iterator<Item = &Resource> {
        self.ledgers.iter().flat_map(|ledger| &ledger.resources)
    }
}

impl Resource {
    /// Returns how long the first of the line has waited, in seconds.
    pub(crate) fn oldest(&self) -> Option<f64> {
        let waiting = self.lanes.iter().filter(|lane| lane.waiting > 0);
        waiting.filter_map(|lane| lane.oldest_seconds).reduce(f64::max)
    }

    /// Returns how many permits its lanes were granted that are remembered.
    pub(crate) fn granted(&self) -> u64 {
        self.lanes.iter().map(|lane| lane.granted).sum()
    }

    /// Returns what a waiting call wants of a metric on average, where the store tells it.
    pub(crate) fn wanted(&self, metric: &str) -> Option<f64> {
        let lanes = || self.lanes.iter().filter(|lane| lane.waiting > 0 && !lane.demand.is_empty());
        let waiting: u64 = lanes().map(|lane| lane.waiting).sum();
        let demand = lanes().flat_map(|lane| &lane.demand).filter(|(name, _)| name == metric);
        let sum: u64 = demand.map(|(_, sum)| *sum).sum();
        (waiting > 0).then(|| count(sum) / count(waiting))
    }
}

impl Limit {
    /// Returns its name without that of the resource in front.
    pub(crate) fn short(&self, resource: &str) -> &str {
        let rest = self.name.strip_prefix(resource).and_then(|rest| rest.strip_prefix('/'));
        rest.unwrap_or(&self.name)
    }

    /// Returns whether it counts what is in flight.
    pub(crate) fn is_concurrency(&self) -> bool {
        self.window_seconds.is_none()
    }
}

/// Returns a count as a number to reckon with.
#[expect(clippy::cast_precision_loss, reason = "what is shown has fewer digits")]
pub(crate) fn count(number: u64) -> f64 {
    number as f64
}

/// Returns a count that may be a debt as a number to reckon with.
#[expect(clippy::cast_precision_loss, reason = "what is shown has fewer digits")]
pub(crate) fn signed(number: i64) -> f64 {
    number as f64
}
