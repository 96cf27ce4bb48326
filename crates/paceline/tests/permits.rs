//! Permits: settling, amending, retrying, letting go, leases.

mod common;

use common::{GPT, Task, bucket, concurrency, left, limiter, resource, secs};
use paceline::core::Metric;
use paceline::provider::Profile;
use paceline::{Demand, Error, GrantedVia, Limiter, PermitId, Usage};

#[test]
fn a_settlement_returns_or_charges_the_difference() {
    let (resource, _clock) = resource([bucket("tpm", "tokens", 1_000, 60_000)]);
    let permit = resource.acquire(Demand::tokens(600)).wait().unwrap();
    assert_eq!((permit.granted_via(), permit.resource()), (GrantedVia::Ledger, GPT));
    let settled = permit.settle(Usage::tokens(250)).wait().unwrap();
    assert_eq!((settled.returned("tokens"), settled.charged("tokens")), (350, 0));
    let permit = resource.acquire(Demand::tokens(600)).wait().unwrap();
    let settled = permit.settle(Usage::tokens(2_000)).wait().unwrap();
    assert_eq!((settled.charged("tokens"), left(&resource, "tpm")), (1_400, -1_250));
}

#[test]
fn metrics_of_ones_own_are_counted_like_any_other() {
    let (resource, _clock) = resource([bucket("budget", "usd_micros", 1_000, 60_000)]);
    let permit = resource.acquire(Demand::new().metric("usd_micros", 400)).wait().unwrap();
    let settled = permit.settle(Usage::new().metric("usd_micros", 100)).wait().unwrap();
    assert_eq!(settled.returned("usd_micros"), 300);
    assert!(settled.all_returned().iter().any(|(name, amount)| &**name == "usd_micros" && *amount == 300));
    assert_eq!(left(&resource, "budget"), 900);
}

#[test]
fn tokens_are_input_and_output_unless_said_otherwise() {
    let (resource, _clock) = resource([bucket("tpm", "tokens", 1_000, 60_000)]);
    let demand = Demand::new().input_tokens(300).max_output_tokens(500);
    let permit = resource.acquire(demand.clone()).wait().unwrap();
    assert_eq!(left(&resource, "tpm"), 200);
    let settled = permit.settle(Usage::new().input_tokens(290).output_tokens(10)).wait().unwrap();
    assert_eq!(settled.returned("tokens"), 500);
    let _permit = resource.acquire(demand.metric("tokens", 20)).wait().unwrap();
    assert_eq!(left(&resource, "tpm"), 680);
    assert_eq!(Profile::plain().counting("tokens"), paceline::core::Counting::AtGrant);
}

#[test]
fn a_dropped_permit_has_used_what_it_reserved() {
    let (resource, _clock) = resource([bucket("tpm", "tokens", 1_000, 60_000), concurrency(1)]);
    drop(resource.acquire(Demand::tokens(300)).wait().unwrap());
    assert_eq!((left(&resource, "tpm"), left(&resource, "concurrency")), (700, 1));
}

#[test]
fn what_is_given_back_never_counted() {
    let (resource, _clock) = resource([bucket("tpm", "tokens", 1_000, 60_000), concurrency(1)]);
    resource.acquire(Demand::tokens(300)).wait().unwrap().give_back();
    assert_eq!((left(&resource, "tpm"), left(&resource, "concurrency")), (1_000, 1));
}

#[test]
fn an_amendment_moves_the_reservation_and_never_waits() {
    let (resource, _clock) = resource([bucket("tpm", "tokens", 1_000, 60_000)]);
    let permit = resource.acquire(Demand::tokens(600)).wait().unwrap();
    let mut next = Task::waiting(resource.acquire(Demand::tokens(700)));
    let moved = permit.amend(&Demand::tokens(300)).wait().unwrap();
    assert_eq!((moved.returned("tokens"), next.woken()), (300, 1));
    let _next = next.ready().unwrap();
    let moved = permit.amend(&Demand::tokens(900)).wait().unwrap();
    assert_eq!((moved.charged("tokens"), left(&resource, "tpm")), (600, -600));
    permit.settle(Usage::tokens(900));
    assert_eq!(left(&resource, "tpm"), -600);
}

#[test]
fn a_retry_is_another_permit_for_the_same_demand() {
    let (resource, clock) = resource([bucket("rpm", "requests", 1, 60_000), concurrency(1)]);
    let permit = resource.acquire(Demand::new()).wait().unwrap();
    let first = permit.id();
    let mut again = Task::waiting(permit.retry());
    clock.advance(secs(60));
    let permit = again.ready().unwrap();
    assert_ne!(permit.id(), first);
    assert_eq!(left(&resource, "rpm"), 0);
    permit.settle(Usage::new());
}

