//! What callers are told while a server is stopped.

use std::time::Duration;

use paceline::{Demand, Error, GrantedVia, OnStoreFailure, Usage};
use paceline_testkit::{Redis, RedisServer, until};

use crate::crew::Crew;
use crate::plan::{GPT, Plan, measured, now};

const STORE: u64 = 600;

fn plan(server: &RedisServer, policy: OnStoreFailure) -> Plan {
    Plan { store: STORE, policy, ..Plan::slots(server.url(), 4).counted() }
}

/// How long it took, and what came of it.
fn timed<T>(work: impl FnOnce() -> T) -> (u64, T) {
    let began = now();
    let done = work();
    (now() - began, done)
}

/// Stops a server in one of two ways: nothing answers, or nothing listens.
fn stop(server: &mut RedisServer, frozen: bool) {
    if frozen {
        server.freeze();
    } else {
        server.kill();
    }
}

#[test]
fn callers_are_refused_after_the_store_timeout_or_their_own() {
    for frozen in [true, false] {
        let mut server = RedisServer::start();
        let limiter = plan(&server, OnStoreFailure::Refuse).open();
        let resource = limiter.resource(GPT).unwrap();
        resource.acquire(Demand::new()).wait().unwrap().settle(Usage::new()).wait().unwrap();
        stop(&mut server, frozen);
        let (took, refused) = timed(|| resource.acquire(Demand::new()).wait());
        assert!(
            matches!(&refused, Err(Error::StoreUnavailable { url, .. }) if *url == server.url()),
            "{refused:?}"
        );
        measured(&format!("refuse (frozen: {frozen}), store timeout of {STORE} ms"), took);
        assert!((STORE - 10..STORE + 400).contains(&took), "{took} ms");
        let short = Duration::from_millis(200);
        let (took, refused) = timed(|| resource.acquire(Demand::new()).timeout(short).wait());
        assert!(matches!(&refused, Err(error) if error.is_timeout()), "{refused:?}");
        measured(&format!("refuse (frozen: {frozen}), time-out of 200 ms"), took);
        assert!((190..200 + 250 + 150).contains(&took), "{took} ms");
        let (took, refused) =
            timed(|| resource.acquire(Demand::new()).timeout(Duration::from_secs(30)).wait());
        assert!(matches!(&refused, Err(Error::StoreUnavailable { .. })), "{refused:?}");
        assert!((STORE - 10..STORE + 400).contains(&took), "{took} ms");
    }
}

#[test]
fn settlements_are_told_of_the_outage_and_done_when_it_is_over() {
    let mut server = Redis::default().append_only().start();
    let limiter = plan(&server, OnStoreFailure::Refuse).open();
    let resource = limiter.resource(GPT).unwrap();
    let permit = resource.acquire(Demand::new()).wait().unwrap();
    server.kill();
    let (took, told) = timed(|| permit.settle(Usage::new()).wait());
    assert!(matches!(&told, Err(Error::StoreUnavailable { .. })), "{told:?}");
    measured("a settlement while the server is stopped", took);
    assert!(took < STORE + 700, "{took} ms");
    server.start_again();
    until("the settlement is done", || {
        let seen = resource.snapshot().wait().ok()?;
        (seen.resource.in_flight == 0).then_some(())
    });
}

#[test]
fn callers_are_allowed_where_that_is_chosen() {
    let mut server = Redis::default().append_only().start();
    let limiter = plan(&server, OnStoreFailure::Allow).open();
    let resource = limiter.resource(GPT).unwrap();
    resource.acquire(Demand::new()).wait().unwrap().settle(Usage::new()).wait().unwrap();
    server.kill();
    for _ in 0..6 {
        let (took, permit) = timed(|| resource.acquire(Demand::new()).wait().unwrap());
        assert_eq!((permit.granted_via(), permit.granted_at()), (GrantedVia::Allowed, None));
        measured("allow", took);
        permit.settle(Usage::new()).wait().unwrap();
    }
    server.start_again();
    let permit = until("the store is back", || {
        resource
            .acquire(Demand::new())
            .wait()
            .ok()
            .filter(|permit| permit.granted_via() == GrantedVia::Ledger)
    });
    assert!(permit.granted_at().is_some());
    permit.settle(Usage::new()).wait().unwrap();
    let seen = resource.snapshot().wait().unwrap();
    assert_eq!(seen.resource.in_flight, 0, "nothing of what was allowed is in the ledger");
}

#[test]
fn a_process_grants_its_share_where_that_is_chosen_and_reports_it() {
    let mut server = Redis::default().append_only().start();
    let plan = plan(&server, OnStoreFailure::Local);
    let mut other = Crew::start(&plan, 1);
    let limiter = plan.open();
    let resource = limiter.resource(GPT).unwrap();
    other.granted(0, "alive");
    // Two sessions are alive: half of the four slots is ours.
    resource.acquire(Demand::new()).wait().unwrap().settle(Usage::new()).wait().unwrap();
    let before = left(&limiter, "total");
    server.kill();
    let (took, first) = timed(|| resource.acquire(Demand::new()).wait().unwrap());
    measured("local", took);
    let second = resource.acquire(Demand::new()).wait().unwrap();
    for permit in [&first, &second] {
        assert_eq!((permit.granted_via(), permit.granted_at()), (GrantedVia::Local, None));
    }
    let third = resource.acquire(Demand::new()).timeout(Duration::from_millis(1_500)).wait();
    assert!(third.as_ref().is_err_and(Error::is_timeout), "the share is two slots: {third:?}");
    first.settle(Usage::new()).wait().unwrap();
    second.settle(Usage::new()).wait().unwrap();
    server.start_again();
    until("the store is back", || {
        let permit = resource.acquire(Demand::new()).wait().ok()?;
        let via = permit.granted_via();
        permit.give_back().wait().ok()?;
        (via == GrantedVia::Ledger).then_some(())
    });
    until("what was used is reported", || (left(&limiter, "total") == before - 2).then_some(()));
    other.end(0, "alive");
}

fn left(limiter: &paceline::Limiter, name: &str) -> i64 {
    let seen = limiter.resource(GPT).unwrap().snapshot().wait().unwrap();
    seen.limits.iter().find(|limit| &*limit.name == name).unwrap().left
}
