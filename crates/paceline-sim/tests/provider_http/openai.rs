//! OpenAI's chat, responses and embeddings: formats, headers, refusals.

use paceline_sim::judge::{Limit, Metric};
use paceline_sim::provider::{Pace, ProviderConfig};
use serde_json::{Value, json};

use crate::client::{events, header, json, start, start_at_pace};

const CHAT: &str = "/v1/chat/completions";

fn chat() -> Value {
    json!({"model": "gpt-4o", "messages": [{"role": "user", "content": "twelve chars"}]})
}

fn with(mut body: Value, fields: Value) -> Value {
    let Value::Object(fields) = fields else { panic!("fields are an object") };
    body.as_object_mut().unwrap().extend(fields);
    body
}

#[tokio::test]
async fn a_chat_completion_counts_its_tokens_in_body_and_headers() {
    let client = start(ProviderConfig::openai(3_000, 250_000)).await;
    let response = client.post(CHAT, &with(chat(), json!({"max_tokens": 11}))).send().await.unwrap();
    assert_eq!(header(&response, "x-ratelimit-limit-requests"), Some("3000"));
    assert_eq!(header(&response, "x-ratelimit-remaining-requests"), Some("2999"));
    assert_eq!(header(&response, "x-ratelimit-reset-requests"), Some("20ms"));
    assert_eq!(header(&response, "x-ratelimit-remaining-tokens"), Some("249989"));
    assert_eq!(header(&response, "x-ratelimit-reset-tokens"), Some("2ms"));
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["choices"][0]["finish_reason"], "length");
    assert_eq!(body["usage"]["prompt_tokens"], 3);
    assert_eq!(body["usage"]["completion_tokens"], 11);
}

#[tokio::test]
async fn cached_and_reasoning_tokens_stand_in_the_details() {
    let pace = Pace { reasoning_percent: 50, cached_percent: 50, ..Pace::instant(20) };
    let client = start_at_pace(ProviderConfig::openai(10, 1_000), pace).await;
    let (_, body) = json(client.post(CHAT, &chat()).header("x-fake-input-tokens", 100)).await;
    assert_eq!(body["usage"]["prompt_tokens_details"]["cached_tokens"], 50);
    assert_eq!(body["usage"]["completion_tokens_details"]["reasoning_tokens"], 10);
    assert_eq!(body["choices"][0]["message"]["content"].as_str().unwrap().len(), 40);
}

#[tokio::test]
async fn a_stream_ends_with_its_usage_if_asked() {
    let client = start(ProviderConfig::openai(10, 1_000)).await;
    let body = with(chat(), json!({"stream": true, "n": 2, "stream_options": {"include_usage": true}}));
    let events = events(client.post(CHAT, &body)).await;
    let [.., usage, done] = &events[..] else { panic!("{events:?}") };
    assert_eq!(done, "[DONE]");
    assert_eq!(usage["usage"]["completion_tokens"], 40);
    assert_eq!(usage["choices"], json!([]));
    let second = events.iter().filter(|event| event["choices"][0]["index"] == 1);
    let text: String = second.filter_map(|event| event["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(text, "tok ".repeat(20));
}

#[tokio::test]
async fn a_stream_has_no_usage_unasked() {
    let client = start(ProviderConfig::openai(10, 1_000)).await;
    let events = events(client.post(CHAT, &with(chat(), json!({"stream": true})))).await;
    assert!(events.iter().all(|event| event.get("usage").is_none()));
    let finish = &events[events.len() - 2]["choices"][0]["finish_reason"];
    assert_eq!(finish, "stop");
}

#[tokio::test]
async fn responses_come_whole_and_as_numbered_events() {
    let client = start(ProviderConfig::openai(10, 1_000)).await;
    let body = json!({"model": "gpt-4o", "input": "hi", "max_output_tokens": 5});
    let (_, whole) = json(client.post("/v1/responses", &body)).await;
    assert_eq!(whole["status"], "incomplete");
    assert_eq!(whole["usage"]["output_tokens"], 5);
    let events = events(client.post("/v1/responses", &with(body, json!({"stream": true})))).await;
    for (number, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], number);
    }
    let last = events.last().unwrap();
    assert_eq!(last["type"], "response.incomplete");
    assert_eq!(last["response"]["usage"]["output_tokens"], 5);
}

