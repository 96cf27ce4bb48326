//! What a hundred thousand tickets cost that wait in line: memory for each, and the processor's time while nothing
//! happens. Memory and time are those of the whole process, as Linux tells them.
//!
//! `cargo bench -p paceline --bench waiting`
#![expect(clippy::disallowed_methods, clippy::print_stdout, reason = "a bench measures and prints")]
#![expect(clippy::unwrap_used, reason = "a bench ends where it fails")]

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Waker};
use std::thread;
use std::time::{Duration, Instant};

use paceline::core::{Algorithm, LimitSpec, ResourceSpec};
use paceline::{Acquire, Demand, Limiter};

const TICKETS: usize = 100_000;
const IDLE: Duration = Duration::from_secs(3);

fn main() {
    let bucket = |metric: &str| Algorithm::TokenBucket {
        window: 86_400_000,
        burst: if metric == "requests" { 1 } else { 1_000 },
    };
    let limit = |metric: &str, amount| LimitSpec::new(metric, metric, amount, bucket(metric)).member("gpt");
    let limits = [limit("requests", 1), limit("tokens", 1_000)];
    let limiter = Limiter::builder().private().limits(limits, [ResourceSpec::new("gpt")]).build().unwrap();
    let resource = limiter.resource("gpt").unwrap();
    let _permit = resource.acquire(Demand::tokens(1_000)).wait().unwrap();

    let before = resident_bytes();
    let start = Instant::now();
    let mut waiting: Vec<Pin<Box<Acquire>>> = Vec::with_capacity(TICKETS);
    for _ in 0..TICKETS {
        let mut acquire =
            Box::pin(resource.acquire(Demand::tokens(10)).timeout(Duration::from_hours(20_000)));
        assert!(acquire.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        waiting.push(acquire);
    }
    let queued = start.elapsed();
    let bytes = resident_bytes().saturating_sub(before) / TICKETS;

    let busy = cpu_ticks();
    thread::sleep(IDLE);
    let ticks = cpu_ticks() - busy;

    let start = Instant::now();
    drop(waiting);
    let left = start.elapsed();
    println!(
        "{TICKETS} tickets wait: {bytes} bytes each, {ticks} ms of processor time in {} idle s",
        IDLE.as_secs()
    );
    println!("{} ns to join the line, {} ns to leave it", per(queued), per(left));
}

fn per(all: Duration) -> u128 {
    all.as_nanos() / TICKETS as u128
}

fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap();
    status.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 4_096
}

/// The processor time of all threads, in milliseconds.
fn cpu_ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    fields[11..13].iter().map(|ticks| ticks.parse::<u64>().unwrap() * 10).sum()
}
