//! The other providers, in what they do differently.

use paceline_sim::judge::Limit;
use paceline_sim::provider::{Pace, ProviderConfig};
use serde_json::{Value, json};

use crate::client::{Client, events, header, json, start, start_at_pace};

fn ask(client: &Client) -> reqwest::RequestBuilder {
    let body = json!({"model": "m", "max_tokens": 100, "messages": [{"role": "user", "content": "abcd"}]});
    client.post("/v1/chat/completions", &body)
}

#[tokio::test]
async fn groq_shows_the_day_and_the_minute() {
    let client = start(ProviderConfig::groq(30, 6_000, 14_400)).await;
    let response = ask(&client).send().await.unwrap();
    assert_eq!(header(&response, "x-ratelimit-limit-requests"), Some("14400"));
    assert_eq!(header(&response, "x-ratelimit-remaining-tokens"), Some("5999"));
}

#[tokio::test]
async fn mistral_tells_the_cost_and_streams_the_usage_unasked() {
    let client = start(ProviderConfig::mistral(10, 1_000)).await;
    let response = ask(&client).send().await.unwrap();
    assert_eq!(header(&response, "x-ratelimit-tokens-query-cost"), Some("21"));
    assert_eq!(header(&response, "x-ratelimit-limit-tokens-minute"), Some("1000"));
    let body = json!({"model": "m", "stream": true, "messages": [{"role": "user", "content": "abcd"}]});
    let events = events(client.post("/v1/chat/completions", &body)).await;
    assert_eq!(events[events.len() - 2]["usage"]["total_tokens"], 21);
}

#[tokio::test]
async fn mistral_refuses_the_second_request_of_a_second() {
    let client = start(ProviderConfig::mistral(1, 1_000)).await;
    ask(&client).send().await.unwrap();
    let (status, body) = json(ask(&client)).await;
    assert_eq!((status, &body["code"]), (429, &"1300".into()));
}

#[tokio::test]
async fn cerebras_settles_to_what_was_used() {
    let client = start(ProviderConfig::cerebras(30, 120)).await;
    assert_eq!(json(ask(&client)).await.0, 200);
    assert_eq!(client.provider.report().counted.tokens, 21);
    let (status, body) = json(ask(&client)).await;
    assert_eq!((status, &body["code"]), (429, &"token_quota_exceeded".into()));
    assert_eq!(body["message"], "Uncached tokens per minute limit exceeded.");
}

#[tokio::test]
async fn bedrock_burns_down_and_throttles() {
    let client = start(ProviderConfig::bedrock(200, 5)).await;
    assert_eq!(json(ask(&client)).await.0, 200);
    assert_eq!(client.provider.report().counted.tokens, 101);
    let response = ask(&client).send().await.unwrap();
    assert_eq!(header(&response, "x-amzn-errortype"), Some("ThrottlingException"));
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["message"], "Too many tokens, please wait before trying again.");
}

#[tokio::test]
async fn deepseek_counts_what_is_in_flight() {
    let pace = Pace { first_token_median_ms: 150, first_token_sigma: 0.0, ..Pace::instant(20) };
    let config = ProviderConfig::deepseek(2).limit(Limit::concurrent(9));
    let client = start_at_pace(config, pace).await;
    let (one, two, three) = tokio::join!(json(ask(&client)), json(ask(&client)), json(ask(&client)));
    let mut statuses = [one.0, two.0, three.0];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 200, 429]);
    assert_eq!(json(ask(&client)).await.0, 200);
    assert_eq!(client.provider.report().peak_in_flight, 2);
}
