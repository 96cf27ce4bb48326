//! The benchmarks of the control plane: each number beside a floor that was measured in the same run, interleaved with it.
//!
//! `cargo build --release -p paceline-cli && cargo run --release -p paceline-benches --bin control`

mod clock;
mod floor;
mod http;
mod idle;
mod server;
mod sessions;
mod tell;

use std::process::ExitCode;

/// What goes wrong ends the benchmark.
pub(crate) type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effort {
    /// Rounds, of which the median counts.
    pub(crate) rounds: usize,
    /// How long a contender has in a round, in milliseconds.
    pub(crate) round_ms: u64,
    /// How long the idle server is watched, in seconds.
    pub(crate) watched_s: u64,
}

const FULL: Effort = Effort { rounds: 9, round_ms: 1_500, watched_s: 20 };
/// To see that everything works; its numbers say nothing.
const QUICK: Effort = Effort { rounds: 2, round_ms: 200, watched_s: 2 };

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let ended = match arguments.first().map(String::as_str) {
        Some("floor") => floor::serve(),
        _ => run(&arguments),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Outcome<()> {
    let effort = match arguments {
        [] => FULL,
        [quick] if quick == "--quick" => QUICK,
        _ => return Err("[--quick]".into()),
    };
    let servers = server::Servers::start()?;
    tell::heading(&effort);
    let most = http::throughput(&servers, &effort)?;
    http::latency(&servers, &effort, most)?;
    sessions::pairs(&servers, &effort)?;
    sessions::wake(&servers, &effort)?;
    idle::run(&effort)
}
