//! What was, over time and over restarts.

use serde_json::{Value, json};

use crate::kit::{LIMITS, Running, until};

async fn history(server: &Running, query: &str) -> Value {
    let answer = server.get(&format!("/v1/history?resource={query}")).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()
}

fn points(history: &Value) -> usize {
    history["at"].as_array().unwrap().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_used_is_told_second_by_second() {
    let server = Running::usual().await;
    let nothing = history(&server, "gpt").await;
    assert_eq!((points(&nothing), &nothing["step_seconds"]), (0, &json!(1)), "nothing was used yet");
    let permit = server.granted(&json!({"resource": "gpt", "tokens": 600})).await;
    server
        .post("/v1/acquire", &json!({"resource": "gpt", "tokens": 600, "try": true}))
        .await
        .problem(429, "busy");
    until("there is a point with the permit", async || {
        let told = history(&server, "gpt").await;
        (points(&told) > 0 && told["in_flight"].as_array().unwrap().last() == Some(&json!(1.0))).then_some(())
    })
    .await;
    server.post(&format!("/v1/permits/{permit}/settle"), &json!({"tokens": 100})).await;
    let told = until("there are points of the grant, the refusal and the settlement", async || {
        let told = history(&server, "gpt").await;
        let sum = |name: &str| told[name].as_array().unwrap().iter().filter_map(Value::as_f64).sum::<f64>();
        (sum("reserved_per_second") > 0.0
            && sum("grants_per_second") > 0.0
            && sum("refusals_per_second") > 0.0)
            .then_some(told.clone())
    })
    .await;
    assert_eq!(told["estimated_metric"], "tokens");
    let sum = |name: &str| told[name].as_array().unwrap().iter().filter_map(Value::as_f64).sum::<f64>();
    let part = sum("used_per_second") / sum("reserved_per_second");
    assert!((part - 1.0 / 6.0).abs() < 0.001, "100 of 600 were used: {part}");
    let count = points(&told);
    for column in ["waiting", "oldest_seconds", "wait_p50_seconds", "wait_p95_seconds", "wait_max_seconds"] {
        assert_eq!(told[column].as_array().unwrap().len(), count, "{column}");
    }
    let limits: Vec<_> = told["limits"].as_array().unwrap().iter().map(|limit| &limit["name"]).collect();
    assert_eq!(limits, [&json!("gpt/requests_per_minute"), &json!("gpt/tokens_per_minute")]);
    assert_eq!(told["limits"][1]["amount"][0], 1000.0);
    assert!(told["limits"][1]["used"][0].as_f64().unwrap() > 500.0);
    let at: Vec<u64> = told["at"].as_array().unwrap().iter().filter_map(Value::as_u64).collect();
    assert!(at.is_sorted_by(|a, b| a < b));
    let later = history(&server, "gpt&since=2100-01-01T00:00:00Z").await;
    assert_eq!(points(&later), 0);
    assert_eq!(history(&server, "gpt&step=300").await["step_seconds"], 300);
    assert_eq!(history(&server, "gpt&since=2020-01-01T00:00:00Z").await["step_seconds"], 300);
    server.get("/v1/history?resource=gpt&step=7").await.problem(422, "invalid");
    server.get("/v1/history?resource=gpt&since=noon").await.problem(422, "invalid");
    server.get("/v1/history?resource=none").await.problem(404, "unknown-resource");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_goes_on_where_it_was() {
    let server = Running::usual().await;
    server.granted(&json!({"resource": "solo", "lane": "batch"})).await;
    let before = until("there are points", async || {
        let told = history(&server, "solo").await;
        (points(&told) >= 2).then_some(told)
    })
    .await;
    let server = Running::within(server.end().await, LIMITS, |_| {}).await;
    let after = history(&server, "solo").await;
    assert_eq!(after["at"][0], before["at"][0], "{after}");
    assert!(points(&after) >= points(&before));
    assert_eq!(after["in_flight"][0], 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_history_is_set_aside() {
    let server = Running::usual().await;
    server.granted(&json!({"resource": "solo", "lane": "batch"})).await;
    until("there are points", async || (points(&history(&server, "solo").await) >= 1).then_some(())).await;
    let folder = server.end().await;
    let path = folder.path().join("state/history");
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let server = Running::within(folder, "resources: {other: {concurrent_requests: 1}}", |_| {}).await;
    assert_eq!(std::fs::read(server.state().join("history.set-aside")).unwrap(), bytes);
    assert_eq!(points(&history(&server, "other").await), 0);
}
