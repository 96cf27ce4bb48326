//! Asking, waiting, polling, and what is done with permits.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use crate::kit::{Answer, Running, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_permit_is_granted_and_settled_once() {
    let server = Running::usual().await;
    let answer = server.post("/v1/acquire", &json!({"resource": "gpt", "tokens": 600})).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.json()["status"], "granted");
    assert!((answer.json()["lease_seconds"].as_f64().unwrap() - 900.0).abs() < 0.001);
    let permit = answer.said("permit");

    let settled = server.post(&format!("/v1/permits/{permit}/settle"), &json!({"tokens": 100})).await;
    assert_eq!(settled.status, 200, "{}", settled.text);
    assert_eq!(settled.json()["returned"]["tokens"], 500);
    let again = server.post(&format!("/v1/permits/{permit}/settle"), &json!({"tokens": 100})).await;
    assert_eq!(again.problem(409, "permit-over")["permit"], permit);

    let shown = server.get("/v1/resources/gpt").await.json();
    let tokens =
        shown["limits"].as_array().unwrap().iter().find(|limit| limit["metric"] == "tokens").unwrap();
    assert!((100..=110).contains(&tokens["used"].as_u64().unwrap()), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_given_back_goes_back_in_full() {
    let server = Running::usual().await;
    let permit = server.granted(&json!({"resource": "gpt", "tokens": 1000})).await;
    let busy = server.post("/v1/acquire", &json!({"resource": "gpt", "tokens": 900, "try": true})).await;
    let problem = busy.problem(429, "busy");
    assert_eq!(problem["resource"], "gpt");
    assert_eq!(problem["wanted"], 900);
    assert!(problem["limit"].as_str().unwrap().contains("tokens"), "{problem}");
    assert!(busy.header("retry-after").parse::<u64>().unwrap() > 30);

    let back = server.request(Method::POST, &format!("/v1/permits/{permit}/give-back")).send().await.unwrap();
    assert_eq!(back.status(), 200);
    server.granted(&json!({"resource": "gpt", "tokens": 900, "try": true})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_say_why_and_what_instead() {
    let server = Running::usual().await;
    let ask = async |body: serde_json::Value| server.post("/v1/acquire", &body).await;

    let impossible = ask(json!({"resource": "gpt", "tokens": 1001})).await.problem(422, "impossible");
    assert_eq!((&impossible["wanted"], &impossible["most"]), (&json!(1001), &json!(1000)));
    let unknown = ask(json!({"resource": "gtp"})).await.problem(404, "unknown-resource");
    assert_eq!(unknown["nearest"], "gpt");
    let lane = ask(json!({"resource": "solo", "lane": "night"})).await.problem(422, "unknown-lane");
    assert_eq!(lane["lane"], "night");
    server.granted(&json!({"resource": "gpt", "tokens": 1000})).await;
    ask(json!({"resource": "gpt", "tokens": 900, "timeout_seconds": 1})).await.problem(429, "too-late");
    let bound = json!({"resource": "gpt", "tokens": 900, "max_expected_wait_seconds": 1});
    ask(bound).await.problem(429, "expected-wait");
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_are_wrong_are_told_so() {
    let server = Running::usual().await;
    let ask = async |body: &str| {
        let request = server.request(Method::POST, "/v1/acquire").header("content-type", "application/json");
        Answer::of(request.body(body.to_owned()).send().await.unwrap()).await
    };
    ask("{").await.problem(400, "malformed");
    ask("").await.problem(400, "malformed");
    ask("[]").await.problem(422, "invalid");
    ask("{}").await.problem(422, "invalid");
    ask(r#"{"resource": "gpt", "tokenz": 1}"#).await.problem(422, "invalid");
    ask(r#"{"resource": "gpt", "tokens": -1}"#).await.problem(422, "invalid");
    ask(r#"{"resource": "gpt", "tokens": 1.5}"#).await.problem(422, "invalid");
    for (field, value) in [
        ("tokens", "1125899906842625"),
        ("wait_seconds", "61"),
        ("wait_seconds", "-1"),
        ("timeout_seconds", "1e300"),
        ("lease_seconds", "0"),
        ("metrics", r#"{"no spaces": 1}"#),
    ] {
        let problem =
            ask(&format!(r#"{{"resource": "gpt", "{field}": {value}}}"#)).await.problem(422, "invalid");
        assert_eq!(problem["field"], field, "{problem}");
    }
    let plain =
        server.request(Method::POST, "/v1/acquire").body(r#"{"resource": "gpt"}"#).send().await.unwrap();
    Answer::of(plain).await.problem(415, "unsupported-media-type");
    for id in ["nonsense", "a.b.c", "gpt.00.1"] {
        server.get(&format!("/v1/tickets/{id}")).await.problem(404, "not-a-permit");
        server.post(&format!("/v1/permits/{id}/settle"), &json!({})).await.problem(404, "not-a-permit");
    }
    let forged = "gpt.000000000000000000000000504c4149.1";
    server.post(&format!("/v1/permits/{forged}/settle"), &json!({})).await.problem(409, "permit-over");
    server.get(&format!("/v1/tickets/{forged}")).await.problem(409, "permit-over");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_keeps_its_place_and_is_granted_in_line() {
    let server = Running::usual().await;
    let first = server.granted(&json!({"resource": "solo", "lane": "batch"})).await;
    let ask = json!({"resource": "solo", "lane": "batch", "wait_seconds": 0});
    let waiting = server.post("/v1/acquire", &ask).await;
    assert_eq!(waiting.status, 202, "{}", waiting.text);
    assert_eq!((&waiting.json()["status"], &waiting.json()["ahead"]), (&json!("waiting"), &json!(0)));
    let behind = server.post("/v1/acquire", &ask).await;
    assert_eq!(behind.json()["ahead"], 1, "{}", behind.text);

    // The grant wakes the poll that waits for it.
    let poll = waiting.said("poll") + "&wait_seconds=30";
    let (settle, nothing) = (format!("/v1/permits/{first}/settle"), json!({}));
    let (polled, settled) = tokio::join!(server.get(&poll), server.post(&settle, &nothing));
    assert_eq!(settled.status, 200, "{}", settled.text);
    assert_eq!(polled.status, 200, "{}", polled.text);
    assert_eq!(polled.said("permit"), waiting.said("ticket"));

    // Polled again it answers the same permit, and the one behind waits still.
    assert_eq!(server.get(&poll).await.said("permit"), waiting.said("ticket"));
    assert_eq!(server.get(&(behind.said("poll") + "&wait_seconds=0")).await.status, 202);
    let cancelled = server.delete(&format!("/v1/tickets/{}", behind.said("ticket"))).await;
    assert_eq!(cancelled.status, 200, "{}", cancelled.text);
    server.get(&behind.said("poll")).await.problem(409, "permit-over");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_idempotency_key_asks_once() {
    let server = Running::usual().await;
    let ask = async |key: &str| {
        let request = server.request(Method::POST, "/v1/acquire").header("Idempotency-Key", key);
        let body = json!({"resource": "solo", "lane": "batch", "wait_seconds": 0});
        Answer::of(request.json(&body).send().await.unwrap()).await
    };
    let (one, again) = (ask("one").await, ask("one").await);
    assert_eq!(one.status, 200, "{}", one.text);
    assert_eq!(one.said("permit"), again.said("permit"));
    let (two, again) = (ask("two").await, ask("two").await);
    assert_eq!((two.status.as_u16(), two.said("ticket")), (202, again.said("ticket")));
    assert_ne!(one.said("permit"), two.said("ticket"));
    ask("").await.problem(422, "invalid");
    ask(&"x".repeat(256)).await.problem(422, "invalid");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_poll_leaves_the_line() {
    let server = Running::start(|settings| settings.patience = Duration::from_millis(300)).await;
    let held = server.granted(&json!({"resource": "solo", "lane": "batch"})).await;
    let ask = json!({"resource": "solo", "lane": "batch", "wait_seconds": 0});
    let waiting = server.post("/v1/acquire", &ask).await;
    until("the place is free", async || {
        (server.get("/v1/resources/solo").await.json()["waiting"] == 0).then_some(())
    })
    .await;
    server.get(&waiting.said("poll")).await.problem(409, "permit-over");
    // Whoever polls keeps the place for longer than that, and the permit has a life of its own.
    let waiting = server.post("/v1/acquire", &ask).await;
    for _ in 0..10 {
        let polled = server.get(&(waiting.said("poll") + "&wait_seconds=0.1")).await;
        assert_eq!(polled.status, 202, "{}", polled.text);
    }
    let settled = server.post(&format!("/v1/permits/{held}/settle"), &json!({})).await;
    assert_eq!(settled.status, 200, "{}", settled.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_out_passes_in_line_across_polls() {
    let server = Running::usual().await;
    server.granted(&json!({"resource": "solo", "lane": "batch"})).await;
    let ask = json!({"resource": "solo", "lane": "batch", "wait_seconds": 0.1, "timeout_seconds": 1});
    let waiting = server.post("/v1/acquire", &ask).await;
    assert_eq!(waiting.status, 202, "{}", waiting.text);
    let polled = server.get(&(waiting.said("poll") + "&wait_seconds=20")).await;
    polled.problem(429, "timed-out");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_permit_ends_at_its_lease_and_lives_on_when_it_is_renewed() {
    // A poll looks three times within the patience, and each look ends what is over.
    let server = Running::start(|settings| settings.patience = Duration::from_millis(900)).await;
    let ask = json!({"resource": "solo", "lane": "batch", "lease_seconds": 2, "wait_seconds": 20});
    let renewed = server.granted(&ask).await;
    let answer = server.post(&format!("/v1/permits/{renewed}/renew"), &json!({"lease_seconds": 60})).await;
    assert_eq!(answer.status, 204, "{}", answer.text);
    // Longer than its first lease, after which it must still be there.
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    let settled = server.post(&format!("/v1/permits/{renewed}/settle"), &json!({})).await;
    assert_eq!(settled.status, 200, "{}", settled.text);

    let forgotten = server.granted(&ask).await;
    let next = server.granted(&ask).await;
    server.post(&format!("/v1/permits/{forgotten}/settle"), &json!({})).await.problem(409, "permit-over");
    server
        .post(&format!("/v1/permits/{next}/renew"), &json!({"lease_seconds": -1}))
        .await
        .problem(422, "invalid");
}

#[tokio::test(flavor = "multi_thread")]
async fn reservations_are_amended_and_use_recorded() {
    let server = Running::usual().await;
    let permit = server.granted(&json!({"resource": "gpt", "tokens": 400})).await;
    let amended = server.post(&format!("/v1/permits/{permit}/amend"), &json!({"tokens": 100})).await;
    assert_eq!(amended.status, 200, "{}", amended.text);
    assert_eq!(amended.json()["returned"]["tokens"], 300);

    let recorded = server.post("/v1/record", &json!({"resource": "gpt", "tokens": 5000})).await;
    assert_eq!(recorded.status, 204, "{}", recorded.text);
    let explained = server.get("/v1/explain?resource=gpt&tokens=100").await.json();
    assert_eq!(explained["goes"], false);
    assert!(explained["limits"][0]["left"].as_i64().unwrap() < -3000, "{explained}");
    server.get("/v1/explain?resource=nothing").await.problem(404, "unknown-resource");
    server.get("/v1/explain").await.problem(422, "invalid");
    server.get("/v1/explain?resource=gpt&metrics=images").await.problem(422, "invalid");

    let permits = server.get("/v1/permits").await.json();
    assert_eq!(permits[0]["permit"], permit);
    assert_eq!(permits[0]["reserved"]["tokens"], 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_say_what_the_limits_are_and_how_they_stood() {
    let server = Running::usual().await;
    server.granted(&json!({"resource": "gpt", "tokens": 10})).await;
    let answer = until("the fields are there", async || {
        let answer = server.post("/v1/acquire", &json!({"resource": "gpt", "tokens": 1, "try": true})).await;
        answer.headers.contains_key("ratelimit").then_some(answer)
    })
    .await;
    let policy = answer.header("ratelimit-policy");
    assert!(policy.contains("\"requests_per_minute\";q=10;w=60"), "{policy}");
    assert!(policy.contains("\"tokens_per_minute\";q=1000;w=60;qu=\"tokens\""), "{policy}");
    assert!(
        answer.header("ratelimit").contains("\"tokens_per_minute\";r=9"),
        "{}",
        answer.header("ratelimit")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_tells_those_who_wait_to_ask_again() {
    let server = Running::usual().await;
    server.granted(&json!({"resource": "solo", "lane": "batch"})).await;
    let ask = json!({"resource": "solo", "lane": "batch", "wait_seconds": 60});
    let (waited, ()) = tokio::join!(server.post("/v1/acquire", &ask), async {
        until("it waits", async || {
            (server.get("/v1/resources/solo").await.json()["waiting"] == 1).then_some(())
        })
        .await;
        server.stop.now();
    });
    waited.problem(503, "stopping");
    assert_eq!(waited.header("retry-after"), "1");
    server.end().await;
}
