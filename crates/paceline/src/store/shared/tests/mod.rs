//! The protocol, against a store that fails to order.

mod fake;
mod outages;
mod protocol;
mod values;

use std::sync::Arc;
use std::time::Duration;

use paceline_core::{Algorithm, LimitSpec, ResourceSpec};

use crate::builder::Builder;
use crate::{Event, Events, Limiter, ManualClock, Resource};
pub(super) use fake::{Fake, Fault, Wire};

pub(super) const GPT: &str = "openai/gpt-4o";

pub(super) fn bucket(amount: u64, window: u64) -> LimitSpec {
    LimitSpec::new("tpm", "tokens", amount, Algorithm::TokenBucket { window, burst: amount }).member(GPT)
}

pub(super) fn slots(amount: u64) -> LimitSpec {
    LimitSpec::new("slots", "concurrent_requests", amount, Algorithm::Concurrency).member(GPT)
}

pub(super) fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(super) fn builder(fake: &Arc<Fake>, clock: &ManualClock) -> Builder {
    Limiter::builder().link(Arc::new(Wire(Arc::clone(fake)))).clock(clock.clone())
}

pub(super) fn open(fake: &Arc<Fake>, clock: &ManualClock, limit: LimitSpec) -> (Limiter, Resource) {
    finish(builder(fake, clock), limit)
}

pub(super) fn finish(builder: Builder, limit: LimitSpec) -> (Limiter, Resource) {
    let limiter = builder.limits([limit], [ResourceSpec::new(GPT)]).build().unwrap();
    let resource = limiter.resource(GPT).unwrap();
    (limiter, resource)
}

pub(super) fn clock() -> ManualClock {
    ManualClock::at(1_700_000_000_000)
}

/// Waits for an event; those before it are passed over.
pub(super) fn until(events: &mut Events, wanted: impl Fn(&Event) -> bool) -> Event {
    let next = |context: &mut std::task::Context<'_>| {
        futures_core::Stream::poll_next(std::pin::Pin::new(&mut *events), context)
    };
    let mut next = next;
    loop {
        let event = crate::park::block_on(std::future::poll_fn(&mut next)).unwrap();
        if wanted(&event) {
            return event;
        }
    }
}
