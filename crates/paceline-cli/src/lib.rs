//! The command line of Paceline, as its own program and as the one that comes with the Python package.

mod chart;
mod cli;
mod clock;
mod commands;
mod demo;
mod failure;
mod referee;
mod settings;
mod text;
mod top;
mod traffic;

use std::ffi::OsString;
use std::io::Write;
use std::sync::OnceLock;

use clap::Parser;

use cli::Cli;
use commands::Done;

/// How a process of this command line starts another: the program, and what its arguments begin with.
static PROGRAM: OnceLock<Vec<OsString>> = OnceLock::new();

/// Runs the command line and returns its exit code: 0, or 1 where it failed or the answer is no, or 2 where the command
/// line is wrong.
///
/// `arguments` begin with the name of the program. `program` is how worker processes are started, which some commands
/// need; where it is empty, that is the running executable.
pub fn run(program: Vec<OsString>, arguments: Vec<OsString>) -> u8 {
    if !program.is_empty() {
        let _ = PROGRAM.set(program);
    }
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return u8::try_from(error.exit_code()).unwrap_or(1);
        }
    };
    match cli.run() {
        Ok(Done { text, success }) => {
            // A reader that has seen enough, as `head` does, is no failure of ours.
            let _ = anstream::stdout().write_all(text.as_bytes());
            u8::from(!success)
        }
        Err(failure) => {
            let (red, plain) = (text::RED, anstyle::Reset);
            anstream::eprintln!("{red}error{plain}: {failure}");
            1
        }
    }
}

/// Writes a record to the log of a command that keeps one, and returns whether there is one: for a program around the
/// command line, whose own logger gets all records.
pub fn log(record: &log::Record<'_>) -> bool {
    commands::log(record)
}

/// Returns how another process of this command line is started.
fn program() -> std::io::Result<(OsString, &'static [OsString])> {
    match PROGRAM.get().and_then(|program| program.split_first()) {
        Some((program, arguments)) => Ok((program.clone(), arguments)),
        None => Ok((std::env::current_exe()?.into_os_string(), &[])),
    }
}
