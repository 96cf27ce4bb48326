//! Callers on a Redis server, as they are on memory.
#![cfg(feature = "redis")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends where it fails")]

mod common;

use common::{GPT, bucket, concurrency, secs};
use paceline::core::{LimitSpec, ResourceSpec};
use paceline::{Demand, Error, Event, GrantedVia, Limiter, Resource, Usage};
use paceline_testkit::RedisServer;

fn on(server: &RedisServer, prefix: &str, limit: LimitSpec) -> (Limiter, Resource) {
    let builder = Limiter::builder().store(server.url()).key_prefix(prefix);
    let limiter = builder.limits([limit], [ResourceSpec::new(GPT)]).build().unwrap();
    let resource = limiter.resource(GPT).unwrap();
    (limiter, resource)
}

#[test]
fn a_permit_is_granted_settled_and_seen() {
    let server = RedisServer::start();
    let (limiter, resource) = on(&server, "paceline:", bucket("tpm", "tokens", 1_000, 3_600_000));
    let permit = resource.acquire(Demand::tokens(800)).wait().unwrap();
    assert_eq!(permit.granted_via(), GrantedVia::Ledger);
    let permits = limiter.permits().wait().unwrap();
    assert_eq!(permits.iter().map(|permit| permit.id.clone()).collect::<Vec<_>>(), [permit.id()]);
    let Err(Error::Busy(short)) = resource.try_acquire(Demand::tokens(400)).wait() else { panic!() };
    assert_eq!((short.limit.as_deref(), short.wanted), (Some("tpm"), 400));
    assert_eq!(permit.settle(Usage::tokens(500)).wait().unwrap().returned("tokens"), 300);
    let snapshot = resource.snapshot().wait().unwrap();
    assert_eq!((snapshot.limits[0].left, snapshot.resource.in_flight), (500, 0));
    let outlook = resource.explain(Demand::tokens(600)).wait().unwrap();
    assert!(!outlook.explanation.goes && outlook.expected_wait.unwrap() > secs(300), "{outlook:?}");
    let impossible = resource.acquire(Demand::tokens(2_000)).wait();
    assert!(matches!(impossible, Err(Error::Impossible { most: 1_000, .. })), "{impossible:?}");
}

#[test]
fn who_waits_is_granted_when_somebody_else_settles() {
    let server = RedisServer::start();
    let (one, here) = on(&server, "paceline:", concurrency(1));
    let permit = here.acquire(Demand::new()).wait().unwrap();
    let mut events = one.events().blocking();
    let asked = here.clone();
    let waits = std::thread::spawn(move || asked.acquire(Demand::new()).timeout(secs(20)).wait());
    events.find(|event| matches!(event, Event::Queued { .. })).unwrap();
    let id = permit.detach();
    one.give_back(&id).wait().unwrap();
    waits.join().unwrap().unwrap().give_back().wait().unwrap();
}

#[test]
fn time_alone_grants() {
    let server = RedisServer::start();
    let (_limiter, resource) = on(&server, "paceline:", bucket("tpm", "tokens", 1_000, 2_000));
    resource.acquire(Demand::tokens(1_000)).wait().unwrap().settle(Usage::new());
    let permit = resource.acquire(Demand::tokens(500)).timeout(secs(20)).wait().unwrap();
    assert!(permit.waited() >= std::time::Duration::from_millis(900), "{:?}", permit.waited());
    let Err(error) =
        resource.acquire(Demand::tokens(900)).timeout(std::time::Duration::from_millis(10)).wait()
    else {
        panic!()
    };
    assert!(error.is_timeout(), "{error}");
}

#[test]
fn a_server_that_lost_everything_is_told() {
    let mut server = RedisServer::start();
    let (limiter, resource) = on(&server, "paceline:", concurrency(2));
    let held = resource.acquire(Demand::new()).wait().unwrap();
    let mut events = limiter.events().blocking();
    server.kill();
    server.start_again();
    let second = resource.acquire(Demand::new()).timeout(secs(30)).wait().unwrap();
    events.find(|event| matches!(event, Event::StateLost { .. })).unwrap();
    let third = resource.try_acquire(Demand::new()).wait();
    assert!(matches!(third, Err(Error::Busy(_))), "{third:?}");
    held.give_back().wait().unwrap();
    second.give_back().wait().unwrap();
}
