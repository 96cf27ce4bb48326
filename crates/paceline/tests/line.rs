//! Waiting: order, time-outs, cancellation, refusals.

mod common;

use std::time::Duration;

use common::{GPT, Task, bucket, concurrency, left, limiter, limiter_of, resource, secs};
use paceline::core::{LaneSpec, ResourceSpec};
use paceline::{Demand, Error, Pause, Usage};

#[test]
fn the_first_to_ask_is_the_first_to_go() {
    let (resource, clock) = resource([bucket("rpm", "requests", 1, 60_000)]);
    let _first = resource.acquire(Demand::new()).wait().unwrap();
    let mut tasks: Vec<_> = (0..5).map(|_| Task::waiting(resource.acquire(Demand::new()))).collect();
    let mut permits = Vec::new();
    for turn in 0..5 {
        clock.advance(secs(60));
        for (place, task) in tasks.iter_mut().enumerate() {
            assert_eq!(task.woken(), usize::from(place <= turn), "turn {turn}, place {place}");
        }
        permits.push(tasks[turn].ready().unwrap());
        assert_eq!(permits[turn].waited(), secs(60 * (turn as u64 + 1)));
    }
}

#[test]
fn a_refund_wakes_the_next_without_the_clock() {
    let (resource, _clock) = resource([bucket("tpm", "tokens", 1_000, 60_000)]);
    let permit = resource.acquire(Demand::tokens(900)).wait().unwrap();
    let mut next = Task::waiting(resource.acquire(Demand::tokens(500)));
    permit.settle(Usage::tokens(400));
    assert_eq!(next.woken(), 1);
    next.ready().unwrap().give_back();
    assert_eq!(left(&resource, "tpm"), 600);
}

#[test]
fn a_time_out_ends_the_wait_and_says_what_was_short() {
    let (resource, clock) = resource([concurrency(1)]);
    let permit = resource.acquire(Demand::new()).wait().unwrap();
    let mut ahead = Task::waiting(resource.acquire(Demand::new()));
    clock.advance(secs(1));
    let mut task = Task::waiting(resource.acquire(Demand::new()).timeout(secs(5)));
    clock.advance(Duration::from_millis(4_999));
    assert_eq!(task.woken(), 0);
    clock.advance(Duration::from_millis(1));
    assert_eq!(task.woken(), 1);

    let error = task.ready().unwrap_err();
    let Error::AcquireTimeout(shortage) = &error else { panic!("{error}") };
    assert_eq!(shortage.limit.as_deref(), Some("concurrency"));
    assert_eq!((shortage.wanted, shortage.left, shortage.ahead), (1, 0, 1));
    assert_eq!((shortage.waited, shortage.head_waited), (secs(5), Some(secs(6))));
    assert!(error.is_busy() && error.is_timeout() && error.retry_after().is_some());

    permit.give_back();
    ahead.ready().unwrap().give_back();
    assert_eq!(left(&resource, "concurrency"), 1);
}

#[test]
fn a_time_out_that_an_empty_line_could_not_keep_is_refused_at_once() {
    let (resource, _clock) = resource([bucket("rpm", "requests", 1, 60_000)]);
    let _permit = resource.acquire(Demand::new()).wait().unwrap();
    let error = resource.acquire(Demand::new()).timeout(secs(59)).wait().unwrap_err();
    assert!(matches!(&error, Error::TooLate(shortage) if shortage.retry_after == secs(60)), "{error}");
    let _waits = Task::waiting(resource.acquire(Demand::new()).timeout(secs(60)));
}

#[test]
fn an_expected_wait_above_the_bound_is_refused_at_once_with_the_numbers() {
    let (resource, _clock) = resource([bucket("tpm", "tokens", 600, 60_000)]);
    let _permit = resource.acquire(Demand::tokens(600)).wait().unwrap();
    let _line: Vec<_> = (0..3).map(|_| Task::waiting(resource.acquire(Demand::tokens(300)))).collect();
    let bounded = |seconds| resource.acquire(Demand::tokens(100)).max_expected_wait(secs(seconds));
    let error = bounded(99).wait().unwrap_err();
    let Error::ExpectedWait { expected, most, shortage } = &error else { panic!("{error}") };
    assert_eq!((*expected, *most, shortage.ahead), (secs(100), secs(99), 3));
    let _waits = Task::waiting(bounded(100));
}

