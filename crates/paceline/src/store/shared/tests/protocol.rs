//! Batches, replies, pushes, and what becomes of them when some are lost.

use super::*;
use crate::sync::lock;
use crate::{Demand, Error, GrantedVia, Usage};

/// Polls a future on a thread of its own.
fn on_thread(acquire: crate::Acquire) -> std::thread::JoinHandle<Result<crate::Permit, Error>> {
    std::thread::spawn(|| acquire.wait())
}

#[test]
fn a_permit_is_granted_and_settled() {
    let (fake, clock) = (Arc::default(), clock());
    let (limiter, resource) = open(&fake, &clock, bucket(1_000, 60_000));
    let permit = resource.acquire(Demand::tokens(800)).wait().unwrap();
    assert_eq!(permit.granted_via(), GrantedVia::Ledger);
    let id = permit.id();
    let settled = permit.settle(Usage::tokens(500)).wait().unwrap();
    assert_eq!(settled.returned("tokens"), 300);
    assert_eq!(fake.commands(), ["configure", "acquire", "settle"]);
    assert!(matches!(limiter.settle(&id, Usage::new()).wait(), Err(Error::PermitOver(over)) if over == id));
    let snapshot = resource.snapshot().wait().unwrap();
    assert_eq!((snapshot.limits[0].left, snapshot.resource.in_flight), (500, 0));
}

#[test]
fn refusals_say_what_is_short() {
    let (fake, clock) = (Arc::default(), clock());
    let (_limiter, resource) = open(&fake, &clock, bucket(1_000, 60_000));
    let _permit = resource.acquire(Demand::tokens(800)).wait().unwrap();
    let Err(Error::Busy(short)) = resource.try_acquire(Demand::tokens(400)).wait() else { panic!() };
    assert_eq!((short.limit.as_deref(), short.wanted, short.left), (Some("tpm"), 400, 200));
    assert!(short.retry_after >= secs(12) && short.retry_after <= secs(13), "{:?}", short.retry_after);
    let impossible = resource.acquire(Demand::tokens(2_000)).wait();
    assert!(matches!(impossible, Err(Error::Impossible { wanted: 2_000, most: 1_000, .. })));
    let late = resource.acquire(Demand::tokens(400)).timeout(secs(2)).wait();
    assert!(matches!(late, Err(Error::TooLate(_))), "{late:?}");
    let outlook = resource.explain(Demand::tokens(400)).wait().unwrap();
    assert!(!outlook.explanation.goes && outlook.expected_wait == Some(secs(12)), "{outlook:?}");
}

#[test]
fn who_waits_is_granted_by_a_push_when_another_process_settles() {
    let (fake, clock) = (Arc::default(), clock());
    let (_one, here) = open(&fake, &clock, slots(1));
    let (two, there) = open(&fake, &clock, slots(1));
    let permit = here.acquire(Demand::new()).wait().unwrap();
    let mut events = two.events();
    let waits = on_thread(there.acquire(Demand::new()));
    until(&mut events, |event| matches!(event, Event::Queued { .. }));
    permit.give_back().wait().unwrap();
    waits.join().unwrap().unwrap().give_back().wait().unwrap();
}

#[test]
fn time_alone_grants_because_the_session_keeps_time() {
    let (fake, clock) = (Arc::default(), clock());
    let (limiter, resource) = open(&fake, &clock, bucket(1_000, 60_000));
    resource.acquire(Demand::tokens(1_000)).wait().unwrap().settle(Usage::new());
    let mut events = limiter.events();
    let waits = on_thread(resource.acquire(Demand::tokens(500)));
    until(&mut events, |event| matches!(event, Event::Queued { .. }));
    while !waits.is_finished() {
        clock.advance(secs(1));
        std::thread::yield_now();
    }
    let permit = waits.join().unwrap().unwrap();
    assert!(permit.waited() >= secs(30), "{:?}", permit.waited());
}

#[test]
fn a_lost_request_and_a_lost_reply_change_nothing() {
    let (fake, clock): (Arc<Fake>, _) = (Arc::default(), clock());
    let (_limiter, resource) = open(&fake, &clock, bucket(1_000, 60_000));
    for fault in [Fault::DropRequest, Fault::DropReply] {
        fake.fail(fault);
        let permit = resource.acquire(Demand::tokens(100)).wait().unwrap();
        permit.settle(Usage::tokens(100)).wait().unwrap();
    }
    fake.fail(Fault::DropReply);
    let permit = resource.acquire(Demand::tokens(100)).wait().unwrap();
    fake.fail(Fault::DropReply);
    assert_eq!(permit.settle(Usage::tokens(40)).wait().unwrap().returned("tokens"), 60);
    assert_eq!(resource.snapshot().wait().unwrap().limits[0].left, 760, "each counted once");
}

