//! What happens, as those see it who look on, and as Prometheus reads it.

use std::time::Duration;

use paceline::{Demand, Error, Limiter, Pause, Usage};
use reqwest::Method;
use serde_json::json;

use crate::kit::{Running, until};

/// Reads events until one of this name comes; returns everything that was read.
async fn read_until(response: &mut reqwest::Response, name: &str) -> String {
    let mut text = String::new();
    let wanted = format!("event: {name}\n");
    while !text.contains(&wanted) || !text.ends_with("\n\n") {
        let chunk = tokio::time::timeout(Duration::from_secs(10), response.chunk()).await;
        let chunk =
            chunk.unwrap_or_else(|_| panic!("no event {name}: {text}")).unwrap().expect("it has no end");
        text.push_str(std::str::from_utf8(&chunk).unwrap());
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_comes_back_goes_on_where_it_was() {
    let server = Running::usual().await;
    let mut events = server.request(Method::GET, "/v1/events").send().await.unwrap();
    assert_eq!(events.headers()["content-type"], "text/event-stream");
    let permit = server.granted(&json!({"resource": "gpt", "tokens": 5})).await;
    let seen = read_until(&mut events, "granted").await;
    assert!(seen.contains(&permit), "{seen}");
    let id = seen.lines().filter_map(|line| line.strip_prefix("id: ")).next_back().unwrap().to_owned();
    drop(events);

    server.post("/v1/resources/gpt/pause", &json!({"seconds": 1})).await;
    let again = server.request(Method::GET, "/v1/events").header("Last-Event-ID", id.clone()).send();
    let seen = read_until(&mut again.await.unwrap(), "paused").await;
    assert!(!seen.contains("granted"), "what was seen is not sent again: {seen}");
    let all = server.request(Method::GET, "/v1/events").header("Last-Event-ID", "another-7").send();
    let seen = read_until(&mut all.await.unwrap(), "paused").await;
    assert!(seen.contains("granted"), "from the oldest that is kept: {seen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_those_of_the_documentation_and_count() {
    let server = Running::usual().await;
    let permit = server.granted(&json!({"resource": "gpt", "tokens": 600})).await;
    server
        .post("/v1/acquire", &json!({"resource": "gpt", "tokens": 600, "try": true}))
        .await
        .problem(429, "busy");
    server.post(&format!("/v1/permits/{permit}/settle"), &json!({"tokens": 100})).await;
    let metrics = server.get("/metrics").await;
    assert!(metrics.header("content-type").starts_with("text/plain; version=0.0.4"));
    for line in [
        "paceline_acquires_total{resource=\"gpt\",outcome=\"granted\"} 1",
        "paceline_acquires_total{resource=\"gpt\",outcome=\"busy\"} 1",
        "paceline_wait_seconds_count{resource=\"gpt\"} 1",
        "paceline_limit_capacity{ledger=\"gpt\",limit=\"gpt/tokens_per_minute\",metric=\"tokens\"} 1000",
        "paceline_settles_total 1",
        "paceline_returned_units_total{ledger=\"gpt\",metric=\"tokens\"} 500",
        "paceline_http_requests_total{route=\"/v1/acquire\",method=\"POST\",status=\"4xx\"} 1",
        "paceline_in_flight{resource=\"gpt\"} 0",
    ] {
        assert!(metrics.text.lines().any(|shown| shown == line), "{line} is missing:\n{}", metrics.text);
    }
    let page = include_str!("../../../../docs/control-plane.md");
    for (name, kind, _) in paceline_server::metrics() {
        assert!(metrics.text.contains(&format!("# TYPE {name} {kind}")), "{name}");
        assert!(page.contains(&format!("| `{name}` |")), "the page does not name {name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_counted_and_told_of_like_plain_requests() {
    let server = Running::usual().await;
    let mut events = server.request(Method::GET, "/v1/events").send().await.unwrap();
    let url = server.url("");
    let limiter =
        tokio::task::spawn_blocking(move || Limiter::builder().store(url).build()).await.unwrap().unwrap();
    let solo = limiter.resource("solo").unwrap();
    let first = solo.acquire(Demand::new()).lane("batch").await.unwrap();
    let waits = tokio::spawn(solo.acquire(Demand::new()).lane("batch").into_future());
    let told = read_until(&mut events, "queued").await;
    assert!(told.contains(&first.id().to_string()), "{told}");
    let busy = solo.try_acquire(Demand::new()).lane("batch").await;
    assert!(matches!(busy, Err(Error::Busy(_))), "{busy:?}");
    first.settle(Usage::new()).await.unwrap();
    waits.await.unwrap().unwrap().give_back().await.unwrap();
    solo.pause(Pause::lasting(Duration::from_millis(1))).await.unwrap();
    let told = read_until(&mut events, "paused").await;
    assert_eq!(told.matches("event: granted\n").count(), 1, "{told}");
    assert_eq!(told.matches("event: settled\n").count(), 2, "{told}");
    let metrics = server.get("/metrics").await.text;
    for line in [
        "paceline_acquires_total{resource=\"solo\",outcome=\"granted\"} 2",
        "paceline_acquires_total{resource=\"solo\",outcome=\"busy\"} 1",
        "paceline_wait_seconds_count{resource=\"solo\"} 2",
        "paceline_settles_total 2",
        "paceline_provider_refusals_total 1",
    ] {
        assert!(metrics.lines().any(|shown| shown == line), "{line} is missing:\n{metrics}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_polled_grant_is_counted_once() {
    let server = Running::usual().await;
    let solo = json!({"resource": "solo", "lane": "batch"});
    let first = server.granted(&solo).await;
    let waits = server.post("/v1/acquire", &solo).await;
    assert_eq!(waits.status, 202, "{}", waits.text);
    server.post(&format!("/v1/permits/{first}/settle"), &json!({})).await;
    for _ in 0..2 {
        let polled = server.get(&format!("/v1/tickets/{}?wait_seconds=10", waits.said("ticket"))).await;
        assert_eq!(polled.status, 200, "{}", polled.text);
    }
    let metrics = server.get("/metrics").await.text;
    let line = "paceline_acquires_total{resource=\"solo\",outcome=\"granted\"} 2";
    assert!(metrics.lines().any(|shown| shown == line), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_that_is_nearly_used_up_is_told_once() {
    let limits = "resources: {gpt: {requests_per_minute: 1_000, tokens_per_day: 1_000, warn_at: 80%}}";
    let server = Running::with(limits, |_| {}).await;
    let mut events = server.request(Method::GET, "/v1/events").send().await.unwrap();
    let permit = server.granted(&json!({"resource": "gpt", "tokens": 900})).await;
    let told = read_until(&mut events, "near-limit").await;
    assert!(told.contains("\"limit\":\"gpt/tokens_per_day\""), "{told}");
    let line = "paceline_limit_near{limit=\"gpt/tokens_per_day\",metric=\"tokens\"} 1";
    until("it is near", async || {
        server.get("/metrics").await.text.lines().any(|shown| shown == line).then_some(())
    })
    .await;
    server.post(&format!("/v1/permits/{permit}/settle"), &json!({"tokens": 1})).await;
    let told = read_until(&mut events, "no-longer-near").await;
    assert!(!told.contains("event: near-limit\n"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_shows_everything() {
    let server = Running::usual().await;
    server.granted(&json!({"resource": "solo", "lane": "batch"})).await;
    let snapshot = until("the grant is seen", async || {
        let snapshot = server.get("/v1/snapshot").await.json();
        let solo =
            snapshot["ledgers"].as_array().unwrap().iter().find(|ledger| ledger["name"] == "solo").cloned();
        solo.filter(|solo| solo["resources"][0]["in_flight"] == 1)
    })
    .await;
    assert_eq!(snapshot["limits"][0]["left"], 0, "{snapshot}");
    assert_eq!(server.get("/readyz").await.text, "ready\n");
    assert_eq!(server.get("/healthz").await.text, "ok\n");
}