#[test]
fn a_demand_that_never_fits_and_a_line_that_is_full_are_refused_at_once() {
    let spec = ResourceSpec::new(GPT).line_max(1);
    let (limiter, _clock) = limiter_of([bucket("tpm", "tokens", 1_000, 60_000)], spec);
    let resource = limiter.resource(GPT).unwrap();
    let error = resource.acquire(Demand::tokens(1_001)).wait().unwrap_err();
    assert!(matches!(error, Error::Impossible { wanted: 1_001, most: 1_000, .. }) && !error.is_busy());

    let _permit = resource.acquire(Demand::tokens(1_000)).wait().unwrap();
    let _waits = Task::waiting(resource.acquire(Demand::tokens(1)));
    let error = resource.acquire(Demand::tokens(1)).wait().unwrap_err();
    assert!(matches!(error, Error::LineFull { waiting: 1, most: 1, .. }) && error.is_busy());
}

#[test]
fn an_immediate_answer_is_no_while_others_wait() {
    let (resource, _clock) = resource([bucket("rpm", "requests", 2, 60_000)]);
    let permit = resource.try_acquire(Demand::new()).wait().unwrap();
    let _waits = Task::waiting(resource.acquire(Demand::new().requests(2)));
    let error = resource.try_acquire(Demand::new()).wait().unwrap_err();
    assert!(matches!(&error, Error::Busy(shortage) if shortage.ahead == 1), "{error}");
    permit.give_back();
}

#[test]
fn dropping_a_wait_leaves_no_trace() {
    let (resource, _clock) = resource([bucket("tpm", "tokens", 1_000, 60_000), concurrency(5)]);
    let permit = resource.acquire(Demand::tokens(1_000)).wait().unwrap();
    let large = Task::waiting(resource.acquire(Demand::tokens(1_000)));
    let mut small = Task::waiting(resource.acquire(Demand::tokens(100)));
    permit.settle(Usage::tokens(500));
    assert_eq!(small.woken(), 0);
    drop(large);
    assert_eq!(small.woken(), 1);
    small.ready().unwrap().give_back();
    assert_eq!((left(&resource, "tpm"), left(&resource, "concurrency")), (500, 5));
}

#[test]
fn a_grant_that_crosses_the_drop_goes_back_in_full() {
    let (resource, _clock) = resource([bucket("tpm", "tokens", 1_000, 60_000), concurrency(1)]);
    let permit = resource.acquire(Demand::tokens(600)).wait().unwrap();
    let granted = Task::waiting(resource.acquire(Demand::tokens(600)));
    permit.give_back();
    assert_eq!((granted.woken(), left(&resource, "tpm")), (1, 400));
    drop(granted);
    assert_eq!((left(&resource, "tpm"), left(&resource, "concurrency")), (1_000, 1));
}

#[test]
fn several_permits_come_together_or_not_at_all() {
    let (resource, clock) = resource([bucket("tpm", "tokens", 1_000, 60_000)]);
    let demands = || [500, 400, 300].map(Demand::tokens);
    let mut task = Task::waiting(resource.acquire_many(demands()));
    assert_eq!(left(&resource, "tpm"), 100);
    drop(task);
    assert_eq!(left(&resource, "tpm"), 1_000);

    task = Task::waiting(resource.acquire_many(demands()));
    clock.advance(secs(12));
    let permits = task.ready().unwrap();
    let numbers: Vec<_> = permits.iter().map(|permit| permit.id().ticket().number).collect();
    assert!(numbers.is_sorted() && numbers.len() == 3);
    for permit in permits {
        permit.give_back();
    }

    let error = resource.acquire_many([500, 5_000].map(Demand::tokens)).wait().unwrap_err();
    assert!(matches!(error, Error::Impossible { wanted: 5_000, .. }));
    assert_eq!(left(&resource, "tpm"), 1_000);
}

