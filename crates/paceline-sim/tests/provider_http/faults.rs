//! Faults on request and by chance.

use std::time::Duration;

use paceline_sim::judge::Limit;
use paceline_sim::provider::{Fault, Pace, ProviderConfig};
use serde_json::{Value, json};

use crate::client::{Client, header, is_reset, json, start, start_at_pace};

fn ask(client: &Client, stream: bool) -> reqwest::RequestBuilder {
    let body = json!({"model": "m", "stream": stream, "messages": [{"role": "user", "content": "abcd"}]});
    client.post("/v1/chat/completions", &body)
}

#[tokio::test]
async fn an_error_on_request_still_costs_its_tokens() {
    let client = start(ProviderConfig::openai(100, 1_000)).await;
    for status in [500, 503, 529] {
        let (got, body) = json(ask(&client, false).header("x-fake-fault", status)).await;
        assert_eq!(got, status);
        assert!(body["error"]["message"].is_string());
    }
    let report = client.provider.report();
    assert_eq!((report.failed, report.counted.requests, report.counted.tokens), (3, 3, 3));
    assert_eq!(report.faults[&Fault::Unavailable], 1);
}

#[tokio::test]
async fn a_cut_breaks_off_in_the_middle() {
    let client = start(ProviderConfig::openai(100, 1_000)).await;
    for stream in [false, true] {
        let mut response = ask(&client, stream).header("x-fake-fault", "cut").send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert!(response.chunk().await.unwrap().is_some());
        while let Ok(chunk) = response.chunk().await {
            assert!(chunk.is_some(), "the body ended as if it were whole");
        }
    }
    assert_eq!(client.provider.report().failed, 2);
}

#[tokio::test]
async fn a_reset_comes_before_any_answer() {
    let client = start(ProviderConfig::openai(100, 1_000)).await;
    let error = ask(&client, false).header("x-fake-fault", "reset").send().await.unwrap_err();
    assert!(is_reset(&error), "{error:?}");
    assert_eq!(client.provider.report().failed, 1);
    assert_eq!(json(ask(&client, false)).await.0, 200);
}

#[tokio::test]
async fn slow_takes_ten_times_as_long() {
    let client = start(ProviderConfig::openai(100, 1_000)).await;
    let request = ask(&client, false).header("x-fake-latency-ms", 10).header("x-fake-fault", "slow");
    assert!(request.timeout(Duration::from_millis(90)).send().await.unwrap_err().is_timeout());
}

#[tokio::test]
async fn a_wrong_hint_is_a_tenth_of_the_truth() {
    let client = start(ProviderConfig::openai(1, 1_000)).await;
    json(ask(&client, false)).await;
    let refused = ask(&client, false).header("x-fake-fault", "wrong-retry-after").send().await.unwrap();
    let seconds: u64 = header(&refused, "retry-after").unwrap().parse().unwrap();
    assert!((5..=6).contains(&seconds), "{seconds}");
    assert_eq!(client.provider.report().faults[&Fault::WrongRetryAfter], 1);
}

#[tokio::test]
async fn configured_faults_befall_a_part_of_the_requests() {
    let client = start(ProviderConfig::openai(1_000, 10_000).fault(Fault::Internal, 0.5)).await;
    let mut failed = 0;
    for _ in 0..60 {
        let (status, _): (u16, Value) = json(ask(&client, false)).await;
        failed += u64::from(status == 500);
    }
    assert!((15..45).contains(&failed), "{failed}");
    assert_eq!(client.provider.report().faults[&Fault::Internal], failed);
}

#[tokio::test]
async fn a_client_that_goes_away_frees_its_place() {
    let pace = Pace { first_token_median_ms: 60_000, first_token_sigma: 0.0, ..Pace::instant(20) };
    let client = start_at_pace(ProviderConfig::deepseek(1).limit(Limit::concurrent(1)), pace).await;
    let gone = ask(&client, false).timeout(Duration::from_millis(50)).send().await;
    assert!(gone.unwrap_err().is_timeout());
    let mut waited = 0;
    while client.provider.report().in_flight > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
        waited += 5;
        assert!(waited < 2_000, "the call is still in flight");
    }
    assert_eq!(client.provider.report().abandoned, 1);
    let (status, _) = json(ask(&client, false).header("x-fake-latency-ms", 0)).await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn an_unknown_fault_is_a_bad_request() {
    let client = start(ProviderConfig::openai(1, 1_000)).await;
    let (status, body) = json(ask(&client, false).header("x-fake-fault", "418")).await;
    assert_eq!((status, &body["error"]["message"]), (400, &"x-fake-fault: unknown fault 418".into()));
    assert_eq!(client.provider.report().malformed, 1);
}
