//! Acquire and settle without a wait: one caller, 64 callers, two processes of 64.

use std::time::Duration;

use super::floor::Floor;
use super::report::{Spread, cost};
use super::server::Server;
use super::worker::Workers;
use super::{Effort, Outcome, ours, runtime};

pub(crate) const CALLERS: usize = 64;

/// One caller, two limits, against two pings.
pub(crate) fn one_caller(server: &Server, effort: &Effort) -> Outcome<()> {
    let prefix = server.prefix("one");
    let resource = ours::resource(server.url(), &prefix, ours::wide(2))?;
    let (mut mine, mut confirmed, mut floors) = (Vec::new(), Vec::new(), Vec::new());
    runtime()?.block_on(async {
        let floor = Floor::connect(server.url(), &prefix).await?;
        let time = Duration::from_millis(effort.round_ms);
        ours::pair(&resource).await?;
        for _ in 0..effort.rounds {
            let pings = floor.clone();
            let pinged = ours::repeated(1, time, move || {
                let mut pings = pings.clone();
                async move {
                    pings.ping().await?;
                    pings.ping().await
                }
            });
            floors.push(1e6 / pinged.await?);
            let settles = resource.clone();
            let paired = ours::repeated(1, time, move || {
                let resource = settles.clone();
                async move { ours::pair(&resource).await }
            });
            mine.push(1e6 / paired.await?);
            let settles = resource.clone();
            let paired = ours::repeated(1, time, move || {
                let resource = settles.clone();
                async move { ours::confirmed_pair(&resource).await }
            });
            confirmed.push(1e6 / paired.await?);
        }
        Outcome::Ok(())
    })?;
    cost("1 caller, acquire + settle, 2 limits / 2 `PING`s", "µs", mine, floors.clone(), 0, "≤ 2");
    cost("– the settlement waited for", "µs", confirmed, floors, 0, "");
    Ok(())
}

/// Lets the callers of one contender work for a round: how often a second.
pub(crate) async fn round(
    which: &str,
    resource: &paceline::Resource,
    floor: &Floor,
    time: Duration,
    callers: usize,
) -> Outcome<f64> {
    if which == "ours" {
        let resource = resource.clone();
        let work = move || {
            let resource = resource.clone();
            async move { ours::pair(&resource).await }
        };
        return ours::repeated(callers, time, work).await;
    }
    let floor = floor.clone();
    let work = move || {
        let mut floor = floor.clone();
        async move { floor.four_buckets().await }
    };
    ours::repeated(callers, time, work).await
}

/// 64 callers in this process, four limits, against one script of four buckets each.
pub(crate) fn many_callers(server: &Server, effort: &Effort) -> Outcome<()> {
    let prefix = server.prefix("many");
    let resource = ours::resource(server.url(), &prefix, ours::wide(4))?;
    let time = Duration::from_millis(effort.round_ms);
    let runtime = runtime()?;
    let floor = runtime.block_on(Floor::connect(server.url(), &prefix))?;
    let contest = Contest::run(server, effort, |which| {
        runtime.block_on(round(which, &resource, &floor, time, CALLERS))
    })?;
    contest.print("64 callers in a process, pairs a second, 4 limits / four-bucket `EVALSHA`s");
    Ok(())
}

/// The same in two processes.
pub(crate) fn two_processes(server: &Server, effort: &Effort) -> Outcome<()> {
    let prefix = server.prefix("two");
    let mut workers = Workers::start(2, "pairs", server.url(), &prefix)?;
    let contest = Contest::run(server, effort, |which| {
        let rates = workers.ask(&format!("{which} {}", effort.round_ms));
        Ok(rates.iter().filter_map(|rate| rate.parse::<f64>().ok()).sum())
    })?;
    contest.print("2 processes × 64 callers, pairs a second / `EVALSHA`s");
    Ok(())
}

/// Rates of both, and the server's processor time for each thing done.
#[derive(Default)]
struct Contest {
    mine: Vec<f64>,
    floors: Vec<f64>,
    my_cpu: Vec<f64>,
    floor_cpu: Vec<f64>,
}

impl Contest {
    fn run(server: &Server, effort: &Effort, mut round: impl FnMut(&str) -> Outcome<f64>) -> Outcome<Self> {
        let mut contest = Self::default();
        round("ours")?;
        for _ in 0..effort.rounds {
            for which in ["floor", "ours"] {
                let (before, began) = (server.cpu_us()?, super::clock::now());
                let rate = round(which)?;
                let used = (server.cpu_us()? - before) / (rate * began.elapsed().as_secs_f64());
                let (rates, cpu) = if which == "ours" {
                    (&mut contest.mine, &mut contest.my_cpu)
                } else {
                    (&mut contest.floors, &mut contest.floor_cpu)
                };
                rates.push(rate);
                cpu.push(used);
            }
        }
        Ok(contest)
    }

    fn print(self, what: &str) {
        let (mine, floors) = (Spread::of(self.mine), Spread::of(self.floors));
        let ratio = mine.median / floors.median;
        println!("| {what} | {} /s | {} /s | {ratio:.2} | ≥ 1.5 |", mine.text(0), floors.text(0));
        cost("– the server's processor time for each", "µs", self.my_cpu, self.floor_cpu, 1, "≤ 0.6");
    }
}
