//! Networks that lose, delay and cut, between callers and the server and between the server and Redis.

use std::time::Duration;

use hyper::Method;
use paceline::{Demand, Limiter, Usage};
use paceline_testkit::{Fault, FaultProxy, RedisServer};
use serde_json::{Value, json};

use crate::crew::{Crew, limits, open};
use crate::kit::{Folder, Http, Serving, block_on, now};

fn embedded() -> Serving {
    let folder = Folder::new();
    let config = folder.file("limits.yaml", &limits());
    let state = folder.path().join("state").display().to_string();
    Serving::with(folder, &["--state", &state, "--config", &config])
}

fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

const FAULTS: [Fault; 6] = [
    Fault::DropRequests,
    Fault::DropReplies,
    Fault::Delay(Duration::from_millis(40)),
    Fault::CutReplyAfter(1),
    Fault::CutReplyAfter(37),
    Fault::Reset,
];

/// Has one way after another fail in each way, for a while that a session survives.
async fn fail(crew: &Crew, ways: &[FaultProxy]) {
    for fault in FAULTS {
        for way in ways {
            way.set(fault);
            tokio::time::sleep(Duration::from_millis(200)).await;
            way.set(Fault::None);
            crew.goes_on(10).await;
        }
    }
    // Silence in one direction for longer than a heartbeat takes.
    for fault in [Fault::DropReplies, Fault::DropRequests] {
        ways[0].set(fault);
        tokio::time::sleep(Duration::from_secs(4)).await;
        ways[0].set(Fault::None);
        crew.goes_on(10).await;
    }
}

#[test]
fn a_network_that_fails_before_the_server_counts_every_call_once() {
    block_on(async {
        let server = embedded();
        let ways = [FaultProxy::to(server.port), FaultProxy::to(server.port)];
        let mut crew = Crew::new();
        for way in &ways {
            crew.session(url(way.port()), 6).await;
        }
        crew.plain(&[server.port], 4);
        crew.goes_on(50).await;
        fail(&crew, &ways).await;
        crew.finish(&server.http()).await;
    });
}

#[test]
fn a_network_that_fails_before_redis_counts_every_call_once() {
    block_on(async {
        let redis = RedisServer::start();
        let ways = [FaultProxy::to(redis.port()), FaultProxy::to(redis.port())];
        let servers = ways.each_ref().map(|way| {
            let folder = Folder::new();
            let config = folder.file("limits.yaml", &limits());
            Serving::with(folder, &["--store", &way.url(), "--config", &config])
        });
        let mut crew = Crew::new();
        for server in &servers {
            crew.session(url(server.port), 6).await;
            crew.plain(&[server.port], 4);
        }
        crew.goes_on(50).await;
        fail(&crew, &ways).await;
        crew.finish(&servers[0].http()).await;
    });
}

/// Asks for the one slot, and says so when it is there.
async fn asks(
    limiter: Limiter,
    name: &'static str,
    served: tokio::sync::mpsc::UnboundedSender<&'static str>,
) {
    let permit = limiter.resource("solo").unwrap().acquire(Demand::new()).await.unwrap();
    served.send(name).unwrap();
    permit.settle(Usage::new()).await.unwrap();
}

/// The slot comes free while the first in line hears nothing: it is its own, and it has it when it hears again.
#[test]
fn who_hears_nothing_for_a_while_keeps_its_place_and_its_grant() {
    block_on(async {
        let server = embedded();
        let http = server.http();
        let ways = [FaultProxy::to(server.port), FaultProxy::to(server.port)];
        let limiters = [open(url(ways[0].port())).await, open(url(ways[1].port())).await];
        for fault in [Fault::DropReplies, Fault::DropRequests, Fault::Reset] {
            let held = http.done(Method::POST, "/v1/acquire", &json!({"resource": "solo"})).await;
            let (served, mut line) = tokio::sync::mpsc::unbounded_channel();
            let mut tasks = Vec::new();
            for (at, name) in ["first", "second"].into_iter().enumerate() {
                tasks.push(tokio::spawn(asks(limiters[at].clone(), name, served.clone())));
                shows(&http, "waiting", at + 1).await;
            }
            ways[0].set(fault);
            http.done(
                Method::POST,
                &format!("/v1/permits/{}/settle", held["permit"].as_str().unwrap()),
                &Value::Null,
            )
            .await;
            shows(&http, "in_flight", 1).await;
            tokio::time::sleep(Duration::from_millis(1_500)).await;
            let early = line.try_recv().ok();
            let expected = if fault == Fault::DropRequests { Some("first") } else { None };
            assert_eq!(early, expected, "{fault:?}: it hears of it where answers get through");
            shows(&http, "waiting", 1).await;
            ways[0].set(Fault::None);
            if early.is_none() {
                assert_eq!(line.recv().await, Some("first"), "{fault:?}");
            }
            assert_eq!(line.recv().await, Some("second"), "{fault:?}");
            for task in tasks {
                task.await.unwrap();
            }
            shows(&http, "in_flight", 0).await;
        }
    });
}

async fn shows(http: &Http, field: &str, many: usize) {
    let began = now();
    loop {
        let shown = http.done(Method::GET, "/v1/resources/solo", &Value::Null).await;
        if shown[field] == json!(many) {
            return;
        }
        assert!(now() - began < 20_000, "{field} is to be {many}: {shown}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
