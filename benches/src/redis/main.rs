//! The benchmarks on Redis: each number beside a floor that was measured in the same run, interleaved with it.
//!
//! `cargo run --release -p paceline-benches --bin redis` starts a redis-server of its own; `--url` names another, which
//! it fills with keys of a prefix of its own.

mod clock;
mod floor;
mod growth;
mod idle;
mod ours;
mod pairs;
mod report;
mod server;
mod wake;
mod worker;

use std::process::ExitCode;

use server::Server;

/// What goes wrong ends the benchmark.
pub(crate) type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effort {
    /// Rounds, of which the median counts.
    pub(crate) rounds: usize,
    /// How long a contender has in a round, in milliseconds.
    pub(crate) round_ms: u64,
    /// How many permits are out while the window is full.
    pub(crate) live: usize,
    /// How many tickets wait in a long line.
    pub(crate) waiting: usize,
    /// How long waiting is watched, in seconds.
    pub(crate) watched_s: u64,
}

const FULL: Effort = Effort { rounds: 11, round_ms: 1_000, live: 50_000, waiting: 10_000, watched_s: 10 };
/// To see that everything works; its numbers say nothing.
const QUICK: Effort = Effort { rounds: 3, round_ms: 100, live: 1_000, waiting: 500, watched_s: 2 };

const NAMES: [&str; 6] = ["one", "many", "processes", "wake", "growth", "idle"];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let ended = match arguments.first().map(String::as_str) {
        Some("worker") => worker::run(arguments.get(1..).unwrap_or_default()),
        _ => run(arguments),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Vec<String>) -> Outcome<()> {
    let (mut url, mut effort, mut names) = (None, FULL, Vec::new());
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--url" => url = Some(arguments.next().ok_or("--url redis://HOST:PORT")?),
            "--quick" => effort = QUICK,
            name if NAMES.contains(&name) => names.push(argument),
            _ => return Err(format!("[--url URL] [--quick] [{}]", NAMES.join("|")).into()),
        }
    }
    let wanted = |name: &str| names.is_empty() || names.iter().any(|known| known == name);
    let server = Server::of(url)?;
    report::heading(&server, &effort)?;
    if wanted("one") {
        pairs::one_caller(&server, &effort)?;
    }
    if wanted("many") {
        pairs::many_callers(&server, &effort)?;
    }
    if wanted("processes") {
        pairs::two_processes(&server, &effort)?;
    }
    if wanted("wake") {
        wake::run(&server, &effort)?;
    }
    if wanted("growth") {
        growth::run(&server, &effort)?;
    }
    if wanted("idle") {
        idle::run(&server, &effort)?;
    }
    Ok(())
}

/// Returns the runtime of callers, for ours and for the floor alike: one thread.
pub(crate) fn runtime() -> Outcome<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}
