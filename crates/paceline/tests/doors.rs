//! Threads, tasks and hand-polled futures at one ledger, on the clock of the machine.

#![expect(clippy::unwrap_used, reason = "a test ends where it fails")]

mod common;

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use common::{GPT, Task, bucket, concurrency};
use futures_util::future::{Either, join_all, select};
use paceline::core::{LimitSpec, ResourceSpec};
use paceline::{Acquire, Demand, Error, Limiter, Resource, Usage};

fn resource(limits: impl IntoIterator<Item = LimitSpec>) -> Resource {
    let limiter = Limiter::builder().private().limits(limits, [ResourceSpec::new(GPT)]).build().unwrap();
    limiter.resource(GPT).unwrap()
}

fn assert_full(resource: &Resource) {
    let snapshot = resource.snapshot().wait().unwrap();
    for limit in snapshot.limits {
        assert_eq!((limit.left, limit.held), (i64::try_from(limit.most).unwrap(), 0), "{}", limit.name);
    }
    assert_eq!((snapshot.resource.waiting, snapshot.resource.in_flight), (0, 0));
}

/// Numbers that look random, the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

/// Polls a future some times and then lets it go, or takes its result.
async fn impatient(acquire: Acquire, patience: u64) -> Option<Result<paceline::Permit, Error>> {
    let mut acquire = acquire;
    for _ in 0..patience {
        match select(&mut acquire, pin!(tokio::task::yield_now())).await {
            Either::Left((answer, _)) => return Some(answer),
            Either::Right(_) => {}
        }
    }
    None
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_storm_of_tasks_and_threads_that_give_up_at_random_leaks_nothing() {
    let resource = resource([concurrency(3), bucket("tpm", "tokens", 1_000_000, 3_600_000)]);
    let most = Arc::new(AtomicU64::new(0));
    let out = Arc::new(AtomicU64::new(0));
    let used = move || {
        let out = Arc::clone(&out);
        most.fetch_max(out.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        assert!(most.load(Ordering::SeqCst) <= 3);
        out
    };
    let task = |seed: u64| {
        let (resource, used) = (resource.clone(), used.clone());
        tokio::spawn(async move {
            let mut dice = Dice(seed + 1);
            for _ in 0..200 {
                let acquire = resource.acquire(Demand::tokens(100));
                let Some(permit) = impatient(acquire, dice.roll(6)).await else { continue };
                let out = used();
                tokio::task::yield_now().await;
                out.fetch_sub(1, Ordering::SeqCst);
                permit.unwrap().give_back();
            }
        })
    };
    let tasks = join_all((0..16).map(task));
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let (resource, used) = (resource.clone(), used.clone());
            thread::spawn(move || {
                for _ in 0..200 {
                    let permit = resource.acquire(Demand::tokens(100)).wait().unwrap();
                    let out = used();
                    thread::yield_now();
                    out.fetch_sub(1, Ordering::SeqCst);
                    permit.give_back();
                }
            })
        })
        .collect();
    for task in tasks.await {
        task.unwrap();
    }
    for thread in threads {
        thread.join().unwrap();
    }
    assert_full(&resource);
}

#[test]
fn threads_and_futures_wait_in_one_line() {
    let resource = resource([concurrency(1)]);
    let order = Arc::new(Mutex::new(Vec::new()));
    let permit = resource.acquire(Demand::new()).wait().unwrap();
    let waiting = |count| {
        while resource.snapshot().wait().unwrap().resource.waiting < count {
            thread::yield_now();
        }
    };
    let mut threads = Vec::new();
    for place in 0..6_u64 {
        let (resource, order) = (resource.clone(), Arc::clone(&order));
        let take = move |permit: paceline::Permit| {
            order.lock().unwrap().push(place);
            permit.settle(Usage::new());
        };
        threads.push(thread::spawn(move || {
            let acquire = resource.acquire(Demand::new());
            if place.is_multiple_of(2) {
                take(acquire.wait().unwrap());
            } else {
                let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                runtime.block_on(async { take(acquire.await.unwrap()) });
            }
        }));
        waiting(place + 1);
    }
    permit.give_back();
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(*order.lock().unwrap(), [0, 1, 2, 3, 4, 5]);
}

