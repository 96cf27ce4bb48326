//! What answers say.

use std::collections::BTreeMap;
use std::time::Duration;

use paceline::core::{LaneView, LimitView, NEVER, ResourceView};
use paceline::{Outlook, PermitInfo, Settled};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::catalog::Owner;

/// A permit was granted.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Granted)]
pub(crate) struct GrantedView {
    /// Always `granted`.
    #[schema(example = "granted")]
    pub(crate) status: &'static str,
    /// The permit, by which it is settled.
    #[schema(example = "openai.7c9e6679f1b94c0fb0a55d5c1d2e3f40.1")]
    pub(crate) permit: String,
    /// How long it waited.
    pub(crate) waited_seconds: f64,
    /// How long it lives that nobody settles or renews.
    pub(crate) lease_seconds: f64,
}

/// A ticket waits in line.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Waiting)]
pub(crate) struct WaitingView {
    /// Always `waiting`.
    #[schema(example = "waiting")]
    pub(crate) status: &'static str,
    /// The place in line.
    pub(crate) ticket: String,
    /// How many others wait before it in its lane.
    pub(crate) ahead: u64,
    /// How long the wait is expected to be, where that can be told.
    pub(crate) expected_wait_seconds: Option<f64>,
    /// Where to poll.
    pub(crate) poll: String,
    /// How long the place is kept without a poll.
    pub(crate) keep_seconds: f64,
}

/// What a settlement or an amendment moved.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Settled)]
pub(crate) struct SettledView {
    /// What went back, by metric.
    pub(crate) returned: BTreeMap<String, u64>,
    /// What was charged beyond the reservation, by metric.
    pub(crate) charged: BTreeMap<String, u64>,
}

/// A limit at one instant.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Limit)]
pub(crate) struct LimitBody {
    /// Its name.
    name: String,
    /// What it counts.
    metric: String,
    /// The amount per window, as it is in force.
    amount: u64,
    /// The window; absent for what is in flight.
    window_seconds: Option<f64>,
    /// The most that it can grant at once.
    most: u64,
    /// What is used and has not come back.
    used: u64,
    /// What is held apart for permits that have not settled.
    held: u64,
    /// What is left; below zero is debt.
    left: i64,
    /// When all of it would be there again; absent where that takes releases.
    full_in_seconds: Option<f64>,
    /// Whether it is paused.
    paused: bool,
    /// What is left of its pause; absent where that has no end, or there is none.
    paused_for_seconds: Option<f64>,
    /// Whether it is counted and never asked.
    shadow: bool,
}

/// A lane at one instant.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Lane)]
pub(crate) struct LaneBody {
    /// The resource.
    resource: String,
    /// Its name; absent for callers that name no lane.
    name: Option<String>,
    /// How many tickets wait.
    waiting: u64,
    /// How long the first of them has waited.
    oldest_seconds: Option<f64>,
    /// How many permits it was granted since it was last forgotten.
    granted: u64,
}

/// A resource at one instant.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Resource)]
pub(crate) struct ResourceBody {
    /// Its name.
    pub(crate) name: String,
    /// Who says what its limits are.
    pub(crate) owner: Owner,
    /// What was put over the API; absent where the file says it.
    #[schema(value_type = Option<Object>)]
    pub(crate) configuration: Option<Map<String, Value>>,
    /// How many tickets wait.
    waiting: u64,
    /// How many permits are out.
    in_flight: u64,
    /// Whether it is paused.
    paused: bool,
    /// What is left of its pause; absent where that has no end, or there is none.
    paused_for_seconds: Option<f64>,
    /// Its limits.
    limits: Vec<LimitBody>,
    /// Its lanes that wait or are remembered.
    lanes: Vec<LaneBody>,
}

/// Whether something would go.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Explained)]
pub(crate) struct ExplainedBody {
    /// Whether it would be granted at once.
    goes: bool,
    /// After what time the limits alone would let it go; absent where that takes releases or a resume.
    ready_in_seconds: Option<f64>,
    /// How long the wait would be, others in line included, where that can be told.
    expected_wait_seconds: Option<f64>,
    /// How many wait before it in its lane.
    ahead: u64,
    /// How long the first of them has waited.
    head_waited_seconds: Option<f64>,
    /// Whether the resource is paused.
    paused: bool,
    /// Its limits, the one that takes longest first.
    limits: Vec<BindingBody>,
}

