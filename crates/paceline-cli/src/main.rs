//! The command line of Paceline.

use std::process::ExitCode;

/// Answers of the server are of many small parts.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    ExitCode::from(paceline_cli::run(Vec::new(), std::env::args_os().collect()))
}
