//! Worker processes: this program, started anew, told what to do a line at a time, answering with a line.

use std::io::{BufRead, Write};
use std::time::Duration;

use futures_util::StreamExt;
use paceline::{Demand, Event};
use paceline_testkit::Worker;
use redis::Client;
use tokio::runtime::Runtime;

use super::floor::Floor;
use super::{Outcome, clock, ours, pairs, runtime};

/// Several of them.
pub(crate) struct Workers(Vec<Worker>);

impl Workers {
    /// Starts them for a benchmark, and waits until they are ready.
    pub(crate) fn start(count: usize, what: &str, url: &str, prefix: &str) -> Outcome<Self> {
        let program = std::env::current_exe()?;
        let start = |_| Worker::of_program(&program, &["worker", what, url, prefix]);
        let mut workers: Vec<Worker> = (0..count).map(start).collect();
        for worker in &mut workers {
            worker.hear();
        }
        Ok(Self(workers))
    }

    /// Tells all of them the same at once, and returns what they answer.
    pub(crate) fn ask(&mut self, line: &str) -> Vec<String> {
        self.tell(line);
        self.hear()
    }

    pub(crate) fn tell(&mut self, line: &str) {
        self.0.iter_mut().for_each(|worker| worker.tell(line));
    }

    pub(crate) fn hear(&mut self) -> Vec<String> {
        self.0.iter_mut().map(Worker::hear).collect()
    }
}

/// Is a worker.
pub(crate) fn run(arguments: &[String]) -> Outcome<()> {
    let [what, url, prefix] = arguments else { return Err("worker WHAT URL PREFIX".into()) };
    let runtime = runtime()?;
    match what.as_str() {
        "pairs" => pairs_by_order(&runtime, url, prefix),
        "wake" => wake_by_order(&runtime, url, prefix),
        _ => wait_by_order(&runtime, url, prefix),
    }
}

fn say(line: &str) -> Outcome<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

/// Works for as long as it is told to, as ours or as the floor; answers how often a second.
fn pairs_by_order(runtime: &Runtime, url: &str, prefix: &str) -> Outcome<()> {
    let resource = ours::resource(url, prefix, ours::wide(4))?;
    let floor = runtime.block_on(Floor::connect(url, prefix))?;
    say("ready")?;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let mut words = line.split(' ');
        let (Some(which), Some(ms)) = (words.next(), words.next()) else {
            return Err("ours|floor MILLISECONDS [CALLERS]".into());
        };
        let callers = words.next().map_or(Ok(pairs::CALLERS), str::parse)?;
        let time = Duration::from_millis(ms.parse()?);
        say(&runtime.block_on(pairs::round(which, &resource, &floor, time, callers))?.to_string())?;
    }
    Ok(())
}

/// Waits for a permit, or for a message, and answers when it came.
fn wake_by_order(runtime: &Runtime, url: &str, prefix: &str) -> Outcome<()> {
    let limiter = ours::limiter(url, prefix, vec![ours::in_flight(1)])?;
    let resource = limiter.resource("gpt")?;
    let mut messages = runtime.block_on(async {
        let mut messages = Client::open(url)?.get_async_pubsub().await?;
        messages.subscribe(format!("{prefix}floor")).await?;
        Outcome::Ok(messages.into_on_message())
    })?;
    say("ready")?;
    for line in std::io::stdin().lock().lines() {
        if line? == "floor" {
            say("listening")?;
            let came = runtime.block_on(async { messages.next().await.map(|_| clock::unix_us()) });
            say(&came.unwrap_or(0).to_string())?;
            continue;
        }
        let mut events = limiter.events();
        let came = runtime.block_on(async {
            let resource = resource.clone();
            let waits = tokio::spawn(async move {
                let permit = resource.acquire(Demand::new()).await;
                (clock::unix_us(), permit)
            });
            while let Some(event) = events.next().await {
                if matches!(event, Event::Queued { .. }) {
                    say("in line")?;
                    break;
                }
            }
            let (at, permit) = waits.await?;
            permit?.give_back().await?;
            Outcome::Ok(at)
        })?;
        say(&came.to_string())?;
    }
    Ok(())
}

/// Joins the line as often as it is told, and waits.
fn wait_by_order(runtime: &Runtime, url: &str, prefix: &str) -> Outcome<()> {
    let resource = ours::resource(url, prefix, vec![ours::in_flight(1)])?;
    say("ready")?;
    let mut waiting = Vec::new();
    for line in std::io::stdin().lock().lines() {
        let count: usize = line?.parse()?;
        runtime.block_on(async {
            for _ in 0..count {
                let resource = resource.clone();
                waiting.push(tokio::spawn(async move { resource.acquire(Demand::new()).await.is_ok() }));
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        });
        say("in line")?;
    }
    Ok(())
}
