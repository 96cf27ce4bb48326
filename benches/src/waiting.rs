//! What it costs that many wait: time a grant, memory a ticket, and the processor time of a process that only waits.

use std::collections::VecDeque;
use std::fs;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use paceline::core::{Algorithm, LimitSpec, ResourceSpec};
use paceline::{Acquire, Demand, Limiter, Permit, Resource, Usage};

use crate::stopwatch::{Spread, idle, interleaved, per_repetition};

const ROUNDS: usize = 21;
const TURNS: u64 = 2_000;
const MANY: usize = 100_000;
const IDLE: Duration = Duration::from_secs(5);
const PAGE: usize = 4_096;

/// A line that moves by one call at a time: a permit ends, the next goes, and somebody joins at the end.
struct Queue {
    resource: Resource,
    out: Option<Permit>,
    waiting: VecDeque<Pin<Box<Acquire>>>,
}

impl Queue {
    fn new(tickets: usize) -> Self {
        let amount = 1 << 40;
        let rate = Algorithm::TokenBucket { window: 60_000, burst: amount };
        let limits = [
            LimitSpec::new("slots", "concurrent_requests", 1, Algorithm::Concurrency).member("gpt"),
            LimitSpec::new("rpm", "requests", amount, rate.clone()).member("gpt"),
            LimitSpec::new("tpm", "tokens", amount, rate).member("gpt"),
        ];
        let limiter = Limiter::builder().private().limits(limits, [ResourceSpec::new("gpt")]).build();
        #[expect(clippy::expect_used, reason = "a benchmark that cannot start has nothing to say")]
        let resource = limiter.and_then(|limiter| limiter.resource("gpt")).expect("the limits are sound");
        let out = resource.acquire(Demand::tokens(10)).wait().ok();
        let mut queue = Self { resource, out, waiting: VecDeque::new() };
        (0..tickets).for_each(|_| queue.join());
        queue
    }

    fn join(&mut self) {
        let mut ticket = Box::pin(self.resource.acquire(Demand::tokens(10)));
        if poll(ticket.as_mut()).is_pending() {
            self.waiting.push_back(ticket);
        }
    }

    fn turn(&mut self) {
        if let Some(permit) = self.out.take() {
            drop(permit.settle(Usage::tokens(5)));
        }
        if let Some(mut head) = self.waiting.pop_front()
            && let Poll::Ready(granted) = poll(head.as_mut())
        {
            self.out = granted.ok();
        }
        self.join();
    }
}

fn poll(ticket: Pin<&mut Acquire>) -> Poll<Result<Permit, paceline::Error>> {
    Future::poll(ticket, &mut Context::from_waker(Waker::noop()))
}

pub(crate) fn run() {
    println!("\n## Tickets that wait\n");
    memory_and_idleness();
    time_a_grant();
}

fn memory_and_idleness() {
    let before = resident();
    let mut queue = Queue::new(MANY);
    let grown = resident().saturating_sub(before);
    let busy = processor_ticks();
    idle(IDLE);
    let busy = processor_ticks() - busy;
    println!("{MANY} tickets wait: {} bytes each, future and all; ", grown / MANY);
    println!(
        "processor time while they do nothing but wait for {} s: {busy} hundredths of a second.\n",
        IDLE.as_secs()
    );
    queue.turn();
    assert!(queue.out.is_some(), "the line moves");
}

fn time_a_grant() {
    println!(
        "A permit ends, the next in line goes, somebody joins. Medians of {ROUNDS} interleaved rounds of {TURNS}:\n"
    );
    println!("| waiting | nanoseconds a turn | / half as many waiting |");
    println!("|---|---|---|");
    let sizes: Vec<usize> = (0..=7).map(|power| 1_000 << power).collect();
    let mut queues: Vec<Queue> = sizes.iter().map(|size| Queue::new(*size)).collect();
    let mut contenders: Vec<Box<dyn FnMut() -> f64 + '_>> = Vec::new();
    for queue in &mut queues {
        contenders.push(Box::new(|| per_repetition(TURNS, |turns| (0..turns).for_each(|_| queue.turn()))));
    }
    let spreads = interleaved(ROUNDS, &mut contenders);
    let mut half: Option<Spread> = None;
    for (size, spread) in sizes.iter().zip(spreads) {
        let ratio = half.map_or(String::from("–"), |half| format!("{:.2}", spread.median / half.median));
        println!("| {size} | {:.0} ({:.0}–{:.0}) | {ratio} |", spread.median, spread.lower, spread.upper);
        half = Some(spread);
    }
}

/// Returns the memory of this process in bytes, 0 where the system does not tell.
fn resident() -> usize {
    let text = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    text.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).unwrap_or(0) * PAGE
}

/// Returns the processor time of this process in hundredths of a second.
fn processor_ticks() -> u64 {
    let text = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = text.rsplit(')').next().unwrap_or_default().split(' ');
    fields.skip(12).take(2).filter_map(|field| field.parse::<u64>().ok()).sum()
}
