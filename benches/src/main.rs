//! The benchmarks. Each states a ratio to a floor that was measured in the same run, interleaved with it, and medians.
//!
//! `cargo run --release -p paceline-benches` runs them all; a name runs one.

mod batch;
mod drain;
mod floor;
mod instructions;
mod pair;
mod stopwatch;
mod waiting;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let rest = arguments.get(1..).unwrap_or_default();
    match arguments.first().map(String::as_str) {
        None | Some("all") => {
            pair::run();
            waiting::run();
            instructions::run();
            batch::run(rest)
        }
        Some("pair") => done(pair::run),
        Some("drain") => done(drain::run),
        Some("waiting") => done(waiting::run),
        Some("instructions") => done(instructions::run),
        Some("batch") => batch::run(rest),
        Some("spin") => instructions::spin(rest),
        Some(other) => {
            eprintln!("there is no benchmark {other}: pair, waiting, drain, instructions, batch, or all");
            ExitCode::from(2)
        }
    }
}

fn done(benchmark: fn()) -> ExitCode {
    benchmark();
    ExitCode::SUCCESS
}
