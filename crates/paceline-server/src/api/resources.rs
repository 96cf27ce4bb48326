//! Resources and their limits: looked at, changed, and held up.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use axum::Json as Written;
use axum::extract::State;
use axum::http::StatusCode;
use paceline::Pause;
use serde_json::{Map, Value, json};

use super::answers::{Changing, Looking, LookingAt, Ordering};
use super::bodies::{PauseBody, PurgeBody};
use super::rights::LONGEST_PAUSE;
use super::views::ResourceBody;
use crate::access::{Acquires, Administers, Caller, Reads, Scope};
use crate::app::App;
use crate::doors::Door;
use crate::extract::{Json, MaybeJson, Named};
use crate::problem::Problem;

/// Lists the resources
#[utoipa::path(
    get, path = "/v1/resources", tag = "resources", operation_id = "list_resources",
    responses((status = 200, description = "Those that the key is for.", body = Vec<ResourceBody>), Looking)
)]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Reads(caller): Reads,
) -> Result<Written<Vec<ResourceBody>>, Problem> {
    let mut all = Vec::new();
    for account in app.limiter.snapshot().await? {
        for resource in account.ledger.resources.iter().filter(|resource| caller.sees(&resource.name)) {
            let (owner, configuration) = app.catalog.owner(&resource.name);
            let mut body = ResourceBody::of(resource, &account.ledger.limits, owner);
            body.configuration = configuration;
            all.push(body);
        }
    }
    Ok(Written(all))
}

/// Shows a resource
#[utoipa::path(
    get, path = "/v1/resources/{name}", tag = "resources",
    params(("name" = String, Path, description = "Its name; the slash may be left as it is")),
    responses((status = 200, description = "As it is.", body = ResourceBody), LookingAt)
)]
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    Reads(caller): Reads,
    Named(name): Named,
) -> Result<Written<ResourceBody>, Problem> {
    shown(&app, &caller, &name).await.map(Written)
}

/// Puts a resource
///
/// The body has the shape that a resource has in a configuration file, as in
/// `{"requests_per_minute": 500, "tokens_per_minute": 30000}`. A model of a provider is called `PROVIDER/MODEL`; any other
/// name is a resource of one's own. What waits keeps its place, what is out keeps what it reserved.
#[utoipa::path(
    put, path = "/v1/resources/{name}", tag = "resources",
    request_body(content = BTreeMap<String, serde_json::Value>, example = json!({"requests_per_minute": 500, "tokens_per_minute": 30000})),
    params(("name" = String, Path, description = "Its name; the slash may be left as it is")),
    responses(
        (status = 200, description = "It was there, and has these limits.", body = ResourceBody),
        (status = 201, description = "It was made.", body = ResourceBody),
        Changing,
    )
)]
pub(crate) async fn put(
    State(app): State<Arc<App>>,
    Administers(caller): Administers,
    Named(name): Named,
    Json(body): Json<Map<String, Value>>,
) -> Result<(StatusCode, Written<ResourceBody>), Problem> {
    caller.may_use(&name)?;
    let said = Value::Object(body.clone());
    let fresh = change(&app, |app| app.catalog.put(&app.limiter, &name, body))?;
    app.audit.note(&caller, "put", &name, &said);
    let status = if fresh { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Written(shown(&app, &caller, &name).await?)))
}

/// Changes a resource
///
/// By a merge patch (RFC 7396): what is named is replaced, and what is `null` removed.
#[utoipa::path(
    patch, path = "/v1/resources/{name}", tag = "resources",
    request_body(content = BTreeMap<String, serde_json::Value>, example = json!({"tokens_per_minute": 60000})),
    params(("name" = String, Path, description = "Its name; the slash may be left as it is")),
    responses((status = 200, description = "Changed.", body = ResourceBody), Changing)
)]
pub(crate) async fn patch(
    State(app): State<Arc<App>>,
    Administers(caller): Administers,
    Named(name): Named,
    Json(body): Json<Map<String, Value>>,
) -> Result<Written<ResourceBody>, Problem> {
    caller.may_use(&name)?;
    let said = Value::Object(body.clone());
    change(&app, |app| app.catalog.patch(&app.limiter, &name, body))?;
    app.audit.note(&caller, "patch", &name, &said);
    shown(&app, &caller, &name).await.map(Written)
}

