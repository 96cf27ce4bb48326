//! Which path is which call.

use std::sync::Arc;

use axum::extract::{RawPathParams, Request, State};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use axum::{Json, Router};

use super::ask::Endpoint;
use super::desk::Desk;
use super::exchange;
use super::failure;

/// Makes the routes of all APIs.
pub(super) fn router(desk: Arc<Desk>) -> Router {
    Router::new()
        .route("/v1/chat/completions", call(Endpoint::Chat))
        .route("/v1/responses", call(Endpoint::Responses))
        .route("/v1/embeddings", call(Endpoint::Embeddings))
        .route("/v1/messages", call(Endpoint::Messages))
        .route("/openai/deployments/{model}/chat/completions", call(Endpoint::Chat))
        .route("/openai/deployments/{model}/embeddings", call(Endpoint::Embeddings))
        .route("/v1beta/models/{call}", post(generate))
        .route("/v1/models", get(models))
        .route("/__report", get(report))
        .route("/__reset", post(reset))
        .fallback(unknown)
        .with_state(desk)
}

fn call(endpoint: Endpoint) -> MethodRouter<Arc<Desk>> {
    post(move |State(desk): State<Arc<Desk>>, path: RawPathParams, request: Request| async move {
        exchange::answer(desk, endpoint, last(&path), request).await
    })
}

/// Gemini's paths end in `{model}:{method}`.
async fn generate(State(desk): State<Arc<Desk>>, path: RawPathParams, request: Request) -> Response {
    let call = last(&path).unwrap_or_default();
    let (model, method) = call.split_once(':').unwrap_or((&call, ""));
    let stream = match method {
        "generateContent" => false,
        "streamGenerateContent" => true,
        _ => return unknown(State(desk)).await,
    };
    exchange::answer(desk, Endpoint::Generate { stream }, Some(model.to_owned()), request).await
}

async fn models(State(desk): State<Arc<Desk>>, parts: Parts) -> Response {
    exchange::models(&desk, &parts).into_response()
}

async fn report(State(desk): State<Arc<Desk>>) -> Response {
    Json(desk.docket().report()).into_response()
}

async fn reset(State(desk): State<Arc<Desk>>) {
    desk.docket().reset();
}

async fn unknown(State(desk): State<Arc<Desk>>) -> Response {
    failure::failure(desk.config.rules.dialect, 404, "There is no such path.").into_response()
}

fn last(path: &RawPathParams) -> Option<String> {
    path.iter().last().map(|(_, value)| value.to_owned())
}