#[test]
fn time_alone_wakes_threads_and_futures_of_any_executor() {
    let resource = resource([bucket("rps", "requests", 20, 1_000)]);
    let permits: Vec<_> = (0..20).map(|_| resource.acquire(Demand::new()).wait().unwrap()).collect();
    let on_thread = thread::spawn({
        let acquire = resource.acquire(Demand::new());
        move || acquire.wait().unwrap().settle(Usage::new())
    });
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async { resource.acquire(Demand::new()).await.unwrap().settle(Usage::new()) });
    on_thread.join().unwrap().wait().unwrap();
    drop(permits);
}

#[test]
fn a_time_out_fires_without_any_runtime() {
    let resource = resource([concurrency(1)]);
    let permit = resource.acquire(Demand::new()).wait().unwrap();
    let error = resource.acquire(Demand::new()).timeout(Duration::from_millis(20)).wait().unwrap_err();
    assert!(
        matches!(&error, Error::AcquireTimeout(shortage) if shortage.waited.as_millis() >= 20),
        "{error}"
    );
    permit.give_back();
    assert_full(&resource);
}

/// A waker that goes to the ledger that calls it.
struct Reentrant {
    resource: Resource,
    granted: AtomicU64,
}

impl Wake for Reentrant {
    fn wake(self: Arc<Self>) {
        let permit = self.resource.try_acquire(Demand::new()).wait().unwrap();
        permit.give_back();
        self.resource.snapshot().wait().unwrap();
        self.granted.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn wakers_are_called_when_the_lock_is_open() {
    let resource = resource([concurrency(3)]);
    let permit = resource.acquire(Demand::new().metric("concurrent_requests", 3)).wait().unwrap();
    let reentrant = Arc::new(Reentrant { resource: resource.clone(), granted: AtomicU64::new(0) });
    let waker = Waker::from(Arc::clone(&reentrant));
    let mut acquire = pin!(resource.acquire(Demand::new()));
    assert!(acquire.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    permit.give_back();
    assert_eq!(reentrant.granted.load(Ordering::SeqCst), 1);
    let Poll::Ready(permit) = acquire.as_mut().poll(&mut Context::from_waker(&waker)) else { panic!() };
    permit.unwrap().give_back();
    assert_full(&resource);
}

/// A waker that holds a place in the line of the ledger that drops it.
struct Owner(#[expect(dead_code, reason = "it is there to be dropped")] Mutex<Option<Task<Acquire>>>);

impl Wake for Owner {
    fn wake(self: Arc<Self>) {}
}

#[test]
fn wakers_are_dropped_when_the_lock_is_open() {
    let resource = resource([concurrency(1)]);
    let permit = resource.acquire(Demand::new()).wait().unwrap();
    let other = Task::waiting(resource.acquire(Demand::new()));
    let waker = Waker::from(Arc::new(Owner(Mutex::new(Some(other)))));
    let mut acquire = Box::pin(resource.acquire(Demand::new()));
    assert!(acquire.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    drop(waker);
    drop(acquire);
    permit.give_back();
    assert_full(&resource);
}

#[test]
fn a_waker_that_panics_harms_nobody_else() {
    struct Rude;
    impl Wake for Rude {
        fn wake(self: Arc<Self>) {
            panic!("rude");
        }
    }
    let resource = resource([concurrency(2)]);
    let permit = resource.acquire(Demand::new().metric("concurrent_requests", 2)).wait().unwrap();
    let waker = Waker::from(Arc::new(Rude));
    let mut rude = Box::pin(resource.acquire(Demand::new()));
    assert!(rude.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    let mut polite = Task::waiting(resource.acquire(Demand::new()));
    permit.give_back();
    polite.ready().unwrap().give_back();
    drop(rude);
    assert_full(&resource);
}

#[test]
fn ten_thousand_tickets_freed_at_once_all_go() {
    let resource = resource([concurrency(10_000)]);
    let all = Demand::new().metric("concurrent_requests", 10_000);
    let permit = resource.acquire(all).wait().unwrap();
    let tasks: Vec<_> = (0..10_000).map(|_| Task::waiting(resource.acquire(Demand::new()))).collect();
    permit.give_back();
    let permits: Vec<_> = tasks.into_iter().map(|task| paceline_waits(task).unwrap()).collect();
    for permit in permits {
        permit.give_back();
    }
    assert_full(&resource);
}

/// Polls until the driver has brought the answer.
fn paceline_waits<F: Future>(mut task: Task<F>) -> F::Output {
    loop {
        if let Poll::Ready(output) = task.poll() {
            return output;
        }
        thread::yield_now();
    }
}
