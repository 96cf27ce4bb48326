//! Acquire and settle in process, without a wait, against hand-written buckets and `governor`.

use std::hint::black_box;
use std::num::NonZeroU32;

use paceline::core::{Algorithm, LimitSpec, ResourceSpec};
use paceline::{Demand, Limiter, Resource, Usage};

use crate::floor::{Governed, HandWritten};
use crate::stopwatch::{interleaved, per_repetition};

const ROUNDS: usize = 31;
const PAIRS: u64 = 20_000;
const METRICS: [&str; 8] =
    ["requests", "tokens", "input_tokens", "output_tokens", "usd_micros", "images", "searches", "characters"];

/// Returns a resource with this many limits, so large that nothing waits.
pub(crate) fn resource(limits: usize) -> Resource {
    let amount = 1_000_000_000_000;
    let limit = |metric: &&str| {
        LimitSpec::new(metric, metric, amount, Algorithm::TokenBucket { window: 60_000, burst: amount }).member("gpt")
    };
    let limits: Vec<_> = METRICS.iter().take(limits).map(limit).collect();
    let limiter = Limiter::builder().private().limits(limits, [ResourceSpec::new("gpt")]).build();
    #[expect(clippy::expect_used, reason = "a benchmark that cannot start has nothing to say")]
    limiter.and_then(|limiter| limiter.resource("gpt")).expect("the limits are sound")
}

/// Returns a demand and a usage that name as many metrics as there are limits.
pub(crate) fn amounts(limits: usize) -> (Demand, Usage) {
    let mut demand = Demand::new();
    let mut usage = Usage::new();
    for metric in METRICS.iter().take(limits) {
        demand = demand.metric(metric, 10);
        usage = usage.metric(metric, 5);
    }
    (demand, usage)
}

pub(crate) fn ours(resource: &Resource, demand: &Demand, usage: &Usage, pairs: u64) {
    for _ in 0..pairs {
        match resource.acquire(demand.clone()).wait() {
            Ok(permit) => drop(black_box(permit.settle(usage.clone()))),
            Err(error) => eprintln!("{error}"),
        }
    }
}

pub(crate) fn by_hand(buckets: &HandWritten, pairs: u64) {
    for _ in 0..pairs {
        if black_box(buckets.reserve(black_box(10.0))) {
            buckets.refund(black_box(5.0));
        }
    }
}

fn governed(limiters: &Governed, pairs: u64) {
    let amount = NonZeroU32::MIN;
    for _ in 0..pairs {
        black_box(limiters.check(amount));
        black_box(limiters.check(amount));
    }
}

fn on_threads(threads: u64, work: impl Fn(u64) + Sync) -> f64 {
    per_repetition(PAIRS, |pairs| {
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| work(pairs / threads));
            }
        });
    })
}

pub(crate) fn run() {
    println!("\n## Acquire + settle in process, no wait\n");
    println!("Medians of {ROUNDS} interleaved rounds of {PAIRS} pairs, quartiles in brackets, nanoseconds a pair.\n");
    println!("| limits | threads | by hand | 2 x governor checks | paceline | paceline / by hand |");
    println!("|---|---|---|---|---|---|");
    for threads in [1, 2] {
        for limits in [1, 2, 4, 8] {
            row(limits, threads);
        }
    }
}

fn row(limits: usize, threads: u64) {
    let buckets = HandWritten::new(limits, 1e12);
    let limiters = Governed::new(limits);
    let resource = resource(limits);
    let (demand, usage) = amounts(limits);
    let mut contenders: [Box<dyn FnMut() -> f64>; 3] = [
        Box::new(|| on_threads(threads, |pairs| by_hand(&buckets, pairs))),
        Box::new(|| on_threads(threads, |pairs| governed(&limiters, pairs))),
        Box::new(|| on_threads(threads, |pairs| ours(&resource, &demand, &usage, pairs))),
    ];
    let spreads = interleaved(ROUNDS, &mut contenders);
    let cells: Vec<String> = spreads
        .iter()
        .map(|spread| format!("{:.0} ({:.0}–{:.0})", spread.median, spread.lower, spread.upper))
        .collect();
    let ratio = match (spreads.first(), spreads.last()) {
        (Some(floor), Some(ours)) => ours.median / floor.median,
        _ => f64::NAN,
    };
    println!("| {limits} | {threads} | {} | {ratio:.2} |", cells.join(" | "));
}
