//! SDKs that name the server as their store, and use that outlives it.

use paceline::{Demand, Limiter, Usage};
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
