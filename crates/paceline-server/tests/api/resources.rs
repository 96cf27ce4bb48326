//! Limits: looked at, changed over the API and by the file, and kept.

use paceline::Limiter;
use reqwest::Method;
use serde_json::{Value, json};

use crate::kit::{LIMITS, Running, until};

fn amount(resource: &Value, metric: &str) -> Option<u64> {
    let limits = resource["limits"].as_array().unwrap();
    limits.iter().find(|limit| limit["metric"] == metric).and_then(|limit| limit["amount"].as_u64())
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_are_put_patched_kept_and_deleted() {
    let server = Running::with("", |_| {}).await;
    server.post("/v1/acquire", &json!({"resource": "openai/gpt-4o"})).await.problem(404, "unknown-resource");
    let put = json!({"requests_per_minute": 60, "tokens_per_minute": 1000});
    let made = server.send(Method::PUT, "/v1/resources/openai/gpt-4o", &put).await;
    assert_eq!(made.status, 201, "{}", made.text);
    assert_eq!((&made.json()["owner"], &made.json()["configuration"]), (&json!("api"), &put));
    assert_eq!(server.send(Method::PUT, "/v1/resources/openai%2Fgpt-4o", &put).await.status, 200);
    let patched = server
        .send(
            Method::PATCH,
            "/v1/resources/openai/gpt-4o",
            &json!({"tokens_per_minute": 5000, "requests_per_minute": null}),
        )
        .await;
    assert_eq!(patched.status, 200, "{}", patched.text);
    assert_eq!((amount(&patched.json(), "tokens"), amount(&patched.json(), "requests")), (Some(5000), None));
    server.granted(&json!({"resource": "openai/gpt-4o", "tokens": 500})).await;

    let folder = server.end().await;
    let server = Running::within(folder, "", |_| {}).await;
    let shown = server.get("/v1/resources/openai/gpt-4o").await.json();
    assert_eq!(amount(&shown, "tokens"), Some(5000), "{shown}");
    assert_eq!(server.delete("/v1/resources/openai/gpt-4o").await.status, 204);
    server.get("/v1/resources/openai/gpt-4o").await.problem(404, "unknown-resource");
    server.delete("/v1/resources/openai/gpt-4o").await.problem(404, "unknown-resource");
    server.send(Method::PATCH, "/v1/resources/nothing", &json!({})).await.problem(404, "unknown-resource");
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_that_cannot_be_change_nothing() {
    let server = Running::usual().await;
    for body in [
        json!({"request_per_minute": 1}),
        json!({"requests_per_minute": -1}),
        json!({"requests_per_minute": "many"}),
        json!({"requests_per_minute": 0}),
        json!({"limits": [{"metric": "requests"}]}),
    ] {
        let answer = server.send(Method::PUT, "/v1/resources/other", &body).await;
        answer.problem(422, "invalid-configuration");
    }
    server.send(Method::PUT, "/v1/resources/other", &json!([])).await.problem(422, "invalid");
    server.get("/v1/resources/other").await.problem(404, "unknown-resource");
    server.granted(&json!({"resource": "gpt"})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_file_names_is_read_only_and_follows_the_file() {
    let server = Running::usual().await;
    for (method, body) in [(Method::PUT, json!({"requests_per_minute": 1})), (Method::PATCH, json!({}))] {
        let refused = server.send(method, "/v1/resources/gpt", &body).await.problem(409, "owned-by-file");
        assert!(refused["detail"].as_str().unwrap().contains("limits.yaml"), "{refused}");
    }
    server.delete("/v1/resources/gpt").await.problem(409, "owned-by-file");
    assert_eq!(server.get("/v1/resources/gpt").await.json()["owner"], "file");
    let own = server.send(Method::PUT, "/v1/resources/own", &json!({"requests_per_minute": 7})).await;
    assert_eq!(own.status, 201, "{}", own.text);

    let file = server.folder.path().join("limits.yaml");
    std::fs::write(&file, LIMITS.replace("tokens_per_minute: 1000}", "tokens_per_minute: 2000}")).unwrap();
    let follows = async |tokens: u64| {
        until("the file is in force", async || {
            let shown = server.get("/v1/resources/gpt").await.json();
            (amount(&shown, "tokens") == Some(tokens)).then_some(())
        })
        .await;
    };
    follows(2000).await;
    assert_eq!(
        amount(&server.get("/v1/resources/own").await.json(), "requests"),
        Some(7),
        "the API's own stays"
    );

    // A bad edit is refused, and what was in force stays.
    std::fs::write(&file, "resources: {gpt: {tokens_per_minut: 1}}").unwrap();
    until("the edit is refused", async || {
        let metrics = server.get("/metrics").await.text;
        metrics.contains("paceline_configurations_refused_total 1").then_some(())
    })
    .await;
    follows(2000).await;
    let url = server.url("");
    let joined = tokio::task::spawn_blocking(|| Limiter::builder().store(url).build()).await.unwrap();
    assert!(joined.unwrap().resource("gpt").is_ok(), "who joins now is told what is in force");
    std::fs::write(&file, LIMITS).unwrap();
    follows(1000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pauses_hold_up_or_refuse_and_a_purge_clears_the_line() {
    let server = Running::usual().await;
    let paused = server
        .post("/v1/resources/team/wide/pause", &json!({"seconds": 60, "refuse": true, "reason": "spent"}))
        .await;
    assert_eq!(paused.status, 204, "{}", paused.text);
    let refused = server.post("/v1/acquire", &json!({"resource": "team/wide"})).await.problem(429, "paused");
    assert!(refused["retry_after_seconds"].as_f64().unwrap() > 55.0, "{refused}");
    assert_eq!(server.get("/v1/resources/team/wide").await.json()["paused"], true);
    let resumed = server.request(Method::POST, "/v1/resources/team/wide/resume").send().await.unwrap();
    assert_eq!(resumed.status(), 204);

    server.granted(&json!({"resource": "solo", "lane": "batch"})).await;
    let ask = json!({"resource": "solo", "lane": "batch", "wait_seconds": 30});
    let (waited, ()) = tokio::join!(server.post("/v1/acquire", &ask), async {
        until("it waits", async || {
            (server.get("/v1/resources/solo").await.json()["waiting"] == 1).then_some(())
        })
        .await;
        let lanes = server.get("/v1/lanes").await.json();
        assert!(
            lanes.as_array().unwrap().iter().any(|lane| lane["name"] == "batch" && lane["waiting"] == 1),
            "{lanes}"
        );
        let purged = server.post("/v1/resources/solo/purge", &json!({"lane": "batch"})).await;
        assert_eq!(purged.status, 204, "{}", purged.text);
    });
    waited.problem(409, "purged");
    server.post("/v1/resources/nothing/pause", &json!({})).await.problem(404, "unknown-resource");
    server.post("/v1/resources/gpt/pause", &json!({"seconds": -1})).await.problem(422, "invalid");
}