#[test]
fn lanes_have_priority_and_a_head_start_within_their_bound() {
    let spec = ResourceSpec::new(GPT)
        .lane(LaneSpec::new("interactive").priority(10))
        .lane(LaneSpec::new("batch").max_head_start(10_000));
    let (limiter, clock) = limiter_of([bucket("rpm", "requests", 1, 60_000)], spec);
    let resource = limiter.resource(GPT).unwrap();
    let ask = |lane: &str| resource.acquire(Demand::new()).lane(lane);
    let _permit = ask("batch").wait().unwrap();
    let mut second = Task::waiting(ask("batch"));
    clock.advance(secs(5));
    let mut first = Task::waiting(ask("batch").head_start(secs(9)));
    let mut interactive = Task::waiting(ask("interactive"));
    clock.advance(secs(55));
    let _one = interactive.ready().unwrap();
    clock.advance(secs(60));
    let _two = first.ready().unwrap();
    clock.advance(secs(60));
    let _three = second.ready().unwrap();
    let error = ask("btach").wait().unwrap_err();
    assert!(matches!(&error, Error::UnknownLane { lane, .. } if &**lane == "btach"), "{error}");
}

#[test]
fn a_pause_holds_or_refuses_everybody_until_it_ends() {
    let (limiter, clock) = limiter([bucket("rpm", "requests", 10, 60_000)]);
    let resource = limiter.resource(GPT).unwrap();
    resource.pause(Pause::lasting(secs(20))).wait().unwrap();
    let mut waits = Task::waiting(resource.acquire(Demand::new()));
    clock.advance(secs(26));
    waits.ready().unwrap().give_back();

    limiter.limit("rpm").unwrap().pause(Pause::until_resumed().refusing()).wait().unwrap();
    let error = resource.acquire(Demand::new()).wait().unwrap_err();
    assert!(matches!(error, Error::Paused { ends_in: None, .. }) && error.is_busy());
    limiter.limit("rpm").unwrap().resume().wait().unwrap();
    let mut waits = Task::waiting(resource.acquire(Demand::new()));
    clock.advance(secs(6));
    waits.ready().unwrap().give_back();
    let error = limiter.limit("rpn").unwrap_err();
    assert!(matches!(&error, Error::UnknownLimit { nearest: Some(near), .. } if near == "rpm"), "{error}");
}

#[test]
fn a_purge_refuses_all_that_wait() {
    let (resource, clock) = resource([concurrency(1)]);
    let _permit = resource.acquire(Demand::new()).wait().unwrap();
    let mut tasks: Vec<_> = (0..100).map(|_| Task::waiting(resource.acquire(Demand::new()))).collect();
    resource.purge(None).wait().unwrap();
    clock.advance(Duration::from_millis(1));
    for task in &mut tasks {
        assert!(matches!(task.ready(), Err(Error::Purged { .. })));
    }
}

#[test]
fn a_clock_that_jumps_neither_forgives_nor_stalls() {
    let (resource, clock) = resource([bucket("rpm", "requests", 1, 60_000)]);
    let start = clock.now_ms();
    let _permit = resource.acquire(Demand::new()).wait().unwrap();
    let mut waits = Task::waiting(resource.acquire(Demand::new()).timeout(secs(100)));
    clock.jump_to(start - 3_600_000);
    clock.advance(secs(59));
    assert_eq!(waits.woken(), 0);
    clock.advance(secs(1));
    let _permit = waits.ready().unwrap();
}

#[test]
fn record_leads_to_debt_and_observe_only_lowers() {
    let (limiter, clock) = limiter([bucket("tpm", "tokens", 1_000, 60_000)]);
    let resource = limiter.resource(GPT).unwrap();
    resource.record(Usage::tokens(1_500)).wait().unwrap();
    assert_eq!(left(&resource, "tpm"), -500);
    clock.advance(secs(60));
    let tpm = limiter.limit("tpm").unwrap();
    tpm.observe(Some(200), None).wait().unwrap();
    assert_eq!(left(&resource, "tpm"), 200);
    tpm.observe(Some(900), None).wait().unwrap();
    assert_eq!(tpm.snapshot().wait().unwrap().unwrap().left, 200);
}