#[test]
fn a_hole_in_the_outbox_is_asked_for() {
    let (fake, clock): (Arc<Fake>, _) = (Arc::default(), clock());
    let (_one, here) = open(&fake, &clock, slots(1));
    let (two, there) = open(&fake, &clock, slots(1));
    let permit = here.acquire(Demand::new()).wait().unwrap();
    let mut events = two.events();
    let first = on_thread(there.acquire(Demand::new()));
    until(&mut events, |event| matches!(event, Event::Queued { .. }));
    let second = on_thread(there.acquire(Demand::new()));
    until(&mut events, |event| matches!(event, Event::Queued { .. }));
    // The first push is not heard; the second has a hole before it, or comes with the answer to a heartbeat.
    *lock(&fake.deaf) = true;
    permit.give_back().wait().unwrap();
    *lock(&fake.deaf) = false;
    while !first.is_finished() && !second.is_finished() {
        clock.advance(secs(1));
        // No quarter of an hour may pass on that clock before the permit is looked at: it would end at its lease.
        paceline_testkit::pause(std::time::Duration::from_millis(2));
    }
    first.join().unwrap().unwrap().give_back().wait().unwrap();
    second.join().unwrap().unwrap().give_back().wait().unwrap();
}

#[test]
fn a_cancelled_wait_leaves_no_trace() {
    let (fake, clock): (Arc<Fake>, _) = (Arc::default(), clock());
    let (limiter, resource) = open(&fake, &clock, slots(1));
    let mut polled = Box::pin(resource.acquire(Demand::new()));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let answer = std::future::Future::poll(polled.as_mut(), &mut context);
    drop((polled, answer.map(|granted| granted.unwrap().give_back())));
    // Whatever had become of it, its place is free.
    let permit = resource.acquire(Demand::new()).wait().unwrap();
    let mut events = limiter.events();
    let mut waits = Box::pin(resource.acquire(Demand::new()));
    assert!(std::future::Future::poll(waits.as_mut(), &mut context).is_pending());
    until(&mut events, |event| matches!(event, Event::Queued { .. }));
    drop(waits);
    permit.give_back().wait().unwrap();
    let snapshot = resource.snapshot().wait().unwrap();
    assert_eq!((snapshot.resource.waiting, snapshot.resource.in_flight), (0, 0));
}

#[test]
fn a_time_out_says_what_was_waited_for() {
    let (fake, clock): (Arc<Fake>, _) = (Arc::default(), clock());
    let (limiter, resource) = open(&fake, &clock, slots(1));
    let _permit = resource.acquire(Demand::new()).wait().unwrap();
    let mut events = limiter.events();
    let waits = on_thread(resource.acquire(Demand::new()).timeout(secs(3)));
    until(&mut events, |event| matches!(event, Event::Queued { .. }));
    clock.advance(secs(3));
    let Err(Error::AcquireTimeout(short)) = waits.join().unwrap() else { panic!() };
    assert_eq!((short.limit.as_deref(), short.waited), (Some("slots"), secs(3)));
    assert_eq!(resource.snapshot().wait().unwrap().resource.waiting, 0);
}

#[test]
fn an_expired_session_asks_again_and_its_permits_are_inert() {
    let (fake, clock): (Arc<Fake>, _) = (Arc::default(), clock());
    let (limiter, resource) = open(&fake, &clock, slots(1));
    let permit = resource.acquire(Demand::new()).wait().unwrap();
    let mut events = limiter.events();
    let waits = on_thread(resource.acquire(Demand::new()));
    until(&mut events, |event| matches!(event, Event::Queued { .. }));
    fake.expire(clock.now_ms());
    assert!(matches!(permit.give_back().wait(), Err(Error::PermitOver(_))));
    until(&mut events, |event| matches!(event, Event::SessionExpired { .. }));
    waits.join().unwrap().unwrap().give_back().wait().unwrap();
}

