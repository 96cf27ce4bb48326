//! What was: the points of a resource over time.

use std::sync::Arc;

use axum::Json as Written;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::answers::LookingAt;
use crate::access::Reads;
use crate::app::App;
use crate::clock;
use crate::extract::Asked;
use crate::history::{OF_LIMIT, OF_RESOURCE, STEPS};
use crate::problem::Problem;

/// How far back it is looked where that is not said: a quarter of an hour.
const USUAL_SECONDS: u64 = 900;

/// Which history is wanted.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct HistoryQuery {
    /// The resource.
    #[param(example = "openai/gpt-4o")]
    resource: String,
    /// From when on, by RFC 3339; a quarter of an hour ago unless said otherwise.
    since: Option<String>,
    /// How many seconds the points are apart at least: 1 for the last quarter of an hour, 10 for three hours, 300 for a
    /// week; the shortest that reaches back to `since` unless said otherwise.
    step: Option<u32>,
}

/// A resource over time: columns of equal length, a place a point; `null` where nothing is known.
#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = History)]
pub(crate) struct HistoryBody {
    /// The resource.
    resource: String,
    /// How many seconds the points are apart.
    step_seconds: u32,
    /// When the step of each point began, in seconds since the Unix epoch.
    at: Vec<u32>,
    /// How many waited.
    waiting: Vec<Option<f32>>,
    /// How long the first in line had waited at most.
    oldest_seconds: Vec<Option<f32>>,
    /// How many permits were out.
    in_flight: Vec<Option<f32>>,
    /// Permits granted a second.
    grants_per_second: Vec<Option<f32>>,
    /// Callers refused a second.
    refusals_per_second: Vec<Option<f32>>,
    /// How long half of those waited at most that were granted; the mean where a point is made of several.
    wait_p50_seconds: Vec<Option<f32>>,
    /// How long 95 of 100 of them waited at most; the greatest where a point is made of several.
    wait_p95_seconds: Vec<Option<f32>>,
    /// How long the longest of them waited.
    wait_max_seconds: Vec<Option<f32>>,
    /// What the next two count; absent where nothing was settled.
    estimated_metric: Option<String>,
    /// What permits that were settled had reserved, a second.
    reserved_per_second: Vec<Option<f32>>,
    /// What they used, a second.
    used_per_second: Vec<Option<f32>>,
    /// Its limits.
    limits: Vec<LimitHistoryBody>,
}

/// A limit over time.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LimitHistory)]
pub(crate) struct LimitHistoryBody {
    /// Its name.
    name: String,
    /// What it counts.
    metric: String,
    /// What was used and had not come back.
    used: Vec<Option<f32>>,
    /// What was held apart for permits that had not settled.
    held: Vec<Option<f32>>,
    /// What was left; below zero is debt.
    left: Vec<Option<f32>>,
    /// The amount per window, as it was in force.
    amount: Vec<Option<f32>>,
}

/// Shows a resource over time
///
/// Points are kept of the first 128 resources that are used, and of eight limits of each, also over restarts where the server
/// has a state directory.
#[utoipa::path(
    get, path = "/v1/history", tag = "resources", params(HistoryQuery),
    responses((status = 200, description = "What is known.", body = HistoryBody), LookingAt)
)]
pub(crate) async fn history(
    State(app): State<Arc<App>>,
    Reads(caller): Reads,
    Asked(query): Asked<HistoryQuery>,
) -> Result<Written<HistoryBody>, Problem> {
    let now_ms = clock::unix_ms();
    let since_ms = match &query.since {
        None => now_ms.saturating_sub(USUAL_SECONDS * 1_000),
        Some(since) => clock::read(since)
            .ok_or_else(|| Problem::field("since", format!("{since} is no time by RFC 3339")))?,
    };
    if let Some(step) = query.step.filter(|step| STEPS.iter().all(|(known, _)| known != step)) {
        return Err(Problem::field("step", format!("step is {step}; expected 1, 10 or 300 seconds")));
    }
    let found = app.doors.find(&app.limiter, &app.meters, &query.resource);
    let name = match &found {
        Ok(door) => door.resource.name(),
        // Another process configured it, and it was used.
        Err(_) if app.lookout.history.knows(&query.resource) => query.resource.as_str(),
        Err(error) => return Err(error.clone().into()),
    };
    caller.may_use(name)?;
    let whole = |ms: u64| u32::try_from(ms / 1_000).unwrap_or(u32::MAX);
    let reach = whole(now_ms.saturating_sub(since_ms));
    let body = app.lookout.history.of(name, query.step, reach, |series, ring| {
        let (at, column) = ring.since(whole(since_ms));
        let column = |number: usize| told(column(number));
        let limit = |(number, (name, metric)): (usize, &(String, String))| {
            let first = OF_RESOURCE.len() + number * OF_LIMIT.len();
            LimitHistoryBody {
                name: name.clone(),
                metric: metric.clone(),
                used: column(first),
                held: column(first + 1),
                left: column(first + 2),
                amount: column(first + 3),
            }
        };
        HistoryBody {
            resource: name.to_owned(),
            step_seconds: ring.step(),
            at,
            waiting: column(0),
            oldest_seconds: column(1),
            in_flight: column(2),
            grants_per_second: column(3),
            refusals_per_second: column(4),
            wait_p50_seconds: column(5),
            wait_p95_seconds: column(6),
            wait_max_seconds: column(7),
            estimated_metric: series.estimated.clone(),
            reserved_per_second: column(8),
            used_per_second: column(9),
            limits: series.limits.iter().enumerate().map(limit).collect(),
        }
    });
    Ok(Written(body.unwrap_or_else(|| HistoryBody {
        resource: name.to_owned(),
        step_seconds: query.step.unwrap_or(1),
        ..HistoryBody::default()
    })))
}

fn told(values: Vec<f32>) -> Vec<Option<f32>> {
    values.into_iter().map(|value| Some(value).filter(|value| value.is_finite())).collect()
}
