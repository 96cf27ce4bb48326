//! Paceline's side: resources on the server, and what callers do with them.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use paceline::core::{Algorithm, LimitSpec, ResourceSpec};
use paceline::{Demand, Limiter, Resource, Usage};
use tokio::task::JoinSet;

use super::{Outcome, clock};

const LIMITS: [(&str, &str); 4] =
    [("rpm", "requests"), ("tpm", "tokens"), ("itpm", "input_tokens"), ("otpm", "output_tokens")];

/// Returns this many limits, so large that nothing waits.
pub(crate) fn wide(limits: usize) -> Vec<LimitSpec> {
    let burst = 1_000_000_000_000;
    let limit = |(id, metric): &(&str, &str)| {
        LimitSpec::new(id, metric, burst, Algorithm::TokenBucket { window: 60_000, burst }).member("gpt")
    };
    LIMITS.iter().take(limits).map(limit).collect()
}

/// Returns a limit of this many calls in flight.
pub(crate) fn in_flight(amount: u64) -> LimitSpec {
    LimitSpec::new("calls", "concurrent_requests", amount, Algorithm::Concurrency).member("gpt")
}

pub(crate) fn limiter(url: &str, prefix: &str, limits: Vec<LimitSpec>) -> Outcome<Limiter> {
    let builder = Limiter::builder().store(url).key_prefix(prefix);
    Ok(builder.limits(limits, [ResourceSpec::new("gpt")]).build()?)
}

/// Returns a resource under these limits.
pub(crate) fn resource(url: &str, prefix: &str, limits: Vec<LimitSpec>) -> Outcome<Resource> {
    Ok(limiter(url, prefix, limits)?.resource("gpt")?)
}

/// Asks for a permit and settles it. The settlement is on its way when this returns, as callers do it.
pub(crate) async fn pair(resource: &Resource) -> Outcome<()> {
    let permit = resource.acquire(Demand::new().input_tokens(10).max_output_tokens(10)).await?;
    permit.settle(Usage::new().input_tokens(5).output_tokens(5));
    Ok(())
}

/// The same, and waits until the settlement is answered.
pub(crate) async fn confirmed_pair(resource: &Resource) -> Outcome<()> {
    let permit = resource.acquire(Demand::new().input_tokens(10).max_output_tokens(10)).await?;
    permit.settle(Usage::new().input_tokens(5).output_tokens(5)).await?;
    Ok(())
}

/// Lets this many callers repeat something for a time; returns how often they did it a second.
pub(crate) async fn repeated<W>(
    callers: usize,
    time: Duration,
    work: impl Fn() -> W + Clone + Send + 'static,
) -> Outcome<f64>
where
    W: Future<Output = Outcome<()>> + Send,
{
    let count = Arc::new(AtomicU64::new(0));
    let began = clock::now();
    let mut running = JoinSet::new();
    for _ in 0..callers {
        let (work, count) = (work.clone(), Arc::clone(&count));
        running.spawn(async move {
            while began.elapsed() < time {
                work().await?;
                count.fetch_add(1, Ordering::Relaxed);
            }
            Outcome::Ok(())
        });
    }
    while let Some(ended) = running.join_next().await {
        ended??;
    }
    Ok(super::report::real(count.load(Ordering::Relaxed)) / began.elapsed().as_secs_f64())
}
