//! Tickets in sessions of their own, asked for, polled and settled through whichever process is there.
#![cfg(all(feature = "redis", feature = "host"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends where it fails")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{GPT, bucket, concurrency, secs};
use paceline::core::{LimitSpec, ResourceSpec};
use paceline::host::{Host, HostOptions};
use paceline::link::Link;
use paceline::plain::{Plain, PlainAsk, PlainEnd};
use paceline::{Builder, Demand, Error, Limiter, PermitId, Resource, Usage};
use paceline_testkit::RedisServer;

/// Two processes on one store, as far as it can see.
struct Two {
    _server: Option<RedisServer>,
    one: (Limiter, Resource),
    other: (Limiter, Resource),
}

/// Two on a server of Redis, and two on a host.
fn stores(limit: &LimitSpec) -> [Two; 2] {
    let finish = |builder: Builder| {
        let limiter = builder.limits([limit.clone()], [ResourceSpec::new(GPT)]).build().unwrap();
        let resource = limiter.resource(GPT).unwrap();
        (limiter, resource)
    };
    let builder = || Limiter::builder().session_timeout(secs(2));
    let server = RedisServer::start();
    let elsewhere = server.url().replace("127.0.0.1", "localhost");
    assert_ne!(elsewhere, server.url(), "equal URLs would be one store");
    let (one, other) = (finish(builder().store(server.url())), finish(builder().store(elsewhere)));
    let on_redis = Two { one, other, _server: Some(server) };
    let host = Host::new(HostOptions::default());
    let link = || finish(builder().link(Arc::clone(&host) as Arc<dyn Link>));
    [on_redis, Two { one: link(), other: link(), _server: None }]
}

fn polling(poll: Duration) -> PlainAsk {
    PlainAsk { poll, ..PlainAsk::default() }
}

