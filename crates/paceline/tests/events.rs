//! The stream of what happens, and the warnings.

#![expect(clippy::unwrap_used, reason = "a test ends where it fails")]

mod common;

use std::sync::{Mutex, OnceLock};

use common::{GPT, Task, bucket, concurrency, limiter, secs};
use futures_util::StreamExt;
use log::{Level, Log, Metadata, Record};
use paceline::config::Config;
use paceline::{Demand, Error, Event, Limiter, ManualClock, Pause, Usage};

#[test]
fn a_reader_hears_what_happens_in_order() {
    let (limiter, clock) = limiter([bucket("tpm", "tokens", 1_000, 60_000)]);
    let resource = limiter.resource(GPT).unwrap();
    let mut events = limiter.events();
    let permit = resource.acquire(Demand::tokens(1_000)).wait().unwrap();
    let id = permit.id();
    let mut waits = Task::waiting(resource.acquire(Demand::tokens(300)));
    let gives_up = Task::waiting(resource.acquire(Demand::tokens(300)));
    drop(gives_up);
    clock.advance(secs(1));
    permit.settle(Usage::tokens(100));
    let next = waits.ready().unwrap();
    resource.pause(Pause::lasting(secs(5))).wait().unwrap();
    resource.acquire(Demand::tokens(9_999)).wait().unwrap_err();

    assert!(matches!(events.try_next(), Some(Event::Granted { permit, .. }) if permit == id));
    assert!(matches!(events.try_next(), Some(Event::Queued { permit, ahead: 0, .. }) if permit == next.id()));
    assert!(matches!(events.try_next(), Some(Event::Queued { ahead: 1, .. })));
    assert!(matches!(events.try_next(), Some(Event::Cancelled { .. })));
    let Some(Event::Settled { returned, .. }) = events.try_next() else { panic!() };
    assert!(returned.iter().any(|(name, amount)| &**name == "tokens" && *amount == 900));
    assert!(matches!(events.try_next(), Some(Event::Granted { waited, .. }) if waited == secs(1)));
    assert!(matches!(events.try_next(), Some(Event::Paused { target, .. }) if &*target == GPT));
    assert!(matches!(events.try_next(), Some(Event::Refused { error: Error::Impossible { .. }, .. })));
    assert!(events.try_next().is_none());
}

#[test]
fn a_limit_that_is_near_is_told_when_it_comes_and_when_it_goes() {
    let text = "openai: {gpt-4o: {tokens_per_minute: 1_000, requests_per_minute: 10, warn_at: 75%}}";
    let clock = ManualClock::default();
    let builder = Limiter::builder().private().clock(clock.clone());
    let limiter = builder.config(Config::parse("here", text).unwrap()).build().unwrap();
    let resource = limiter.resource("openai/gpt-4o").unwrap();
    let mut events = limiter.events();
    let mut changes = |limiter: &Limiter| {
        let near = limiter.near_limits().wait().unwrap();
        let mut told = Vec::new();
        while let Some(event) = events.try_next() {
            match event {
                Event::NearLimit(near) => told.push(format!("near {}", near.limit)),
                Event::NoLongerNear { limit } => told.push(format!("over {limit}")),
                _ => {}
            }
        }
        (near.len(), told)
    };
    resource.record(Usage::tokens(700)).wait().unwrap();
    assert_eq!(changes(&limiter), (0, vec![]));
    resource.record(Usage::tokens(60)).wait().unwrap();
    assert_eq!(changes(&limiter), (1, vec!["near openai/gpt-4o/tokens_per_minute".to_owned()]));
    // A little below its threshold it is near still, and told no second time.
    clock.advance(secs(2));
    assert_eq!(changes(&limiter), (1, vec![]));
    clock.advance(secs(10));
    assert_eq!(changes(&limiter), (0, vec!["over openai/gpt-4o/tokens_per_minute".to_owned()]));
    resource.record(Usage::tokens(900)).wait().unwrap();
    assert_eq!(changes(&limiter).0, 1);
    let less = "openai: {gpt-4o: {tokens_per_minute: 1_000, requests_per_minute: 10}}";
    limiter.configure(&Config::parse("here", less).unwrap()).unwrap();
    assert!(limiter.warns(), "somebody was told that it is near");
    assert_eq!(changes(&limiter).1, ["over openai/gpt-4o/tokens_per_minute"]);
    assert!(!limiter.warns());
}