/// Removes a resource
///
/// Those who wait for it are refused; permits can be settled still.
#[utoipa::path(
    delete, path = "/v1/resources/{name}", tag = "resources",
    params(("name" = String, Path, description = "Its name; the slash may be left as it is")),
    responses((status = 204, description = "Removed."), Changing)
)]
pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    Administers(caller): Administers,
    Named(name): Named,
) -> Result<StatusCode, Problem> {
    caller.may_use(&name)?;
    change(&app, |app| app.catalog.delete(&app.limiter, &name))?;
    app.audit.note(&caller, "delete", &name, &Value::Null);
    Ok(StatusCode::NO_CONTENT)
}

/// Pauses a resource
///
/// Callers wait, or are refused with `refuse`. A pause that ends earlier than the one in force changes nothing. For up to an
/// hour, as when a provider refuses, the scope `acquire` is enough; longer pauses and `refuse` take `admin`.
#[utoipa::path(
    post, path = "/v1/resources/{name}/pause", tag = "resources", request_body = Option<PauseBody>,
    params(("name" = String, Path, description = "Its name; the slash may be left as it is")),
    responses((status = 204, description = "Paused."), Ordering)
)]
pub(crate) async fn pause(
    State(app): State<Arc<App>>,
    Acquires(caller): Acquires,
    Named(name): Named,
    MaybeJson(body): MaybeJson<PauseBody>,
) -> Result<StatusCode, Problem> {
    let lasting = body.lasting()?;
    let refused_elsewhere = !body.refuse && lasting.is_some_and(|lasting| lasting <= LONGEST_PAUSE);
    if !refused_elsewhere {
        caller.must_have(Scope::Admin)?;
    }
    let door = door(&app, &caller, &name)?;
    let pause = lasting.map_or_else(Pause::until_resumed, Pause::lasting);
    door.resource.pause(if body.refuse { pause.refusing() } else { pause }).await?;
    app.lookout.paused(door.resource.name(), body.reason.as_deref());
    if refused_elsewhere {
        app.meters.provider_refusals.fetch_add(1, Relaxed);
    }
    let said = json!({"seconds": body.seconds, "refuse": body.refuse, "reason": body.reason});
    app.audit.note(&caller, "pause", door.resource.name(), &said);
    Ok(StatusCode::NO_CONTENT)
}

/// Ends a pause
#[utoipa::path(
    post, path = "/v1/resources/{name}/resume", tag = "resources",
    params(("name" = String, Path, description = "Its name; the slash may be left as it is")),
    responses((status = 204, description = "Resumed."), Ordering)
)]
pub(crate) async fn resume(
    State(app): State<Arc<App>>,
    Administers(caller): Administers,
    Named(name): Named,
) -> Result<StatusCode, Problem> {
    let door = door(&app, &caller, &name)?;
    door.resource.resume().await?;
    app.audit.note(&caller, "resume", door.resource.name(), &Value::Null);
    Ok(StatusCode::NO_CONTENT)
}

/// Refuses everybody who waits
///
/// Or everybody in one lane.
#[utoipa::path(
    post, path = "/v1/resources/{name}/purge", tag = "resources", request_body = Option<PurgeBody>,
    params(("name" = String, Path, description = "Its name; the slash may be left as it is")),
    responses((status = 204, description = "Purged."), Ordering)
)]
pub(crate) async fn purge(
    State(app): State<Arc<App>>,
    Administers(caller): Administers,
    Named(name): Named,
    MaybeJson(body): MaybeJson<PurgeBody>,
) -> Result<StatusCode, Problem> {
    let door = door(&app, &caller, &name)?;
    door.resource.purge(body.lane.as_deref()).await?;
    app.audit.note(&caller, "purge", door.resource.name(), &json!({"lane": body.lane}));
    Ok(StatusCode::NO_CONTENT)
}

fn door(app: &App, caller: &Caller, name: &str) -> Result<Arc<Door>, Problem> {
    let door = app.doors.find(&app.limiter, &app.meters, name)?;
    caller.may_use(door.resource.name())?;
    Ok(door)
}

/// Writes to the disk and compiles limits, which takes a moment: not on the thread of other answers.
fn change<T>(app: &App, change: impl FnOnce(&App) -> Result<T, Problem>) -> Result<T, Problem> {
    tokio::task::block_in_place(|| change(app))
}

async fn shown(app: &App, caller: &Caller, name: &str) -> Result<ResourceBody, Problem> {
    let door = door(app, caller, name)?;
    let snapshot = door.resource.snapshot().await?;
    let (owner, configuration) = app.catalog.owner(door.resource.name());
    let mut body = ResourceBody::of(&snapshot.resource, &snapshot.limits, owner);
    body.configuration = configuration;
    Ok(body)
}
