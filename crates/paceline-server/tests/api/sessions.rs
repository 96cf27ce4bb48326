//! SDKs that name the server as their store, and use that outlives it.

use std::time::Duration;

use paceline::config::Config;
use paceline::{Demand, Error, Limiter, Pause, Usage};
use reqwest::Method;
use serde_json::json;

use crate::kit::{Running, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_limiter_elsewhere_shares_the_line() {
    let server = Running::usual().await;
    let url = server.url("");
    let limiter =
        tokio::task::spawn_blocking(move || Limiter::builder().store(url).build()).await.unwrap().unwrap();
    let resource = limiter.resource("solo").unwrap();
    let permit = resource.acquire(Demand::new()).lane("batch").await.unwrap();
    let ask = json!({"resource": "solo", "lane": "batch", "wait_seconds": 20});
    let (waited, settled) = tokio::join!(server.post("/v1/acquire", &ask), async {
        until("it waits", async || {
            (server.get("/v1/resources/solo").await.json()["waiting"] == 1).then_some(())
        })
        .await;
        permit.settle(Usage::new()).await
    });
    settled.unwrap();
    assert_eq!(waited.status, 200, "{}", waited.text);
    server.get("/v1/session").await.problem(400, "malformed");
}

#[tokio::test(flavor = "multi_thread")]
async fn use_of_long_limits_outlives_the_server() {
    let server = Running::with("", |_| {}).await;
    let put = server.send(Method::PUT, "/v1/resources/daily", &json!({"requests_per_day": 10})).await;
    assert_eq!(put.status, 201, "{}", put.text);
    for _ in 0..7 {
        server.granted(&json!({"resource": "daily"})).await;
    }
    let folder = server.end().await;
    let server = Running::within(folder, "", |_| {}).await;
    let mut granted = 0;
    for _ in 0..10 {
        let answer = server.post("/v1/acquire", &json!({"resource": "daily", "try": true})).await;
        granted += u32::from(answer.status == 200);
    }
    assert!(granted <= 3, "{granted} more of ten a day, where seven were used");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_only_acquires_changes_nothing_through_a_session() {
    let mut server = Running::usual().await;
    let keys = [("ops", "admin"), ("worker", "acquire"), ("looker", "read")];
    let mut secrets = Vec::new();
    for (name, scope) in keys {
        let made = server.post("/v1/keys", &json!({"name": name, "scopes": [scope]})).await;
        assert_eq!(made.status, 201, "{}", made.text);
        secrets.push(made.said("secret"));
        server.with_key(&secrets[0]);
    }
    // Equal URLs are one store in a process: each stands for a program of its own.
    let url = |secret: &str, host: &str| {
        server.url("").replace("http://", &format!("http://key:{secret}@")).replace("127.0.0.1", host)
    };
    let (worker, looker) = (url(&secrets[1], "127.0.0.1"), url(&secrets[2], "localhost"));
    let build = |url: String| {
        let builder = Limiter::builder().store(url).store_timeout(Duration::from_secs(1));
        tokio::task::spawn_blocking(move || builder.build())
    };
    let refused = build(looker).await.unwrap();
    assert!(matches!(refused, Err(Error::StoreUnavailable { .. })), "{refused:?}");

    let limiter = build(worker).await.unwrap().unwrap();
    let resource = limiter.resource("gpt").unwrap();
    resource.acquire(Demand::tokens(10)).await.unwrap().settle(Usage::tokens(10)).await.unwrap();
    // As a provider's refusal pauses for all who share the key.
    resource.pause(Pause::lasting(Duration::from_millis(1))).await.unwrap();
    let before = server.get("/v1/resources/gpt").await.json();
    let more = "resources:\n  gpt: {tokens_per_minute: 1_000_000_000}\n";
    limiter.configure(&Config::parse("more", more).unwrap()).unwrap();
    let acquired = resource.acquire(Demand::tokens(10)).await;
    let Err(Error::StoreUnavailable { reason, .. }) = acquired else { panic!("{acquired:?}") };
    assert!(reason.contains("the key worker has not the scope admin, and may not change limits"), "{reason}");
    let after = server.get("/v1/resources/gpt").await.json();
    assert_eq!(before["limits"][0]["amount"], after["limits"][0]["amount"]);
}
