//! Limiters on a clock that is told the time, and futures polled by hand.
#![allow(dead_code, reason = "each test file needs some of it")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends where it fails")]

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use paceline::core::{Algorithm, LimitSpec, LimitView, ResourceSpec};
use paceline::{Limiter, ManualClock, Resource};

/// The one resource of most tests.
pub(crate) const GPT: &str = "openai/gpt-4o";

pub(crate) fn bucket(id: &str, metric: &str, amount: u64, window: u64) -> LimitSpec {
    LimitSpec::new(id, metric, amount, Algorithm::TokenBucket { window, burst: amount }).member(GPT)
}

pub(crate) fn concurrency(amount: u64) -> LimitSpec {
    LimitSpec::new("concurrency", "concurrent_requests", amount, Algorithm::Concurrency).member(GPT)
}

/// A private limiter of one resource, on a clock that stands still.
pub(crate) fn limiter(limits: impl IntoIterator<Item = LimitSpec>) -> (Limiter, ManualClock) {
    limiter_of(limits, ResourceSpec::new(GPT))
}

pub(crate) fn limiter_of(
    limits: impl IntoIterator<Item = LimitSpec>,
    resource: ResourceSpec,
) -> (Limiter, ManualClock) {
    let clock = ManualClock::at(1_700_000_000_000);
    let limiter = Limiter::builder().private().clock(clock.clone()).limits(limits, [resource]).build();
    (limiter.unwrap(), clock)
}

pub(crate) fn resource(limits: impl IntoIterator<Item = LimitSpec>) -> (Resource, ManualClock) {
    let (limiter, clock) = limiter(limits);
    (limiter.resource(GPT).unwrap(), clock)
}

pub(crate) fn limit(resource: &Resource, name: &str) -> LimitView {
    let limits = resource.snapshot().wait().unwrap().limits;
    limits.into_iter().find(|limit| &*limit.name == name).unwrap()
}

pub(crate) fn left(resource: &Resource, name: &str) -> i64 {
    limit(resource, name).left
}

pub(crate) fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A future polled by hand, with a count of how often it was woken.
pub(crate) struct Task<F: Future> {
    future: Pin<Box<F>>,
    woken: Arc<Count>,
}

#[derive(Default)]
pub(crate) struct Count(AtomicUsize);

impl<F: Future> Task<F> {
    pub(crate) fn new(future: F) -> Self {
        Self { future: Box::pin(future), woken: Arc::default() }
    }

    /// A task that was polled once and waits.
    pub(crate) fn waiting(future: F) -> Self {
        let mut task = Self::new(future);
        assert!(task.poll().is_pending());
        task
    }

    pub(crate) fn poll(&mut self) -> Poll<F::Output> {
        let waker = Waker::from(Arc::clone(&self.woken));
        self.future.as_mut().poll(&mut Context::from_waker(&waker))
    }

    pub(crate) fn woken(&self) -> usize {
        self.woken.0.load(Ordering::SeqCst)
    }

    pub(crate) fn ready(&mut self) -> F::Output {
        match self.poll() {
            Poll::Ready(output) => output,
            Poll::Pending => panic!("still waiting"),
        }
    }
}

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}