#[track_caller]
fn permit(answer: Result<Plain, Error>) -> PermitId {
    match answer {
        Ok(Plain::Granted { permit, .. }) => permit,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn ticket(answer: Result<Plain, Error>) -> PermitId {
    match answer {
        Ok(Plain::Waiting { ticket, .. }) => ticket,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn asking_again_is_the_same_ticket_and_it_settles_once() {
    for two in stores(&bucket("tpm", "tokens", 1_000, 3_600_000)) {
        let ask = polling(Duration::ZERO);
        let first = permit(two.one.1.plain(7 << 64, Demand::tokens(800), &ask).await);
        let again = permit(two.other.1.plain(7 << 64, Demand::tokens(800), &ask).await);
        assert_eq!(first, again);
        assert_eq!(two.one.1.snapshot().wait().unwrap().limits[0].left, 200, "counted once");
        let settled = two.other.0.plain_end(&first, PlainEnd::Settle(Usage::tokens(300))).await.unwrap();
        assert_eq!(settled.returned("tokens"), 500);
        for limiter in [&two.one.0, &two.other.0] {
            let again = limiter.plain_end(&first, PlainEnd::Settle(Usage::tokens(0))).await;
            assert!(matches!(again, Err(Error::PermitOver(_))), "{again:?}");
        }
        assert_eq!(two.one.1.snapshot().wait().unwrap().limits[0].left, 700);
        let over = two.one.1.plain(7 << 64, Demand::tokens(1), &ask).await;
        assert!(over.is_ok(), "its session was closed, so that the key is free again: {over:?}");
    }
}

#[tokio::test]
async fn a_ticket_keeps_its_place_when_nobody_is_connected() {
    for two in stores(&concurrency(1)) {
        let held = permit(two.one.1.plain(1 << 64, Demand::new(), &polling(Duration::ZERO)).await);
        let first = ticket(two.one.1.plain(2 << 64, Demand::new(), &polling(Duration::ZERO)).await);
        let second = ticket(two.other.1.plain(3 << 64, Demand::new(), &polling(Duration::ZERO)).await);
        let polled = two.other.0.plain_poll(&second, &polling(Duration::ZERO)).await.unwrap();
        assert!(matches!(polled, Plain::Waiting { ahead: 1, .. }), "{polled:?}");
        two.one.0.plain_end(&held, PlainEnd::GiveBack).await.unwrap();
        // The first is polled at the other process, which is told by a push or finds it granted.
        let granted = permit(two.other.0.plain_poll(&first, &polling(secs(10))).await);
        assert_eq!(granted, first);
        let waits = {
            let (limiter, second) = (two.one.0.clone(), second.clone());
            tokio::spawn(async move { limiter.plain_poll(&second, &polling(secs(10))).await })
        };
        two.other.0.plain_end(&granted, PlainEnd::Settle(Usage::new())).await.unwrap();
        assert_eq!(permit(waits.await.unwrap()), second);
        two.one.0.plain_end(&second, PlainEnd::GiveBack).await.unwrap();
        assert_eq!(two.one.1.snapshot().wait().unwrap().resource.in_flight, 0);
    }
}

#[tokio::test]
async fn time_alone_grants_who_is_polled() {
    for two in stores(&bucket("tpm", "tokens", 1_000, 2_000)) {
        permit(two.one.1.plain(1 << 64, Demand::tokens(1_000), &polling(Duration::ZERO)).await);
        let granted = two.one.1.plain(2 << 64, Demand::tokens(500), &polling(secs(10))).await.unwrap();
        let Plain::Granted { waited, .. } = granted else { panic!("{granted:?}") };
        assert!(waited >= Duration::from_millis(900), "{waited:?}");
    }
}

#[tokio::test]
async fn who_does_not_poll_leaves_the_line_and_a_permit_ends_at_its_lease() {
    for two in stores(&concurrency(1)) {
        // A store that heard nothing for half a time-out grants everybody a fresh one: it may have been down.
        let short = PlainAsk { lease: secs(3), ..polling(Duration::ZERO) };
        permit(two.one.1.plain(1 << 64, Demand::new(), &short).await);
        let brief = PlainAsk { patience: secs(3), ..polling(Duration::ZERO) };
        let gone = ticket(two.one.1.plain(2 << 64, Demand::new(), &brief).await);
        let waits = permit(two.one.1.plain(3 << 64, Demand::new(), &polling(secs(15))).await);
        let polled = two.one.0.plain_poll(&gone, &brief).await;
        assert!(matches!(polled, Err(Error::PermitOver(_))), "{polled:?}");
        two.one.0.plain_renew(&waits, secs(60)).await.unwrap();
        two.one.0.plain_end(&waits, PlainEnd::GiveBack).await.unwrap();
        let renewed = two.one.0.plain_renew(&waits, secs(60)).await;
        assert!(matches!(renewed, Err(Error::PermitOver(_))), "{renewed:?}");
    }
}

#[tokio::test]
async fn refusals_say_why_and_leave_nothing() {
    for two in stores(&bucket("tpm", "tokens", 1_000, 3_600_000)) {
        let held = permit(two.one.1.plain(1 << 64, Demand::tokens(900), &polling(Duration::ZERO)).await);
        let at_once = PlainAsk { wait: false, ..PlainAsk::default() };
        let busy = two.one.1.plain(2 << 64, Demand::tokens(400), &at_once).await;
        assert!(matches!(&busy, Err(Error::Busy(short)) if short.left == 100), "{busy:?}");
        let impossible = two.one.1.plain(3 << 64, Demand::tokens(4_000), &polling(secs(5))).await;
        assert!(matches!(impossible, Err(Error::Impossible { most: 1_000, .. })), "{impossible:?}");
        let choosy = PlainAsk { max_expected_wait: Some(secs(2)), ..polling(secs(5)) };
        let expected = two.one.1.plain(4 << 64, Demand::tokens(400), &choosy).await;
        assert!(matches!(expected, Err(Error::ExpectedWait { .. })), "{expected:?}");
        let late = PlainAsk { timeout: Some(secs(5)), ..polling(secs(5)) };
        let late = two.one.1.plain(5 << 64, Demand::tokens(400), &late).await;
        assert!(matches!(late, Err(Error::TooLate(_))), "{late:?}");
        let amended = two.other.0.plain_amend(&held, Demand::tokens(200)).await.unwrap();
        assert_eq!(amended.returned("tokens"), 700);
        let snapshot = two.one.1.snapshot().wait().unwrap();
        assert_eq!(
            (snapshot.resource.waiting, snapshot.resource.in_flight, snapshot.limits[0].left),
            (0, 1, 800)
        );
    }
}

#[tokio::test]
async fn a_time_out_leaves_the_line() {
    for two in stores(&concurrency(1)) {
        permit(two.one.1.plain(1 << 64, Demand::new(), &polling(Duration::ZERO)).await);
        let bounded = PlainAsk { timeout: Some(Duration::from_millis(200)), ..polling(secs(5)) };
        let late = two.one.1.plain(2 << 64, Demand::new(), &bounded).await;
        assert!(matches!(late, Err(Error::AcquireTimeout(_))), "{late:?}");
        assert_eq!(two.one.1.snapshot().wait().unwrap().resource.waiting, 0);
    }
}

#[tokio::test]
async fn a_store_in_memory_has_no_such_tickets() {
    let limiter =
        Limiter::builder().private().limits([concurrency(1)], [ResourceSpec::new(GPT)]).build().unwrap();
    let resource = limiter.resource(GPT).unwrap();
    let refused = resource.plain(1, Demand::new(), &PlainAsk::default()).await;
    assert!(matches!(refused, Err(Error::StoreUnavailable { .. })), "{refused:?}");
}
