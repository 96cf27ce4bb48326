//! What holds up those who wait: asked for once for everybody who watches, a lane at a time, for a call of the size that
//! is usual in it.

use std::collections::BTreeMap;

use paceline::core::{LaneView, Metric, NEVER, ResourceView};
use paceline::{AccountSnapshot, Demand, Name, Outlook};
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::views::seconds;
use crate::app::App;

/// How many lanes are asked about at once.
const MOST: usize = 64;

/// What holds up the lanes of each resource that waits.
#[derive(Debug, Default)]
pub(crate) struct HeldUp(BTreeMap<Name, Vec<HeldUpBody>>);

/// What holds up a lane.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = HeldUp)]
pub(crate) struct HeldUpBody {
    /// The lane; absent for callers that name none.
    lane: Option<String>,
    /// The limit that takes longest; absent where no limit binds.
    limit: Option<String>,
    /// What a call of the size that is usual in the lane wants of it.
    wanted: Option<u64>,
    /// After what time the limit has room for it, those who come first served; absent where that takes releases.
    ready_in_seconds: Option<f64>,
    /// How long a call that joined now would wait, where that can be told.
    expected_wait_seconds: Option<f64>,
}

impl HeldUp {
    /// Asks what holds up those who wait.
    pub(crate) async fn of(app: &App, accounts: &[AccountSnapshot]) -> Self {
        let mut all = BTreeMap::new();
        let mut waiting: Vec<(&ResourceView, &LaneView)> = Vec::new();
        for resource in accounts.iter().flat_map(|account| &account.ledger.resources) {
            waiting.extend(resource.lanes.iter().filter(|lane| lane.waiting > 0).map(|lane| (resource, lane)));
        }
        for (resource, lane) in waiting.into_iter().take(MOST) {
            if let Some(body) = explained(app, &resource.name, lane).await {
                all.entry(Name::clone(&resource.name)).or_insert_with(Vec::new).push(body);
            }
        }
        Self(all)
    }

    /// Returns what holds up the lanes of a resource.
    pub(crate) fn lanes(&self, resource: &str) -> &[HeldUpBody] {
        self.0.get(resource).map(Vec::as_slice).unwrap_or_default()
    }
}

async fn explained(app: &App, resource: &str, lane: &LaneView) -> Option<HeldUpBody> {
    let door = app.doors.find(&app.limiter, &app.meters, resource).ok()?;
    let mut acquire = door.resource.acquire(usual(lane));
    if let Some(name) = &lane.name {
        acquire = acquire.lane(&**name);
    }
    let outlook = acquire.explain().await.ok()?;
    Some(body(lane, &outlook))
}

fn body(lane: &LaneView, outlook: &Outlook) -> HeldUpBody {
    let binds = outlook.explanation.limits.first().filter(|binding| binding.ready_in > 0);
    HeldUpBody {
        lane: lane.name.as_deref().map(str::to_owned),
        limit: binds.map(|binding| binding.limit.to_string()),
        wanted: binds.map(|binding| binding.wanted),
        ready_in_seconds: binds.filter(|binding| binding.ready_in != NEVER).and_then(|binding| seconds(binding.ready_in)),
        expected_wait_seconds: outlook.expected_wait.map(|wait| wait.as_secs_f64()),
    }
}

/// Returns what a ticket of the lane wants on average.
fn usual(lane: &LaneView) -> Demand {
    let own = |(metric, amount): (Metric, u64)| {
        let name = Metric::KNOWN.get(metric.index()).filter(|name| **name != "concurrent_requests")?;
        Some((*name, (amount / lane.waiting.max(1)).max(1)))
    };
    lane.demand.iter().filter_map(own).fold(Demand::new(), |demand, (name, amount)| demand.metric(name, amount))
}
