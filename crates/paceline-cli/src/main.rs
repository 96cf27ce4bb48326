//! The command line of Paceline.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(paceline_cli::run(Vec::new(), std::env::args_os().collect()))
}
