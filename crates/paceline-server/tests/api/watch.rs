//! Everything as it changes, as those see it who watch.

use std::time::Duration;

use paceline_server::{KeyFile, NewKey, Scope};
use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::kit::{Running, until};

/// Reads a watch, event by event.
struct Watch {
    response: Response,
    text: String,
}

impl Watch {
    async fn begin(server: &Running, query: &str) -> Self {
        let response = server.request(Method::GET, &format!("/v1/watch{query}")).send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { response, text: String::new() }
    }

    /// Returns the name and data of the next event.
    async fn next(&mut self) -> (String, Value) {
        loop {
            if let Some(end) = self.text.find("\n\n") {
                let block: String = self.text.drain(..end + 2).collect();
                let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name));
                if let Some((name, data)) = field("event: ").zip(field("data: ")) {
                    return (name.to_owned(), serde_json::from_str(data).unwrap());
                }
                continue;
            }
            let chunk = tokio::time::timeout(Duration::from_secs(20), self.response.chunk()).await;
            let chunk = chunk.expect("an event comes").unwrap().expect("it has no end");
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    /// Reads until a resource is as it should be, and returns it.
    async fn until(&mut self, resource: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        for _ in 0..1_000 {
            let (_, data) = self.next().await;
            let all = data["resources"].as_array().unwrap();
            if let Some(found) = all.iter().find(|one| one["name"] == resource).filter(|one| is_so(one)) {
                return found.clone();
            }
        }
        panic!("{resource} was never so");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_begins_with_everything_and_goes_on_with_what_changed() {
    let server = Running::usual().await;
    let mut watch = Watch::begin(&server, "?rate=20").await;
    let (name, data) = watch.next().await;
    assert_eq!(name, "snapshot");
    let names: Vec<_> = data["resources"].as_array().unwrap().iter().map(|one| one["name"].clone()).collect();
    assert_eq!(names, [json!("gpt"), json!("solo"), json!("team/wide")]);
    assert_eq!(data["trouble"], Value::Null);

    let permit = server.granted(&json!({"resource": "solo", "lane": "batch"})).await;
    let (name, data) = loop {
        let (name, data) = watch.next().await;
        if data["resources"][0]["name"] == "solo" && data["resources"][0]["in_flight"] == 1 {
            break (name, data);
        }
    };
    assert_eq!((name.as_str(), data["resources"].as_array().unwrap().len()), ("changes", 1), "{data}");

    let line = json!({"resource": "solo", "lane": "interactive", "wait_seconds": 0});
    let ticket = server.post("/v1/acquire", &line).await.said("ticket");
    let solo = watch.until("solo", |solo| solo["held_up"][0]["limit"] == "solo/concurrent_requests").await;
    assert_eq!((&solo["waiting"], &solo["held_up"][0]["lane"]), (&json!(1), &json!("interactive")), "{solo}");
    assert_eq!(solo["held_up"][0]["ready_in_seconds"], Value::Null, "that takes a release");
    server.delete(&format!("/v1/tickets/{ticket}")).await;
    watch.until("solo", |solo| solo["waiting"] == 0 && solo["held_up"] == json!([])).await;
    server.post(&format!("/v1/permits/{permit}/settle"), &json!({})).await;
    watch.until("solo", |solo| solo["in_flight"] == 0).await;

    server
        .post("/v1/acquire", &json!({"resource": "gpt", "tokens": 5_000, "try": true}))
        .await
        .problem(422, "impossible");
    let gpt = watch.until("gpt", |gpt| gpt["refused"]["reason"].is_string()).await;
    assert!(gpt["refused"]["reason"].as_str().unwrap().contains("5000"), "{gpt}");
    server.post("/v1/resources/gpt/pause", &json!({"reason": "the bill"})).await;
    watch.until("gpt", |gpt| gpt["paused"] == true && gpt["pause_reason"] == "the bill").await;
    server.send(Method::PUT, "/v1/resources/fresh", &json!({"requests_per_minute": 5})).await;
    loop {
        let (name, data) = watch.next().await;
        if data["resources"].as_array().unwrap().iter().any(|one| one["name"] == "fresh") {
            assert_eq!(name, "snapshot", "names are others");
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn grants_of_all_callers_become_rates_and_waits() {
    let server = Running::usual().await;
    let mut watch = Watch::begin(&server, "?rate=5").await;
    for _ in 0..8 {
        let permit = server.granted(&json!({"resource": "team/wide"})).await;
        server.post(&format!("/v1/permits/{permit}/settle"), &json!({})).await;
    }
    let wide = watch.until("team/wide", |wide| wide["grants_per_second"].as_f64().unwrap() > 0.0).await;
    assert_eq!(wide["wait_p50_seconds"], 0.0, "{wide}");
    watch
        .until("team/wide", |wide| wide["grants_per_second"] == 0.0 && wide["wait_p50_seconds"].is_null())
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_is_no_faster_than_it_was_asked_to_be() {
    let server = Running::usual().await;
    server.granted(&json!({"resource": "gpt", "tokens": 1_000})).await;
    // What refills changes with every look.
    let (mut fast, mut slow) =
        (Watch::begin(&server, "?rate=20").await, Watch::begin(&server, "?rate=0.5").await);
    slow.next().await;
    let reading = tokio::spawn(async move {
        for _ in 0..6 {
            fast.next().await;
        }
    });
    slow.next().await;
    assert!(
        reading.is_finished(),
        "six of the one fit between two of the other, which are two seconds apart"
    );
    for rate in ["0", "21", "-1", "nan", "fast"] {
        server.get(&format!("/v1/watch?rate={rate}")).await.problem(422, "invalid");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_sees_what_it_is_for() {
    let mut server = Running::usual().await;
    let keys = KeyFile::at(server.state().join("keys.json"));
    let make = |name: &str, scope: Scope, resources: &[&str]| {
        let resources = resources.iter().map(|&resource| resource.to_owned()).collect();
        let new = NewKey { name: name.to_owned(), scopes: vec![scope], resources, lasting_seconds: None };
        keys.create(&new).unwrap()
    };
    let (eyes, hands) = (make("eyes", Scope::Read, &["so*"]), make("hands", Scope::Acquire, &[]));
    until("the keys are known", async || (server.get("/v1/snapshot").await.status == 401).then_some(()))
        .await;
    server.with_key(&hands);
    until("the key is known", async || (server.get("/v1/snapshot").await.status == 403).then_some(())).await;
    server.get("/v1/history?resource=solo").await.problem(403, "scope-missing");
    server.with_key(&eyes);
    let (_, data) = Watch::begin(&server, "").await.next().await;
    let names: Vec<_> = data["resources"].as_array().unwrap().iter().map(|one| &one["name"]).collect();
    assert_eq!(names, [&json!("solo")]);
    server.get("/v1/history?resource=gpt").await.problem(403, "resource-forbidden");
    assert_eq!(server.get("/v1/history?resource=solo").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_ends_with_the_server() {
    let server = Running::usual().await;
    let mut watch = Watch::begin(&server, "").await;
    watch.next().await;
    server.stop.now();
    let end = async { while let Ok(Some(_)) = watch.response.chunk().await {} };
    tokio::time::timeout(Duration::from_secs(10), end).await.expect("it ends");
    tokio::time::timeout(Duration::from_secs(20), server.ended).await.expect("the server ends").unwrap();
}
