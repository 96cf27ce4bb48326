//! What a pair costs as live requests fill a window, and what a turn costs as the line grows.

use std::collections::VecDeque;
use std::time::Duration;

use paceline::core::{Algorithm, LimitSpec};
use paceline::{Demand, Permit, Resource};
use tokio::task::JoinHandle;

use super::report::cost;
use super::server::Server;
use super::{Effort, Outcome, clock, ours, runtime};

pub(crate) fn run(server: &Server, effort: &Effort) -> Outcome<()> {
    filled(server, effort)?;
    waiting(server, effort)
}

/// One caller's pair while this many permits are out, all counted in a sliding window, against the same without them.
fn filled(server: &Server, effort: &Effort) -> Outcome<()> {
    let limits = |amount: u64| {
        let window = Algorithm::SlidingWindow { window: 3_600_000, slots: 60 };
        let mut limits = ours::wide(3);
        limits.push(LimitSpec::new("rph", "requests", amount, window).member("gpt"));
        limits
    };
    let (full, empty) = (server.prefix("full"), server.prefix("empty"));
    let full = ours::resource(server.url(), &full, limits(100_000_000))?;
    let empty = ours::resource(server.url(), &empty, limits(100_000_000))?;
    let time = Duration::from_millis(effort.round_ms);
    let (mut mine, mut floors) = (Vec::new(), Vec::new());
    let held = runtime()?.block_on(async {
        let held = hold(&full, effort.live).await?;
        for _ in 0..effort.rounds {
            for (resource, times) in [(&empty, &mut floors), (&full, &mut mine)] {
                let resource = resource.clone();
                let pairs = ours::repeated(1, time, move || {
                    let resource = resource.clone();
                    async move { ours::pair(&resource).await }
                });
                times.push(1e6 / pairs.await?);
            }
        }
        Outcome::Ok(held)
    })?;
    // They end with the process's session: settling each would take longer than the benchmark.
    held.into_iter().for_each(std::mem::forget);
    let what = format!("1 caller, a pair with {} permits out in the window / with none", effort.live);
    cost(&what, "µs", mine, floors, 0, "≤ 1.2");
    Ok(())
}

/// Takes this many permits, a hundred at a time.
async fn hold(resource: &Resource, count: usize) -> Outcome<Vec<Permit>> {
    let mut held = Vec::with_capacity(count);
    while held.len() < count {
        let ask = |_| tokio::spawn(resource.acquire(Demand::tokens(10)).into_future());
        let asked: Vec<JoinHandle<_>> = (0..100).map(ask).collect();
        for one in asked {
            held.push(one.await??);
        }
    }
    Ok(held)
}

/// A line that moves by one call at a time: a permit ends, the next goes, and somebody joins at the end.
struct Queue {
    resource: Resource,
    current: Option<Permit>,
    waiting: VecDeque<JoinHandle<Result<Permit, paceline::Error>>>,
}

impl Queue {
    async fn of(resource: Resource, waiting: usize) -> Outcome<Self> {
        let current = Some(resource.acquire(Demand::new()).await?);
        let mut queue = Self { resource, current, waiting: VecDeque::new() };
        (0..waiting).for_each(|_| queue.join());
        loop {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let seen = queue.resource.snapshot().await?;
            if seen.resource.waiting >= u64::try_from(waiting)? {
                return Ok(queue);
            }
        }
    }

    fn join(&mut self) {
        self.waiting.push_back(tokio::spawn(self.resource.acquire(Demand::new()).into_future()));
    }

    /// Lets one after the other go for a time; returns how long a turn took, in microseconds.
    async fn turns(&mut self, time: Duration) -> Outcome<f64> {
        let (began, mut turns) = (clock::now(), 0.0);
        while began.elapsed() < time {
            self.join();
            if let Some(ended) = self.current.take() {
                drop(ended.give_back());
            }
            let next = self.waiting.pop_front().ok_or("nobody waits")?;
            self.current = Some(next.await??);
            turns += 1.0;
        }
        Ok(began.elapsed().as_secs_f64() * 1e6 / turns)
    }
}

/// A turn while this many tickets wait, against one while ten do.
fn waiting(server: &Server, effort: &Effort) -> Outcome<()> {
    let (long, short) = (server.prefix("long"), server.prefix("short"));
    let long = ours::resource(server.url(), &long, vec![ours::in_flight(1)])?;
    let short = ours::resource(server.url(), &short, vec![ours::in_flight(1)])?;
    let time = Duration::from_millis(effort.round_ms);
    let (mut mine, mut floors) = (Vec::new(), Vec::new());
    runtime()?.block_on(async {
        let (mut long, mut short) = (Queue::of(long, effort.waiting).await?, Queue::of(short, 10).await?);
        for _ in 0..effort.rounds {
            floors.push(short.turns(time).await?);
            mine.push(long.turns(time).await?);
        }
        Outcome::Ok(())
    })?;
    let what = format!("a turn of the line while {} wait / while 10 do", effort.waiting);
    cost(&what, "µs", mine, floors, 0, "≤ 1.5");
    Ok(())
}