#[test]
fn a_lost_ledger_is_told_what_is_held_and_what_was_granted() {
    let (fake, clock): (Arc<Fake>, _) = (Arc::default(), clock());
    let (limiter, resource) = open(&fake, &clock, slots(2));
    let held = resource.acquire(Demand::tokens(10)).wait().unwrap();
    let settled = resource.acquire(Demand::tokens(20)).wait().unwrap();
    let mut events = limiter.events();
    let waits = on_thread(resource.acquire(Demand::tokens(30)));
    until(&mut events, |event| matches!(event, Event::Queued { .. }));
    fake.lose();
    let before = fake.batches();
    settled.settle(Usage::tokens(20)).wait().unwrap();
    until(&mut events, |event| matches!(event, Event::StateLost { .. }));
    let third = waits.join().unwrap().unwrap();
    let commands = fake.commands();
    let report = commands.iter().rposition(|command| command == "configure").unwrap();
    let expected = ["configure", "restore", "restore", "spent", "recovered", "settle", "acquire"];
    assert_eq!(commands[report..report + 7], expected, "{commands:?}");
    let sessions: Vec<_> = lock(&fake.log)[before - 1..].iter().map(|batch| batch[1].clone()).collect();
    assert!(sessions.windows(2).all(|pair| pair[0] == pair[1]), "the same session goes on");
    held.give_back().wait().unwrap();
    third.give_back().wait().unwrap();
}

#[test]
fn a_loop_of_acquire_and_settle_costs_about_one_round_trip() {
    let (fake, clock): (Arc<Fake>, _) = (Arc::default(), clock());
    let (_limiter, resource) = open(&fake, &clock, slots(1));
    for _ in 0..50 {
        resource.acquire(Demand::new()).wait().unwrap().settle(Usage::new());
    }
    assert!(fake.batches() < 90, "{} batches for 50 pairs", fake.batches());
}

#[test]
fn a_detached_permit_is_settled_by_another_process() {
    let (fake, clock): (Arc<Fake>, _) = (Arc::default(), clock());
    let (_one, here) = open(&fake, &clock, bucket(1_000, 60_000));
    let (two, there) = open(&fake, &clock, bucket(1_000, 60_000));
    let id = here.acquire(Demand::tokens(600)).wait().unwrap().detach();
    there.try_acquire(Demand::tokens(100)).wait().unwrap().give_back().wait().unwrap();
    let permits = two.permits().wait().unwrap();
    assert_eq!(permits.iter().map(|permit| &permit.id).collect::<Vec<_>>(), [&id]);
    two.renew(&id, secs(60)).wait().unwrap();
    assert_eq!(two.settle(&id, Usage::tokens(100)).wait().unwrap().returned("tokens"), 500);
    assert!(two.give_back(&id).wait().is_err());
}

#[test]
fn a_leaked_permit_is_ended_at_its_lease() {
    let (fake, clock): (Arc<Fake>, _) = (Arc::default(), clock());
    let (limiter, resource) = finish(builder(&fake, &clock).lease(secs(5)), slots(1));
    let permit = resource.acquire(Demand::new()).wait().unwrap();
    let mut events = limiter.events();
    std::mem::forget(permit);
    clock.advance(secs(6));
    until(&mut events, |event| matches!(event, Event::LeaseEnded { .. }));
    resource.acquire(Demand::new()).wait().unwrap().give_back().wait().unwrap();
}

#[test]
fn a_wait_that_is_expected_to_be_too_long_is_refused() {
    let (fake, clock): (Arc<Fake>, _) = (Arc::default(), clock());
    let (_limiter, resource) = open(&fake, &clock, bucket(1_000, 60_000));
    resource.acquire(Demand::tokens(1_000)).wait().unwrap().settle(Usage::new()).wait().unwrap();
    let error = resource.acquire(Demand::tokens(500)).max_expected_wait(secs(10)).wait().unwrap_err();
    assert!(matches!(error, Error::ExpectedWait { .. } | Error::TooLate(_)), "{error}");
    assert_eq!(resource.snapshot().wait().unwrap().resource.waiting, 0);
}

/// A store that restarted from older state may have a ticket in its line that was granted and settled since.
#[test]
fn what_is_granted_to_nobody_is_given_back() {
    let (fake, clock): (Arc<Fake>, _) = (Arc::default(), clock());
    let (_limiter, resource) = open(&fake, &clock, slots(1));
    let permit = resource.acquire(Demand::new()).wait().unwrap();
    let number = permit.id().ticket().number;
    fake.grant_again(number + 7);
    permit.settle(Usage::new()).wait().unwrap();
    resource.snapshot().wait().unwrap();
    assert_eq!(fake.commands().iter().filter(|command| *command == "cancel").count(), 1);
    fake.grant_again(number + 8);
    let held = resource.acquire(Demand::new()).wait().unwrap();
    fake.grant_again(held.id().ticket().number);
    resource.snapshot().wait().unwrap();
    resource.snapshot().wait().unwrap();
    let cancels = fake.commands().iter().filter(|command| *command == "cancel").count();
    assert_eq!(cancels, 2, "what is held is not");
}