#[test]
fn any_process_settles_by_the_text_of_the_id_once() {
    let (limiter, _clock) = limiter([bucket("tpm", "tokens", 1_000, 60_000), concurrency(1)]);
    let resource = limiter.resource(GPT).unwrap();
    let text = resource.acquire(Demand::tokens(800)).wait().unwrap().detach().to_string();
    assert_eq!(left(&resource, "concurrency"), 0);

    let out = limiter.permits().wait().unwrap();
    assert_eq!((out.len(), out[0].id.to_string(), &*out[0].resource), (1, text.clone(), GPT));
    assert!(out[0].reserved.iter().any(|(name, amount)| &**name == "tokens" && *amount == 800));

    let id: PermitId = text.parse().unwrap();
    let settled = limiter.settle(&id, Usage::new().input_tokens(100).output_tokens(50)).wait().unwrap();
    assert_eq!((settled.returned("tokens"), left(&resource, "tpm")), (650, 850));
    let again = limiter.settle(&id, Usage::tokens(0)).wait().unwrap_err();
    assert!(matches!(&again, Error::PermitOver(over) if *over == id), "{again}");
    assert_eq!(left(&resource, "tpm"), 850);
}

#[test]
fn a_forged_id_credits_nothing() {
    let (limiter, _clock) = limiter([bucket("tpm", "tokens", 1_000, 60_000)]);
    let resource = limiter.resource(GPT).unwrap();
    let permit = resource.acquire(Demand::tokens(800)).wait().unwrap();
    let forged: PermitId = format!("default.{:032x}.{}", 7, permit.id().ticket().number).parse().unwrap();
    assert!(limiter.settle(&forged, Usage::tokens(0)).wait().is_err());
    assert!(
        limiter.give_back(&"elsewhere.00000000000000000000000000000007.1".parse().unwrap()).wait().is_err()
    );
    assert_eq!(left(&resource, "tpm"), 200);
    for text in ["", "1", "default.7.1", "default.00000000000000000000000000000007.x"] {
        assert!(text.parse::<PermitId>().is_err(), "{text}");
    }
}

#[test]
fn a_leaked_permit_ends_at_its_lease_and_whoever_waits_goes() {
    let (resource, clock) = resource([bucket("tpm", "tokens", 1_000, 60_000), concurrency(1)]);
    std::mem::forget(resource.acquire(Demand::tokens(1)).wait().unwrap());
    clock.advance(secs(60));
    let mut waits = Task::waiting(resource.acquire(Demand::tokens(1)));
    clock.advance(secs(14 * 60 - 1));
    assert_eq!(waits.woken(), 0);
    clock.advance(secs(1));
    waits.ready().unwrap().give_back();
}

#[test]
fn a_leaked_permit_is_noticed_by_the_next_caller_if_nobody_waits() {
    let (resource, clock) = resource([concurrency(1)]);
    std::mem::forget(resource.acquire(Demand::new()).wait().unwrap());
    clock.advance(secs(15 * 60));
    let _permit = resource.try_acquire(Demand::new()).wait().unwrap();
}

#[test]
fn a_renewed_permit_lives_longer() {
    let (resource, clock) = resource([concurrency(1)]);
    let permit = resource.acquire(Demand::new()).wait().unwrap();
    clock.advance(secs(10 * 60));
    permit.renew(secs(30 * 60)).wait().unwrap();
    clock.advance(secs(29 * 60));
    assert!(resource.try_acquire(Demand::new()).wait().is_err());
    clock.advance(secs(60));
    let _next = resource.try_acquire(Demand::new()).wait().unwrap();
    assert!(matches!(permit.settle(Usage::new()).wait(), Err(Error::PermitOver(_))));
}

#[test]
fn explain_and_snapshot_tell_what_binds_and_who_is_ahead() {
    let (resource, clock) =
        resource([bucket("rpm", "requests", 60, 60_000), bucket("tpm", "tokens", 600, 60_000)]);
    let outlook = resource.explain(Demand::tokens(500)).wait().unwrap();
    assert!(outlook.explanation.goes && outlook.expected_wait == Some(secs(0)));
    let _permit = resource.acquire(Demand::tokens(600)).wait().unwrap();
    let waits = Task::waiting(resource.acquire(Demand::tokens(300)));
    clock.advance(secs(10));
    let outlook = resource.explain(Demand::tokens(100)).wait().unwrap();
    let told = &outlook.explanation;
    assert_eq!((told.goes, told.ahead, told.head_waited), (false, 1, Some(10_000)));
    assert_eq!(&*told.limits[0].limit, "tpm");
    assert_eq!(outlook.expected_wait, Some(secs(30)));

    let snapshot = resource.snapshot().wait().unwrap();
    assert_eq!((snapshot.resource.waiting, snapshot.resource.in_flight), (1, 1));
    assert_eq!(snapshot.resource.lanes[0].demand.amount(Metric::TOKENS), 300);
    drop(waits);
}

#[test]
fn doors_can_be_sent_and_shared() {
    fn both<T: Send + Sync>() {}
    both::<Limiter>();
    both::<paceline::Resource>();
    both::<paceline::Acquire>();
    both::<paceline::Permit>();
    both::<paceline::Events>();
    both::<Error>();
}
