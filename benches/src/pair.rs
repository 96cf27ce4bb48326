//! Acquire and settle in process, without a wait, against hand-written buckets and `governor`.

use std::hint::black_box;
use std::num::NonZeroU32;

use paceline::core::{Algorithm, LimitSpec, ResourceSpec};
use paceline::{Demand, Limiter, Resource, Usage};

use crate::floor::{Governed, HandWritten};
use crate::stopwatch::{interleaved, per_repetition};

const ROUNDS: usize = 31;
const PAIRS: u64 = 20_000;
/// The limits, in the order in which a row takes them: four metrics by the minute, then by the day.
const LIMITS: [(&str, &str, u64); 8] = [
    ("rpm", "requests", 60_000),
    ("tpm", "tokens", 60_000),
    ("itpm", "input_tokens", 60_000),
    ("otpm", "output_tokens", 60_000),
    ("rpd", "requests", 86_400_000),
    ("tpd", "tokens", 86_400_000),
    ("itpd", "input_tokens", 86_400_000),
    ("otpd", "output_tokens", 86_400_000),
];

/// Returns a resource with this many limits, so large that nothing waits.
pub(crate) fn resource(limits: usize) -> Resource {
    let burst = 1_000_000_000_000;
    let limit = |(id, metric, window): &(&str, &str, u64)| {
        LimitSpec::new(id, metric, burst, Algorithm::TokenBucket { window: *window, burst }).member("gpt")
    };
    let limits: Vec<_> = LIMITS.iter().take(limits).map(limit).collect();
    let limiter = Limiter::builder().private().limits(limits, [ResourceSpec::new("gpt")]).build();
    #[expect(clippy::expect_used, reason = "a benchmark that cannot start has nothing to say")]
    limiter.and_then(|limiter| limiter.resource("gpt")).expect("the limits are sound")
}

/// Returns what a call asks for, and what it uses.
pub(crate) fn amounts() -> (Demand, Usage) {
    let demand = Demand::new().input_tokens(10).max_output_tokens(10);
    (demand, Usage::new().input_tokens(5).output_tokens(5))
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
    println!(
        "Medians of {ROUNDS} interleaved rounds of {PAIRS} pairs, quartiles in brackets, nanoseconds a pair.\n"
    );
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
    let (demand, usage) = amounts();
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
