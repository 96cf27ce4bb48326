//! What holds up those who wait: asked for once for everybody who watches, a lane at a time.

use std::collections::BTreeMap;

use paceline::core::{Explanation, LaneView, NEVER, ResourceView};
use paceline::{AccountSnapshot, Demand, Name};
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
    /// The limit that takes longest; absent where all have room for those who come first.
    limit: Option<String>,
    /// What is set aside of it for those who come first, the first of this lane among them.
    set_aside: Option<u64>,
    /// What is left of it; below zero is debt.
    left: Option<i64>,
    /// After what time the limit has room for them; absent where that takes releases.
    ready_in_seconds: Option<f64>,
}

impl HeldUp {
    /// Asks what holds up those who wait.
    pub(crate) async fn of(app: &App, accounts: &[AccountSnapshot]) -> Self {
        let mut waiting: Vec<(&Name, &ResourceView, &LaneView, Demand)> = Vec::new();
        for account in accounts {
            for resource in account.ledger.resources.iter().filter(|resource| resource.waiting > 0) {
                let least = least(account, resource);
                let lanes = resource.lanes.iter().filter(|lane| lane.waiting > 0);
                waiting.extend(lanes.map(|lane| (&account.name, resource, lane, least.clone())));
            }
        }
        let mut all = BTreeMap::new();
        for (ledger, resource, lane, least) in waiting.into_iter().take(MOST) {
            let explained = match &app.lookout.host {
                Some(host) => host.explain(ledger, &resource.name, lane.name.as_deref()),
                None => explained(app, &resource.name, lane, least).await,
            };
            if let Some(explanation) = explained {
                let of = all.entry(Name::clone(&resource.name)).or_insert_with(Vec::new);
                of.push(body(lane, &explanation));
            }
        }
        Self(all)
    }

    /// Returns what holds up the lanes of a resource.
    pub(crate) fn lanes(&self, resource: &str) -> &[HeldUpBody] {
        self.0.get(resource).map(Vec::as_slice).unwrap_or_default()
    }
}

/// Returns one of everything that the limits of a resource count.
fn least(account: &AccountSnapshot, resource: &ResourceView) -> Demand {
    let drawn = account.ledger.limits.iter().filter(|limit| resource.limits.contains(&limit.name));
    let own = drawn.filter(|limit| !matches!(&*limit.metric, "requests" | "concurrent_requests"));
    own.fold(Demand::new(), |demand, limit| demand.metric(&limit.metric, 1))
}

async fn explained(app: &App, resource: &str, lane: &LaneView, least: Demand) -> Option<Explanation> {
    let door = app.doors.find(&app.limiter, &app.meters, resource).ok()?;
    let mut acquire = door.resource.acquire(least);
    if let Some(name) = &lane.name {
        acquire = acquire.lane(Name::clone(name));
    }
    Some(acquire.explain().await.ok()?.explanation)
}

fn body(lane: &LaneView, explanation: &Explanation) -> HeldUpBody {
    let binds = explanation.limits.first().filter(|binding| binding.ready_in > 0);
    HeldUpBody {
        lane: lane.name.as_deref().map(str::to_owned),
        limit: binds.map(|binding| binding.limit.to_string()),
        set_aside: binds.map(|binding| binding.set_aside),
        left: binds.map(|binding| binding.left),
        ready_in_seconds: binds
            .filter(|binding| binding.ready_in != NEVER)
            .and_then(|binding| seconds(binding.ready_in)),
    }
}