/// What one limit says to a demand.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Binding)]
pub(crate) struct BindingBody {
    /// The limit.
    limit: String,
    /// What is wanted of it.
    wanted: u64,
    /// What is left; below zero is debt.
    left: i64,
    /// What is set aside for those who come first.
    set_aside: u64,
    /// The most that it can ever grant at once.
    most: u64,
    /// After what time it has room; absent where that takes releases.
    ready_in_seconds: Option<f64>,
}

/// A permit that is out.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Permit)]
pub(crate) struct PermitBody {
    /// Its id.
    permit: String,
    /// Its resource.
    resource: String,
    /// Its lane.
    lane: Option<String>,
    /// How long ago it was granted.
    age_seconds: f64,
    /// What it reserves, by metric.
    reserved: BTreeMap<String, u64>,
}

/// Returns milliseconds as seconds; nothing where they never end.
pub(crate) fn seconds(ms: u64) -> Option<f64> {
    (ms != NEVER).then(|| Duration::from_millis(ms).as_secs_f64())
}

impl From<&Settled> for SettledView {
    fn from(settled: &Settled) -> Self {
        let named = |amounts: Vec<(paceline::Name, u64)>| {
            amounts.into_iter().map(|(metric, amount)| (metric.to_string(), amount)).collect()
        };
        Self { returned: named(settled.all_returned()), charged: named(settled.all_charged()) }
    }
}

impl From<&LimitView> for LimitBody {
    fn from(limit: &LimitView) -> Self {
        Self {
            name: limit.name.to_string(),
            metric: limit.metric.to_string(),
            amount: limit.amount,
            window_seconds: seconds(limit.window).filter(|window| *window > 0.0),
            most: limit.most,
            used: limit.used,
            held: limit.held,
            left: limit.left,
            full_in_seconds: seconds(limit.full_in),
            paused: limit.paused_for.is_some(),
            paused_for_seconds: limit.paused_for.and_then(seconds),
            shadow: limit.shadow,
        }
    }
}

impl LaneBody {
    /// Shows a lane of a resource.
    pub(crate) fn of(resource: &str, lane: &LaneView) -> Self {
        Self {
            resource: resource.to_owned(),
            name: lane.name.as_deref().map(str::to_owned),
            waiting: lane.waiting,
            oldest_seconds: lane.oldest.and_then(seconds),
            granted: lane.granted,
        }
    }
}

impl ResourceBody {
    /// Shows a resource with those of its ledger's limits that it draws on.
    pub(crate) fn of(resource: &ResourceView, limits: &[LimitView], owner: Owner) -> Self {
        let drawn = limits.iter().filter(|limit| resource.limits.contains(&limit.name));
        Self {
            name: resource.name.to_string(),
            owner,
            configuration: None,
            waiting: resource.waiting,
            in_flight: resource.in_flight,
            paused: resource.paused_for.is_some(),
            paused_for_seconds: resource.paused_for.and_then(seconds),
            limits: drawn.map(LimitBody::from).collect(),
            lanes: resource.lanes.iter().map(|lane| LaneBody::of(&resource.name, lane)).collect(),
        }
    }
}

impl From<&Outlook> for ExplainedBody {
    fn from(outlook: &Outlook) -> Self {
        let said = &outlook.explanation;
        let limits = said.limits.iter().map(|binding| BindingBody {
            limit: binding.limit.to_string(),
            wanted: binding.wanted,
            left: binding.left,
            set_aside: binding.set_aside,
            most: binding.most,
            ready_in_seconds: seconds(binding.ready_in),
        });
        Self {
            goes: said.goes,
            ready_in_seconds: seconds(said.ready_in),
            expected_wait_seconds: outlook.expected_wait.map(|wait| wait.as_secs_f64()),
            ahead: said.ahead,
            head_waited_seconds: said.head_waited.and_then(seconds),
            paused: said.paused_for.is_some(),
            limits: limits.collect(),
        }
    }
}

impl From<&PermitInfo> for PermitBody {
    fn from(permit: &PermitInfo) -> Self {
        Self {
            permit: permit.id.to_string(),
            resource: permit.resource.to_string(),
            lane: permit.lane.as_deref().map(str::to_owned),
            age_seconds: permit.age.as_secs_f64(),
            reserved: permit.reserved.iter().map(|(metric, amount)| (metric.to_string(), *amount)).collect(),
        }
    }
}
