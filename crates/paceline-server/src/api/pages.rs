//! Pages about the server itself: health, metrics, the description of the API, and what problems mean.

use std::sync::Arc;
use std::time::Duration;

use axum::Json as Written;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::answers::Looking;
use crate::access::Reads;
use crate::app::{App, stopped};
use crate::extract::Named;
use crate::kind::Kind;
use crate::problem::Problem;

/// How long the store may take to say that it is there.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a kind of problem means.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ProblemKind)]
pub(crate) struct KindBody {
    /// Its URI.
    #[serde(rename = "type")]
    kind: Kind,
    /// It in words.
    title: &'static str,
    /// The status of answers with it.
    status: u16,
    /// What to do about it.
    advice: &'static str,
}

/// Says that the server runs
#[utoipa::path(
    get, path = "/healthz", tag = "server",
    responses((status = 200, description = "It runs.", body = String, content_type = "text/plain"))
)]
pub(crate) async fn healthz() -> &'static str {
    "ok\n"
}

/// Says whether the server can decide
///
/// The store can be reached, and the server is not stopping.
#[utoipa::path(
    get, path = "/readyz", tag = "server",
    responses(
        (status = 200, description = "It can.", body = String, content_type = "text/plain"),
        (status = 503, description = "A problem: stopping, store-unavailable.", body = inline(crate::problem::Facts), content_type = "application/problem+json"),
    )
)]
pub(crate) async fn readyz(State(app): State<Arc<App>>) -> Result<&'static str, Problem> {
    if app.is_stopping() {
        return Err(stopped());
    }
    match tokio::time::timeout(PATIENCE, app.limiter.snapshot().into_future()).await {
        Ok(looked) => looked.map(|_| "ready\n").map_err(Problem::from),
        Err(_) => Err(Problem::new(Kind::StoreUnavailable, "the store did not answer in time")),
    }
}

/// Shows what is counted
///
/// In the text format of Prometheus.
#[utoipa::path(
    get, path = "/metrics", tag = "server",
    responses((status = 200, description = "Metrics.", body = String, content_type = "text/plain"), Looking)
)]
pub(crate) async fn metrics(State(app): State<Arc<App>>, _: Reads) -> Result<Response, Problem> {
    // Where the store cannot be reached, the rest is worth seeing all the more.
    let looked = tokio::time::timeout(PATIENCE, app.limiter.snapshot().into_future()).await;
    let accounts = looked.ok().and_then(Result::ok).unwrap_or_default();
    let text = app.meters.text(&accounts);
    Ok(([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response())
}

/// Describes the API
#[utoipa::path(
    get, path = "/v1/openapi.json", tag = "server",
    responses((status = 200, description = "OpenAPI 3.1.", body = Object))
)]
pub(crate) async fn openapi(State(app): State<Arc<App>>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], app.openapi.to_string())
}

/// Explains a kind of problem
#[utoipa::path(
    get, path = "/problems/{kind}", tag = "server",
    params(("kind" = String, Path, description = "The last part of a problem's type", example = "busy")),
    responses(
        (status = 200, description = "What it means.", body = KindBody),
        (status = 404, description = "A problem: not-found.", body = inline(crate::problem::Facts), content_type = "application/problem+json"),
    )
)]
pub(crate) async fn problem(Named(name): Named) -> Result<Written<KindBody>, Problem> {
    let kind = Kind::named(&name)
        .ok_or_else(|| Problem::new(Kind::NotFound, format!("no problem is called {name}")))?;
    let status = kind.status().as_u16();
    Ok(Written(KindBody { kind, title: kind.title(), status, advice: kind.advice() }))
}

/// Answers where there is nothing.
pub(crate) async fn nothing(method: Method, uri: Uri) -> Problem {
    Problem::new(Kind::NotFound, format!("there is nothing at {method} {}", uri.path()))
}

/// Answers a method that an address does not have.
pub(crate) async fn no_method(method: Method, uri: Uri) -> (StatusCode, Problem) {
    let said = format!("{} has no method {method}", uri.path());
    (StatusCode::METHOD_NOT_ALLOWED, Problem::new(Kind::MethodNotAllowed, said))
}
