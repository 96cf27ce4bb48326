//! The commands and their order in the help.

use clap::{Parser, Subcommand};

use crate::commands::{
    Done, apply, check, completions, demo, explain, fake_provider, operate, schema, serve, simulate, status,
    top,
};
use crate::demo::worker;
use crate::failure::Failure;

const AFTER: &str = "\
Examples:
  paceline serve --config limits.yaml      limits for any language, over HTTP
  paceline demo                      watch a hundred workers share one key without a single 429
  paceline demo --without            the same work without Paceline
  paceline top                       which limit binds and who waits, live
  paceline check limits.yaml         what a configuration means and sustains
  paceline simulate --config limits.yaml   a day of traffic in seconds
  paceline status --store redis://localhost   who holds and who waits, on a shared store
  paceline pause openai/gpt-4o --for 10m --store redis://localhost   let everybody wait
  paceline fake-provider             a provider with limits, for tests without a network

Exit codes:
  0  done, or the answer is yes
  1  it failed, or the answer is no
  2  the command line was wrong

Colours are used on a terminal alone, and never where NO_COLOR is set.";

/// Keeps many workers that share an LLM API key inside the provider's limits
#[derive(Debug, Parser)]
#[command(name = "paceline", version, after_help = AFTER, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(Box<serve::Args>),
    Demo(demo::Args),
    Top(top::Args),
    Check(check::Args),
    Simulate(simulate::Args),
    Explain(explain::Args),
    Status(status::Args),
    Apply(apply::Args),
    Pause(operate::PauseArgs),
    Resume(operate::ResumeArgs),
    Purge(operate::PurgeArgs),
    FakeProvider(fake_provider::Args),
    Schema(schema::Args),
    Completions(completions::Args),
    /// A worker process of the demo, told what to do on its standard input
    #[command(hide = true)]
    DemoWorker,
}

impl Cli {
    /// Runs the command.
    pub(crate) fn run(&self) -> Result<Done, Failure> {
        match &self.command {
            Command::Serve(args) => serve::run(args),
            Command::Demo(args) => demo::run(args),
            Command::Top(args) => top::run(args),
            Command::Check(args) => check::run(args),
            Command::Simulate(args) => simulate::run(args),
            Command::Explain(args) => explain::run(args),
            Command::Status(args) => status::run(args),
            Command::Apply(args) => apply::run(args),
            Command::Pause(args) => operate::pause(args),
            Command::Resume(args) => operate::resume(args),
            Command::Purge(args) => operate::purge(args),
            Command::FakeProvider(args) => fake_provider::run(args),
            Command::Schema(_) => schema::run(),
            Command::Completions(args) => Ok(completions::run(args)),
            Command::DemoWorker => worker::run(),
        }
    }
}
