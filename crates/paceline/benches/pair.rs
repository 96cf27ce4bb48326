//! Acquire and settle in process, with stacked limits and nobody waiting, against hand-written token buckets behind one
//! mutex: reserve and refund. Prints nanoseconds a pair, the least of several rounds, and the ratio.
//!
//! `cargo bench -p paceline --bench pair`
#![expect(clippy::disallowed_methods, clippy::print_stdout, reason = "a bench measures and prints")]
#![expect(clippy::unwrap_used, clippy::cast_precision_loss, reason = "a bench ends where it fails")]

use std::hint::black_box;
use std::sync::Mutex;
use std::time::Instant;

use paceline::core::{Algorithm, LimitSpec, ResourceSpec};
use paceline::{Demand, Limiter, Usage};

const PAIRS: u32 = 200_000;
const ROUNDS: u32 = 15;

fn main() {
    println!("{:>6} {:>12} {:>12} {:>7}", "limits", "paceline ns", "buckets ns", "ratio");
    for limits in [1, 2, 4, 8] {
        let (ours, floor) = (paceline(limits), buckets(limits));
        println!("{limits:>6} {ours:>12.0} {floor:>12.0} {:>7.2}", ours / floor);
    }
}

/// Half of the limits count requests, half tokens.
fn paceline(limits: u64) -> f64 {
    let spec = |index: u64| {
        let metric = if index.is_multiple_of(2) { "tokens" } else { "requests" };
        let window = 60_000 * (index + 1);
        let bucket = Algorithm::TokenBucket { window, burst: 1 << 40 };
        LimitSpec::new(&format!("limit-{index}"), metric, 1 << 40, bucket).member("gpt")
    };
    let limiter = Limiter::builder().private().limits((0..limits).map(spec), [ResourceSpec::new("gpt")]);
    let resource = limiter.build().unwrap().resource("gpt").unwrap();
    least(|| {
        let permit = resource.acquire(Demand::tokens(black_box(800))).wait().unwrap();
        permit.settle(Usage::tokens(black_box(500)));
    })
}

/// What a program would write that has one lock and a bucket for each limit.
fn buckets(limits: u64) -> f64 {
    struct Bucket {
        level: f64,
        burst: f64,
        per_second: f64,
        at: Instant,
    }
    let bucket = |index: u64| {
        let burst = (1_u64 << 40) as f64;
        Bucket { level: burst, burst, per_second: burst / (60 * (index + 1)) as f64, at: Instant::now() }
    };
    let buckets: Mutex<Vec<Bucket>> = Mutex::new((0..limits).map(bucket).collect());
    let refill = |buckets: &mut Vec<Bucket>| {
        let now = Instant::now();
        for bucket in buckets {
            let since = now.duration_since(bucket.at).as_secs_f64();
            bucket.level = (bucket.level + since * bucket.per_second).min(bucket.burst);
            bucket.at = now;
        }
    };
    least(|| {
        let wanted = black_box(800.0);
        {
            let mut buckets = buckets.lock().unwrap();
            refill(&mut buckets);
            if buckets.iter().all(|bucket| bucket.level >= wanted) {
                buckets.iter_mut().for_each(|bucket| bucket.level -= wanted);
            }
        }
        let used = black_box(500.0);
        let mut buckets = buckets.lock().unwrap();
        refill(&mut buckets);
        buckets.iter_mut().for_each(|bucket| bucket.level = (bucket.level + wanted - used).min(bucket.burst));
    })
}

fn least(mut pair: impl FnMut()) -> f64 {
    let mut round = || {
        let start = Instant::now();
        (0..PAIRS).for_each(|_| pair());
        start.elapsed().as_nanos() as f64 / f64::from(PAIRS)
    };
    (0..ROUNDS).map(|_| round()).fold(f64::INFINITY, f64::min)
}
