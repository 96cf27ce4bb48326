//! Limits as a client meets them: who shares them, and when they refuse.

use std::time::Duration;

use paceline_sim::judge::{Dialect, Limit, Metric};
use paceline_sim::provider::{Pace, ProviderConfig};
use serde_json::json;

use crate::client::{Client, header, json, start, start_at_pace};

async fn status(client: &Client, key: &str, model: &str) -> u16 {
    let body = json!({"model": model, "messages": [{"role": "user", "content": "abcd"}]});
    json(client.anonymous("/v1/chat/completions", &body).bearer_auth(key)).await.0
}

fn one_per(window_ms: u64) -> ProviderConfig {
    ProviderConfig::new(Dialect::Groq).limit(Limit::bucket(Metric::Requests, 1, window_ms))
}

#[tokio::test]
async fn each_key_and_each_model_has_its_own_limits() {
    let client = start(one_per(60_000)).await;
    assert_eq!(status(&client, "one", "a").await, 200);
    assert_eq!(status(&client, "one", "a").await, 429);
    assert_eq!(status(&client, "one", "b").await, 200);
    assert_eq!(status(&client, "two", "a").await, 200);
}

#[tokio::test]
async fn a_short_window_comes_back() {
    for limit in [
        Limit::bucket(Metric::Requests, 1, 60),
        Limit::fixed_window(Metric::Requests, 1, 60),
        Limit::sliding_log(Metric::Requests, 1, 60),
    ] {
        let client = start(ProviderConfig::new(Dialect::Groq).limit(limit)).await;
        assert_eq!(status(&client, "k", "m").await, 200);
        tokio::time::sleep(Duration::from_millis(65)).await;
        assert_eq!(status(&client, "k", "m").await, 200, "{limit:?}");
    }
}

#[tokio::test]
async fn the_same_seed_answers_a_request_alike() {
    let mut lengths = Vec::new();
    let pace = Pace { per_token_us: 0, first_token_median_ms: 0, ..Pace::default() };
    for seed in ["a", "a", "b"] {
        let client = start_at_pace(ProviderConfig::new(Dialect::Openai), pace).await;
        let body = json!({"model": "m", "messages": []});
        let request = client.post("/v1/chat/completions", &body).header("x-paceline-seed", seed);
        lengths.push(json(request).await.1["usage"]["completion_tokens"].clone());
    }
    assert_eq!(lengths[0], lengths[1]);
    assert_ne!(lengths[0], lengths[2]);
}

#[tokio::test]
async fn a_refusal_costs_no_tokens() {
    let client = start(ProviderConfig::openai(100, 10)).await;
    let ask = |tokens: u64| {
        let body = json!({"model": "m", "messages": []});
        client.post("/v1/chat/completions", &body).header("x-fake-input-tokens", tokens)
    };
    let refused = ask(11).send().await.unwrap();
    assert_eq!(header(&refused, "x-ratelimit-remaining-tokens"), Some("10"));
    assert_eq!(header(&refused, "x-ratelimit-remaining-requests"), Some("99"));
    assert_eq!(json(ask(10)).await.0, 200);
}

#[tokio::test]
async fn a_call_without_a_key_is_unauthorized_in_the_dialects_shape() {
    let body = json!({"model": "m", "messages": []});
    let cases = [
        (Dialect::Openai, "/error/code", "invalid_api_key"),
        (Dialect::Azure, "/error/code", "401"),
        (Dialect::Anthropic, "/error/type", "authentication_error"),
        (Dialect::Gemini, "/error/status", "UNAUTHENTICATED"),
    ];
    for (dialect, field, expected) in cases {
        let client = start(ProviderConfig::new(dialect)).await;
        let (status, body) = json(client.anonymous("/v1/chat/completions", &body)).await;
        assert_eq!((status, body.pointer(field)), (401, Some(&expected.into())));
        assert_eq!(client.provider.report().unauthorized, 1);
    }
}
