//! What is done with permits, and use that nobody asked for.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use axum::Json as Written;
use axum::extract::State;
use axum::http::StatusCode;
use paceline::{PermitId, Settled};

use super::acquire::permit_id;
use super::answers::{Ending, Looking, Ordering};
use super::bodies::{AmendBody, RecordBody, RenewBody, UsageBody};
use super::views::{PermitBody, SettledView};
use crate::access::{Acquires, Reads};
use crate::app::App;
use crate::extract::{Json, MaybeJson, Named};
use crate::meters::Moved;
use crate::problem::Problem;
use paceline::plain::PlainEnd;

/// Settles a permit
///
/// Replaces what it reserved by what the call used: the difference goes back, or is charged. What is not said was used
/// as reserved.
#[utoipa::path(
    post, path = "/v1/permits/{permit}/settle", tag = "permits", request_body = Option<UsageBody>,
    params(("permit" = String, Path, description = "The permit")),
    responses((status = 200, description = "Settled.", body = SettledView), Ending)
)]
pub(crate) async fn settle(
    State(app): State<Arc<App>>,
    _: Acquires,
    Named(permit): Named,
    MaybeJson(body): MaybeJson<UsageBody>,
) -> Result<Written<SettledView>, Problem> {
    let usage = body.usage()?;
    end(&app, &permit, PlainEnd::Settle(usage)).await
}

/// Gives a permit back
///
/// For a call that never left: everything goes back, as far as the limits allow.
#[utoipa::path(
    post, path = "/v1/permits/{permit}/give-back", tag = "permits",
    params(("permit" = String, Path, description = "The permit")),
    responses((status = 200, description = "Given back.", body = SettledView), Ending)
)]
pub(crate) async fn give_back(
    State(app): State<Arc<App>>,
    _: Acquires,
    Named(permit): Named,
) -> Result<Written<SettledView>, Problem> {
    end(&app, &permit, PlainEnd::GiveBack).await
}

/// Renews a permit
///
/// It lives for `lease_seconds` from now on.
#[utoipa::path(
    post, path = "/v1/permits/{permit}/renew", tag = "permits", request_body = Option<RenewBody>,
    params(("permit" = String, Path, description = "The permit")),
    responses((status = 204, description = "Renewed."), Ending)
)]
pub(crate) async fn renew(
    State(app): State<Arc<App>>,
    _: Acquires,
    Named(permit): Named,
    MaybeJson(body): MaybeJson<RenewBody>,
) -> Result<StatusCode, Problem> {
    let (permit, lease) = (permit_id(&permit)?, body.lease()?);
    app.limiter.plain_renew(&permit, lease).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Amends a permit
///
/// Lowers or raises what it reserves; what is not said stays. It never waits: what is raised is charged at once.
#[utoipa::path(
    post, path = "/v1/permits/{permit}/amend", tag = "permits", request_body = AmendBody,
    params(("permit" = String, Path, description = "The permit")),
    responses((status = 200, description = "Amended.", body = SettledView), Ending)
)]
pub(crate) async fn amend(
    State(app): State<Arc<App>>,
    _: Acquires,
    Named(permit): Named,
    Json(body): Json<AmendBody>,
) -> Result<Written<SettledView>, Problem> {
    let (permit, demand) = (permit_id(&permit)?, body.demand()?);
    let settled = app.limiter.plain_amend(&permit, demand).await?;
    Ok(Written(SettledView::from(&settled)))
}

/// Lists the permits that are out
#[utoipa::path(
    get, path = "/v1/permits", tag = "permits", operation_id = "list_permits",
    responses((status = 200, description = "Those of the resources that the key is for.", body = Vec<PermitBody>), Looking)
)]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Reads(caller): Reads,
) -> Result<Written<Vec<PermitBody>>, Problem> {
    let permits = app.limiter.permits().await?;
    let seen = permits.iter().filter(|permit| caller.sees(&permit.resource));
    Ok(Written(seen.map(PermitBody::from).collect()))
}

/// Records use
///
/// Charges use that nobody asked for. It may lead to debt, which callers wait out.
#[utoipa::path(
    post, path = "/v1/record", tag = "permits", request_body = RecordBody,
    responses((status = 204, description = "Recorded."), Ordering)
)]
pub(crate) async fn record(
    State(app): State<Arc<App>>,
    Acquires(caller): Acquires,
    Json(body): Json<RecordBody>,
) -> Result<StatusCode, Problem> {
    let door = app.doors.find(&app.limiter, &app.meters, &body.resource)?;
    caller.may_use(door.resource.name())?;
    door.resource.record(body.usage()?).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn end(app: &App, permit: &str, how: PlainEnd) -> Result<Written<SettledView>, Problem> {
    let permit = permit_id(permit)?;
    let settled = app.limiter.plain_end(&permit, how).await?;
    app.meters.settles.fetch_add(1, Relaxed);
    count(app, &permit, &settled);
    Ok(Written(SettledView::from(&settled)))
}

fn count(app: &App, permit: &PermitId, settled: &Settled) {
    for (metric, amount) in settled.all_returned() {
        app.meters.moved(Moved::Returned, permit.ledger(), &metric, amount);
    }
    for (metric, amount) in settled.all_charged() {
        app.meters.moved(Moved::Charged, permit.ledger(), &metric, amount);
    }
}
