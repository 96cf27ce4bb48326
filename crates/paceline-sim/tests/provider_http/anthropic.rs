//! Anthropic's messages: formats, headers, refusals.

use paceline_sim::provider::ProviderConfig;
use serde_json::{Value, json};

use crate::client::{Client, events, header, json, start};

fn ask(client: &Client, stream: bool) -> reqwest::RequestBuilder {
    let body = json!({
        "model": "claude-opus-4-7",
        "max_tokens": 100_000,
        "stream": stream,
        "messages": [{"role": "user", "content": "abcd"}],
    });
    client.anonymous("/v1/messages", &body).header("x-api-key", "secret")
}

#[tokio::test]
async fn a_message_says_what_it_used_and_where_the_limits_stand() {
    let client = start(ProviderConfig::anthropic(50, 30_000, 8_000)).await;
    let request =
        ask(&client, false).header("x-fake-input-tokens", 2_400).header("x-fake-cached-tokens", 400);
    let response = request.send().await.unwrap();
    assert_eq!(header(&response, "anthropic-ratelimit-requests-remaining"), Some("49"));
    assert_eq!(header(&response, "anthropic-ratelimit-input-tokens-remaining"), Some("28000"));
    assert_eq!(header(&response, "anthropic-ratelimit-tokens-limit"), Some("38000"));
    let reset = header(&response, "anthropic-ratelimit-output-tokens-reset").unwrap();
    assert!(reset.ends_with('Z') && reset.len() == 20, "{reset}");
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["usage"]["input_tokens"], 2_000);
    assert_eq!(body["usage"]["cache_read_input_tokens"], 400);
    assert_eq!(body["usage"]["output_tokens"], 20);
    assert_eq!(body["stop_reason"], "end_turn");
}

#[tokio::test]
async fn a_stream_tells_the_input_first_and_the_output_last() {
    let client = start(ProviderConfig::anthropic(50, 30_000, 8_000)).await;
    let events = events(ask(&client, true)).await;
    assert_eq!(events[0]["message"]["usage"]["input_tokens"], 1);
    let [.., stop, delta, end] = &events[..] else { panic!("{events:?}") };
    assert_eq!(stop["type"], "content_block_stop");
    assert_eq!(delta["usage"]["output_tokens"], 20);
    assert_eq!(end["type"], "message_stop");
}

#[tokio::test]
async fn output_in_debt_refuses_what_comes_next() {
    let client = start(ProviderConfig::anthropic(50, 30_000, 100)).await;
    for expected in [200, 429] {
        let (status, body) = json(ask(&client, false).header("x-fake-output-tokens", 500)).await;
        assert_eq!(status, expected);
        if status == 429 {
            assert_eq!(body["error"]["type"], "rate_limit_error");
            let text = "This request would exceed your organization's rate limit of 100 output tokens per minute for \
                        claude-opus-4-7.";
            assert_eq!(body["error"]["message"], text);
        }
    }
    let report = client.provider.report();
    assert_eq!(report.refused_by["output_tokens/60000ms"], 1);
    assert!(report.limits.iter().any(|limit| limit.tally.deepest_debt == 400));
}

#[tokio::test]
async fn a_refusal_names_the_seconds_to_wait() {
    let client = start(ProviderConfig::anthropic(1, 30_000, 8_000)).await;
    ask(&client, false).send().await.unwrap();
    let refused = ask(&client, false).send().await.unwrap();
    let seconds: u64 = header(&refused, "retry-after").unwrap().parse().unwrap();
    assert!((55..=60).contains(&seconds), "{seconds}");
}
