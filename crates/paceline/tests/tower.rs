//! The layer: a permit for each request, settled from its response.
#![cfg(feature = "tower")]

mod common;

use std::task::Poll;

use common::{GPT, Task, bucket, concurrency, left, limiter};
use paceline::tower::{PaceLayer, PacedError};
use paceline::{Demand, Error, Resource, Usage};
use tower::{Layer, Service, ServiceExt, service_fn};

type Ask = fn(&u64) -> Demand;
type Tell = fn(&u64) -> Option<Usage>;

/// Asks for as many tokens as the request says, and settles as many as the response says.
fn layer(resource: &Resource) -> PaceLayer<Ask, Tell> {
    let demand: Ask = |tokens| Demand::tokens(*tokens);
    let usage: Tell = |tokens| (*tokens > 0).then(|| Usage::tokens(*tokens));
    PaceLayer::new(resource.clone(), demand, usage)
}

#[tokio::test]
async fn a_request_reserves_and_its_response_settles() {
    let (limiter, _clock) = limiter([bucket("tpm", "tokens", 1_000, 60_000), concurrency(1)]);
    let resource = limiter.resource(GPT).unwrap();
    let half = service_fn(async |tokens: u64| Ok::<_, String>(tokens / 2));
    let mut service = layer(&resource).layer(half);
    assert_eq!(service.ready().await.unwrap().call(600).await.unwrap(), 300);
    assert_eq!((left(&resource, "tpm"), left(&resource, "concurrency")), (700, 1));
    let error = service.ready().await.unwrap().call(5_000).await.unwrap_err();
    assert!(matches!(error, PacedError::Refused(Error::Impossible { .. })), "{error}");
}

#[tokio::test]
async fn a_failed_call_counts_as_reserved() {
    let (limiter, _clock) = limiter([bucket("tpm", "tokens", 1_000, 60_000), concurrency(1)]);
    let resource = limiter.resource(GPT).unwrap();
    let broken = service_fn(async |_: u64| Err::<u64, _>("broken".to_owned()));
    let mut service = layer(&resource).layer(broken);
    assert!(matches!(service.call(600).await, Err(PacedError::Failed(_))));
    assert_eq!((left(&resource, "tpm"), left(&resource, "concurrency")), (400, 1));
}

#[test]
fn a_request_dropped_in_line_leaves_no_trace_and_one_in_flight_is_spent() {
    let (limiter, _clock) = limiter([bucket("tpm", "tokens", 1_000, 60_000), concurrency(1)]);
    let resource = limiter.resource(GPT).unwrap();
    let endless = service_fn(async |_: u64| std::future::pending::<Result<u64, String>>().await);
    let mut service = layer(&resource).layer(endless);
    let in_flight = Task::waiting(service.call(600));
    let in_line = Task::waiting(service.call(300));
    drop(in_line);
    assert_eq!((left(&resource, "tpm"), left(&resource, "concurrency")), (400, 0));
    drop(in_flight);
    assert_eq!((left(&resource, "tpm"), left(&resource, "concurrency")), (400, 1));
    let mut next = Task::new(service.call(100));
    assert!(matches!(next.poll(), Poll::Pending));
}