#[test]
fn a_slow_reader_loses_the_oldest_and_is_told_how_many() {
    let (limiter, _clock) = limiter([]);
    let resource = limiter.resource(GPT).unwrap();
    let mut slow = limiter.events();
    let permits: Vec<_> = (0..1_124).map(|_| resource.acquire(Demand::new()).wait().unwrap()).collect();
    assert!(matches!(slow.try_next(), Some(Event::Lost(100))));
    assert!(matches!(slow.try_next(), Some(Event::Granted { permit, .. }) if permit == permits[100].id()));
    assert_eq!(std::iter::from_fn(|| slow.try_next()).count(), 1_023);
}

#[tokio::test]
async fn events_are_a_stream_and_an_iterator() {
    let (limiter, _clock) = limiter([]);
    let resource = limiter.resource(GPT).unwrap();
    let mut stream = limiter.events();
    let reader = std::thread::spawn({
        let events = limiter.events();
        move || events.blocking().count()
    });
    let next = tokio::spawn(async move { stream.next().await });
    resource.acquire(Demand::new()).await.unwrap().give_back();
    assert!(matches!(next.await.unwrap(), Some(Event::Granted { .. })));
    limiter.close();
    assert_eq!(reader.join().unwrap(), 2);
}

/// Keeps warnings, so that a test can ask whether there was one.
struct Warnings(Mutex<Vec<String>>);

impl Log for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= Level::Warn
    }

    fn log(&self, record: &Record<'_>) {
        self.0.lock().unwrap().push(record.args().to_string());
    }

    fn flush(&self) {}
}

fn warnings(about: &str) -> Vec<String> {
    static WARNINGS: OnceLock<&Warnings> = OnceLock::new();
    let warnings = WARNINGS.get_or_init(|| {
        let warnings: &Warnings = Box::leak(Box::new(Warnings(Mutex::default())));
        log::set_logger(warnings).unwrap();
        log::set_max_level(log::LevelFilter::Warn);
        warnings
    });
    warnings.0.lock().unwrap().iter().filter(|warning| warning.contains(about)).cloned().collect()
}

#[test]
fn a_long_wait_is_told_of_at_doubling_intervals_naming_the_limit() {
    let told = || warnings("limit concurrency").len();
    let before = told();
    let (limiter, clock) = limiter([concurrency(1)]);
    let resource = limiter.resource(GPT).unwrap();
    let mut events = limiter.events();
    let permit = resource.acquire(Demand::new()).wait().unwrap();
    let waits: Vec<_> = (0..3).map(|_| Task::waiting(resource.acquire(Demand::new()))).collect();
    for (seconds, times) in [(29, 0), (1, 1), (29, 1), (1, 2), (59, 2), (1, 3), (120, 4)] {
        clock.advance(secs(seconds));
        assert_eq!(told() - before, times);
    }
    let long = std::iter::from_fn(|| events.try_next()).filter(
        |event| matches!(event, Event::LongWait { limit: Some(limit), .. } if &**limit == "concurrency"),
    );
    assert_eq!(long.count(), 4);
    drop(waits);
    permit.give_back();
    clock.advance(secs(1_000));
    assert_eq!(clock.next_due_ms(), None);
}

#[test]
fn permits_dropped_unsettled_are_told_of_once_a_resource() {
    warnings("");
    let (limiter, _clock) = limiter([bucket("dropped", "requests", 10, 60_000)]);
    let resource = limiter.resource(GPT).unwrap();
    let dropped = || warnings("was dropped without being settled").len();
    let before = dropped();
    (0..3).for_each(|_| drop(resource.acquire(Demand::new()).wait().unwrap()));
    assert_eq!(dropped() - before, 1);
}
