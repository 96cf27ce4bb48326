//! Looking: at lanes, at everything, and at what would become of a request.

use std::sync::Arc;

use axum::Json as Written;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::answers::{Looking, LookingAt};
use super::bodies::ExplainQuery;
use super::views::{ExplainedBody, LaneBody, LimitBody, ResourceBody};
use crate::access::{Acquires, Reads};
use crate::app::App;
use crate::clock;
use crate::extract::Asked;
use crate::problem::Problem;

/// Everything at one instant.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Snapshot)]
pub(crate) struct SnapshotBody {
    /// When it was, by RFC 3339.
    at: String,
    /// The ledgers by name.
    ledgers: Vec<LedgerBody>,
}

/// A ledger at one instant: what an account draws on.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Ledger)]
pub(crate) struct LedgerBody {
    /// Its name.
    name: String,
    /// Its resources.
    resources: Vec<ResourceBody>,
    /// All its limits.
    limits: Vec<LimitBody>,
}

/// Says whether a request would go
///
/// And if not, when, what binds, and who is ahead. It asks for nothing.
#[utoipa::path(
    get, path = "/v1/explain", tag = "permits", params(ExplainQuery),
    responses((status = 200, description = "What would become of it.", body = ExplainedBody), LookingAt)
)]
pub(crate) async fn explain(
    State(app): State<Arc<App>>,
    Acquires(caller): Acquires,
    Asked(query): Asked<ExplainQuery>,
) -> Result<Written<ExplainedBody>, Problem> {
    let door = app.doors.find(&app.limiter, &app.meters, &query.resource)?;
    caller.may_use(door.resource.name())?;
    let mut acquire = door.resource.acquire(query.demand()?);
    if let Some(lane) = &query.lane {
        acquire = acquire.lane(lane.as_str());
    }
    let explained = acquire.explain();
    Ok(Written(ExplainedBody::from(&explained.await?)))
}

/// Lists the lanes that wait or are remembered
#[utoipa::path(
    get, path = "/v1/lanes", tag = "resources",
    responses((status = 200, description = "Those of the resources that the key is for.", body = Vec<LaneBody>), Looking)
)]
pub(crate) async fn lanes(
    State(app): State<Arc<App>>,
    Reads(caller): Reads,
) -> Result<Written<Vec<LaneBody>>, Problem> {
    let accounts = app.limiter.snapshot().await?;
    let resources = accounts.iter().flat_map(|account| &account.ledger.resources);
    let seen = resources.filter(|resource| caller.sees(&resource.name));
    let lanes =
        seen.flat_map(|resource| resource.lanes.iter().map(|lane| LaneBody::of(&resource.name, lane)));
    Ok(Written(lanes.collect()))
}

/// Shows everything
#[utoipa::path(
    get, path = "/v1/snapshot", tag = "resources",
    responses((status = 200, description = "Everything that the key is for.", body = SnapshotBody), Looking)
)]
pub(crate) async fn snapshot(
    State(app): State<Arc<App>>,
    Reads(caller): Reads,
) -> Result<Written<SnapshotBody>, Problem> {
    let accounts = app.limiter.snapshot().await?;
    let ledgers = accounts.iter().map(|account| {
        let seen = account.ledger.resources.iter().filter(|resource| caller.sees(&resource.name));
        let seen: Vec<_> = seen.collect();
        let drawn = account.ledger.limits.iter().filter(|limit| {
            !caller.is_bounded() || seen.iter().any(|resource| resource.limits.contains(&limit.name))
        });
        let resources = seen.iter().map(|resource| {
            let (owner, configuration) = app.catalog.owner(&resource.name);
            let mut body = ResourceBody::of(resource, &account.ledger.limits, owner);
            body.configuration = configuration;
            body
        });
        LedgerBody {
            name: account.name.to_string(),
            limits: drawn.map(LimitBody::from).collect(),
            resources: resources.collect(),
        }
    });
    let ledgers = ledgers.filter(|ledger| !caller.is_bounded() || !ledger.resources.is_empty());
    Ok(Written(SnapshotBody { at: clock::written(clock::unix_ms()), ledgers: ledgers.collect() }))
}
