//! `paceline top`: which limit binds, who waits and for how long, live.

use std::time::Duration;

use super::Done;
use crate::failure::Failure;
use crate::top::{self, Look, Shown};

const EXAMPLES: &str = "\
Examples:
  paceline top                                        the process of this user that published itself
  paceline top --store http://127.0.0.1:7411          a control plane; its key is in PACELINE_API_KEY
  paceline top --store redis://localhost              a store on Redis
  paceline top --store process:nightly                a process started with PACELINE_PUBLISH=nightly
  paceline top --resource 'openai/*' --interval 5
  paceline top --once                                 a table, for scripts: --json for a document

It looks once an interval, and changes nothing but what p (pause) and r (resume) ask, after a question.
Keys are shown at the bottom; ? explains all of them. Where the standard output is no terminal, it is --once.

Exits with 1 if the store cannot be seen.";

/// Show which limit binds, who waits and how fast it goes, live
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// What to look at: a control plane, a store on Redis, or a process as in process:NAME; the one that published itself if not said
    #[arg(long, value_name = "URL", env = "PACELINE_STORE", hide_env_values = true)]
    store: Option<String>,
    /// What the names of all keys of a store on Redis begin with
    #[arg(long, value_name = "PREFIX", default_value = "paceline:")]
    prefix: String,
    /// Show these resources alone: `*` stands for any letters, `?` for one
    #[arg(long, value_name = "GLOB")]
    resource: Option<String>,
    /// Seconds between looks
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0, value_parser = interval)]
    interval: f64,
    /// Look once, and print a table
    #[arg(long)]
    once: bool,
    /// Look once, and print one line of JSON; times are in seconds
    #[arg(long)]
    json: bool,
    /// Print the screen as it is on a terminal of this size, as in 120x40
    #[arg(long, value_name = "WIDTHxHEIGHT", value_parser = size, conflicts_with_all = ["once", "json"])]
    frame: Option<(u16, u16)>,
    /// How many looks come before the frame, for its charts
    #[arg(long, value_name = "COUNT", default_value_t = 2, requires = "frame")]
    looks: u32,
}

/// Looks and shows.
pub(crate) fn run(args: &Args) -> Result<Done, Failure> {
    let source = match &args.store {
        Some(url) => top::open(url, &args.prefix)?,
        None => top::only()?,
    };
    let look = Look { interval: Duration::from_secs_f64(args.interval), only: args.resource.clone() };
    let shown = match (args.frame, args.json) {
        (Some(size), _) => Some(Shown::Frame { size, looks: args.looks }),
        (None, true) => Some(Shown::Document),
        (None, false) if args.once || !top::has_terminal() => Some(Shown::Table),
        (None, false) => None,
    };
    match shown {
        Some(shown) => top::once(source, &look, shown).map(Done::well),
        None => top::watch(source, &look, || false).map(|()| Done::well(String::new())),
    }
}

fn interval(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| format!("{text} is not a number"))?;
    if (0.1..=3_600.0).contains(&seconds) { Ok(seconds) } else { Err("expected 0.1 to 3600".to_owned()) }
}

fn size(text: &str) -> Result<(u16, u16), String> {
    let said = || "expected a width and a height, as in 120x40".to_owned();
    let (width, height) = text.split_once('x').ok_or_else(said)?;
    let number = |text: &str| text.parse::<u16>().ok().filter(|number| (1..=1_000).contains(number));
    Ok((number(width).ok_or_else(said)?, number(height).ok_or_else(said)?))
}
