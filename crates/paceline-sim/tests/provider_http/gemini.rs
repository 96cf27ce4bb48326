//! Gemini's generateContent: formats and refusals.

use paceline_sim::provider::ProviderConfig;
use serde_json::{Value, json};

use crate::client::{Client, events, json, start};

fn ask(client: &Client, method: &str) -> reqwest::RequestBuilder {
    let body =
        json!({"contents": [{"parts": [{"text": "abcdefgh"}]}], "generationConfig": {"maxOutputTokens": 8}});
    let path = format!("/v1beta/models/gemini-2.5-flash:{method}");
    client.anonymous(&path, &body).header("x-goog-api-key", "secret")
}

#[tokio::test]
async fn content_comes_whole() {
    let client = start(ProviderConfig::gemini(5, 1_000, 100)).await;
    let (_, body) = json(ask(&client, "generateContent")).await;
    assert_eq!(body["candidates"][0]["finishReason"], "MAX_TOKENS");
    assert_eq!(body["usageMetadata"]["promptTokenCount"], 2);
    assert_eq!(body["usageMetadata"]["totalTokenCount"], 10);
    assert_eq!(body["modelVersion"], "gemini-2.5-flash");
}

#[tokio::test]
async fn every_event_of_a_stream_carries_the_usage_so_far() {
    let client = start(ProviderConfig::gemini(5, 1_000, 100)).await;
    let events = events(ask(&client, "streamGenerateContent?alt=sse")).await;
    let count = |event: &Value| event["usageMetadata"]["candidatesTokenCount"].as_u64().unwrap();
    let counts: Vec<u64> = events.iter().map(count).collect();
    assert!(counts.is_sorted());
    assert_eq!(counts.last(), Some(&8));
}

#[tokio::test]
async fn a_refusal_says_everything_in_its_body() {
    let client = start(ProviderConfig::gemini(1, 1_000, 1)).await;
    ask(&client, "generateContent").send().await.unwrap();
    let (status, body) = json(ask(&client, "generateContent")).await;
    assert_eq!((status, &body["error"]["status"]), (429, &"RESOURCE_EXHAUSTED".into()));
    let details = body["error"]["details"].as_array().unwrap();
    let ids: Vec<&Value> =
        details[1]["violations"].as_array().unwrap().iter().map(|v| &v["quotaId"]).collect();
    assert_eq!(
        ids,
        [
            "GenerateRequestsPerMinutePerProjectPerModel-FreeTier",
            "GenerateRequestsPerDayPerProjectPerModel-FreeTier"
        ]
    );
    let delay = details[2]["retryDelay"].as_str().unwrap().trim_end_matches('s');
    assert!(delay.parse::<u64>().unwrap() <= 60, "an exhausted day still promises less than a minute");
}

#[tokio::test]
async fn the_key_may_stand_in_the_query() {
    let client = start(ProviderConfig::gemini(5, 1_000, 100)).await;
    let body = json!({"contents": [{"parts": [{"text": "a"}]}]});
    let path = "/v1beta/models/m:generateContent?key=secret";
    assert_eq!(json(client.anonymous(path, &body)).await.0, 200);
    let (status, body) = json(client.anonymous("/v1beta/models/m:generateContent", &body)).await;
    assert_eq!((status, &body["error"]["status"]), (401, &"UNAUTHENTICATED".into()));
    assert_eq!(json(client.anonymous("/v1beta/models/m:countTokens", &body)).await.0, 404);
}
