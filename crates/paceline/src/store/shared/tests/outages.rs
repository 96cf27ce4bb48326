//! What callers are told while the store cannot be reached.

use super::*;
use crate::{Demand, Error, GrantedVia, OnStoreFailure, Usage};

fn down(policy: OnStoreFailure) -> (Arc<Fake>, ManualClock, Limiter, Resource) {
    let (fake, clock): (Arc<Fake>, _) = (Arc::default(), clock());
    let builder = builder(&fake, &clock).on_store_failure(policy);
    let (limiter, resource) = finish(builder, bucket(1_000, 60_000));
    fake.set_down(true);
    (fake, clock, limiter, resource)
}

/// Asks, and lets time pass once the store is known to be lost.
fn ask(
    clock: &ManualClock,
    limiter: &Limiter,
    resource: &Resource,
    tokens: u64,
) -> Result<crate::Permit, Error> {
    let mut events = limiter.events();
    let acquire = resource.acquire(Demand::tokens(tokens));
    let asked = std::thread::spawn(|| acquire.wait());
    until(&mut events, |event| matches!(event, Event::StoreLost { .. }));
    clock.advance(secs(5));
    asked.join().unwrap()
}

#[test]
fn callers_are_refused_after_the_store_timeout() {
    let (fake, clock, limiter, resource) = down(OnStoreFailure::Refuse);
    let error = ask(&clock, &limiter, &resource, 100).unwrap_err();
    let Error::StoreUnavailable { url, reason } = &error else { panic!("{error}") };
    assert_eq!((url.as_str(), reason.as_str()), ("fake://store", "it is down"));
    let mut events = limiter.events();
    fake.set_down(false);
    resource.acquire(Demand::tokens(1_000)).wait().unwrap().give_back().wait().unwrap();
    until(&mut events, |event| matches!(event, Event::StoreBack { .. }));
}

#[test]
fn callers_are_allowed_where_that_is_chosen() {
    let (fake, clock, limiter, resource) = down(OnStoreFailure::Allow);
    let permit = ask(&clock, &limiter, &resource, 100_000).unwrap();
    assert_eq!(permit.granted_via(), GrantedVia::Allowed);
    permit.settle(Usage::tokens(5)).wait().unwrap();
    fake.set_down(false);
    let permit = resource.acquire(Demand::tokens(1_000)).wait().unwrap();
    assert_eq!(permit.granted_via(), GrantedVia::Ledger);
}

#[test]
fn what_was_asked_for_in_an_outage_and_allowed_is_not_kept_when_it_is_over() {
    let (fake, clock, limiter, resource) = down(OnStoreFailure::Allow);
    fake.set_down(false);
    resource.acquire(Demand::tokens(1)).wait().unwrap().give_back().wait().unwrap();
    fake.set_down(true);
    ask(&clock, &limiter, &resource, 800).unwrap().settle(Usage::tokens(5)).wait().unwrap();
    let mut events = limiter.events();
    fake.set_down(false);
    until(&mut events, |event| matches!(event, Event::StoreBack { .. }));
    resource.acquire(Demand::tokens(1_000)).wait().unwrap().give_back().wait().unwrap();
    assert_eq!(resource.snapshot().wait().unwrap().resource.in_flight, 0);
}

#[test]
fn callers_are_granted_this_process_share_and_it_is_reported() {
    let (fake, clock, limiter, resource) = down(OnStoreFailure::Local);
    let permit = ask(&clock, &limiter, &resource, 700).unwrap();
    assert_eq!(permit.granted_via(), GrantedVia::Local);
    assert_eq!(permit.settle(Usage::tokens(400)).wait().unwrap().returned("tokens"), 300);
    fake.set_down(false);
    let permit = resource.acquire(Demand::tokens(100)).wait().unwrap();
    assert_eq!(permit.granted_via(), GrantedVia::Ledger);
    permit.give_back().wait().unwrap();
    // Some was earned back since, the clock having gone on.
    assert_eq!(resource.snapshot().wait().unwrap().limits[0].left, 600);
}

#[test]
fn what_no_retry_helps_is_told_at_once() {
    let (fake, clock): (Arc<Fake>, _) = (Arc::default(), clock());
    let (_limiter, resource) = open(&fake, &clock, bucket(1_000, 60_000));
    fake.fail(Fault::Fatal("NOAUTH"));
    let error = resource.acquire(Demand::tokens(1)).wait().unwrap_err();
    assert!(matches!(&error, Error::StoreUnavailable { reason, .. } if reason == "NOAUTH"), "{error}");
}

#[test]
fn an_answer_that_cannot_be_read_is_an_outage() {
    let (fake, clock): (Arc<Fake>, _) = (Arc::default(), clock());
    let (_limiter, resource) = open(&fake, &clock, bucket(1_000, 60_000));
    fake.fail(Fault::Canned(vec![0xc0]));
    let error = resource.acquire(Demand::tokens(1)).wait().unwrap_err();
    assert!(matches!(&error, Error::StoreUnavailable { .. }), "{error}");
}

#[test]
fn a_time_out_shorter_than_the_outage_is_kept() {
    let (_fake, clock, limiter, resource) = down(OnStoreFailure::Refuse);
    let mut events = limiter.events();
    let acquire = resource.acquire(Demand::tokens(1)).timeout(secs(2));
    let asked = std::thread::spawn(|| acquire.wait());
    until(&mut events, |event| matches!(event, Event::StoreLost { .. }));
    clock.advance(secs(2));
    assert!(matches!(asked.join().unwrap(), Err(Error::AcquireTimeout(_))));
}

#[test]
fn a_store_that_hangs_is_an_outage_too() {
    let (fake, clock): (Arc<Fake>, _) = (Arc::default(), clock());
    let builder = builder(&fake, &clock).store_timeout(Duration::from_millis(200));
    let (_limiter, resource) = finish(builder, bucket(1_000, 60_000));
    fake.fail(Fault::Hang);
    // The link is given up by real time, and the batch goes out again.
    resource.acquire(Demand::tokens(1)).wait().unwrap().give_back().wait().unwrap();
}

#[test]
fn who_is_in_line_keeps_the_place_through_an_outage() {
    let (fake, clock): (Arc<Fake>, _) = (Arc::default(), clock());
    let (limiter, resource) = open(&fake, &clock, slots(1));
    let permit = resource.acquire(Demand::new()).wait().unwrap();
    let mut events = limiter.events();
    let acquire = resource.acquire(Demand::new()).timeout(secs(60));
    let waits = std::thread::spawn(|| acquire.wait());
    until(&mut events, |event| matches!(event, Event::Queued { .. }));
    fake.set_down(true);
    let given = permit.give_back();
    until(&mut events, |event| matches!(event, Event::StoreLost { .. }));
    clock.advance(secs(3));
    fake.set_down(false);
    given.wait().unwrap();
    waits.join().unwrap().unwrap().give_back().wait().unwrap();
}