#[tokio::test]
async fn embeddings_come_as_numbers_or_base64() {
    let client = start(ProviderConfig::openai(10, 1_000)).await;
    let body = json!({"model": "e", "input": ["abcd", "efgh"], "dimensions": 4});
    let (_, numbers) = json(client.post("/v1/embeddings", &body)).await;
    assert_eq!(numbers["data"][1]["embedding"], json!([0.5, 0.5, 0.5, 0.5]));
    assert_eq!(numbers["usage"], json!({"prompt_tokens": 2, "total_tokens": 2}));
    let body = with(body, json!({"encoding_format": "base64"}));
    let (_, base64) = json(client.post("/v1/embeddings", &body)).await;
    assert_eq!(base64["data"][0]["embedding"], "AAAAPwAAAD8AAAA/AAAAPw==");
}

#[tokio::test]
async fn a_full_bucket_refuses_in_the_vendors_words() {
    let client = start(ProviderConfig::openai(100, 1_000)).await;
    let body = with(chat(), json!({"max_tokens": 900}));
    json(client.post(CHAT, &body)).await;
    let response = client.post(CHAT, &body).send().await.unwrap();
    assert_eq!(response.status(), 429);
    let seconds: u64 = header(&response, "retry-after").unwrap().parse().unwrap();
    assert!((45..=48).contains(&seconds), "{seconds}");
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["error"]["code"], "rate_limit_exceeded");
    assert_eq!(body["error"]["type"], "tokens");
    let message = body["error"]["message"].as_str().unwrap();
    let start =
        "Rate limit reached for gpt-4o in organization org-fake1 on tokens per min (TPM): Limit 1000, Used ";
    assert!(message.starts_with(start), "{message}");
    assert!(message.contains(", Requested 900. Please try again in 4"), "{message}");
}

#[tokio::test]
async fn a_request_above_the_whole_limit_is_too_large_and_carries_no_hint() {
    let client = start(ProviderConfig::openai(100, 1_000)).await;
    let response = client.post(CHAT, &with(chat(), json!({"max_tokens": 1_001}))).send().await.unwrap();
    assert_eq!(header(&response, "retry-after"), None);
    let body: Value = response.json().await.unwrap();
    assert!(body["error"]["message"].as_str().unwrap().starts_with("Request too large for gpt-4o"));
}

#[tokio::test]
async fn azure_names_the_deployment_in_the_path_and_waits_in_plain_seconds() {
    let client = start(ProviderConfig::azure(600, 1_000, 10_000)).await;
    let path = "/openai/deployments/mine/chat/completions?api-version=2024-10-21";
    let body = json!({"messages": [{"role": "user", "content": "abcd"}], "max_tokens": 300, "n": 3});
    let ask = || client.anonymous(path, &body).header("api-key", "secret");
    let first = ask().send().await.unwrap();
    assert_eq!(header(&first, "x-ratelimit-limit-requests"), Some("100"));
    assert_eq!(header(&first, "x-ratelimit-remaining-tokens"), Some("97"));
    let seconds: u64 = header(&first, "x-ratelimit-reset-tokens").unwrap().parse().unwrap();
    assert!(seconds <= 60);
    let body: Value = first.json().await.unwrap();
    assert_eq!(body["model"], "mine");
    let second = ask().send().await.unwrap();
    let hint: u64 = header(&second, "retry-after-ms").unwrap().parse().unwrap();
    assert!(hint <= 60_000);
    let body: Value = second.json().await.unwrap();
    assert_eq!(body["error"]["code"], "429");
}

#[tokio::test]
async fn a_model_with_limits_of_its_own_keeps_to_them() {
    let own = vec![Limit::bucket(Metric::Requests, 1, 60_000)];
    let client = start(ProviderConfig::openai(100, 1_000).model("small", own)).await;
    let body = with(chat(), json!({"model": "small"}));
    assert_eq!(json(client.post(CHAT, &body)).await.0, 200);
    assert_eq!(json(client.post(CHAT, &body)).await.0, 429);
    assert_eq!(json(client.post(CHAT, &chat())).await.0, 200);
    let (_, models) = json(client.get("/v1/models").bearer_auth("k")).await;
    assert_eq!(models["data"][0]["id"], "small");
}
