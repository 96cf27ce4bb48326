//! The command line of Paceline.

mod chart;
mod cli;
mod clock;
mod commands;
mod demo;
mod failure;
mod referee;
mod settings;
mod text;
mod traffic;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

use cli::Cli;
use commands::Done;

fn main() -> ExitCode {
    match Cli::parse().run() {
        Ok(Done { text, success }) => {
            // A reader that has seen enough, as `head` does, is no failure of ours.
            let _ = anstream::stdout().write_all(text.as_bytes());
            if success { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(failure) => {
            let (red, plain) = (text::RED, anstyle::Reset);
            anstream::eprintln!("{red}error{plain}: {failure}");
            ExitCode::FAILURE
        }
    }
}
