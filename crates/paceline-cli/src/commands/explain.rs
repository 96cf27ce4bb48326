//! `paceline explain`: would a call go, and if not, when and why not.

use std::path::PathBuf;

use paceline::core::{Explanation, NEVER};
use paceline_sim::simulate::Simulation;
use serde_json::{Value, json};

use super::{Done, simulate};
use crate::failure::Failure;
use crate::settings;
use crate::text::{Align, BOLD, GREEN, RED, Table, grouped, lasting};
use crate::traffic::{self, Row};

const EXAMPLES: &str = "\
Examples:
  paceline explain openai/gpt-4o --config limits.yaml --input-tokens 4000 --max-output-tokens 8000
  paceline explain openai/gpt-4o --config limits.yaml --after calls.jsonl --at 90s --json

Exits with 0 if the call would go at once, and with 1 if not.";

/// Tell whether a call would go at once, and if not, when, and which limit binds
///
/// Asks a ledger in which nothing was used yet, or one that has seen the calls of a file up to a time.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The resource, or an alias
    resource: String,
    /// The configuration; `PACELINE_CONFIG` names the default
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The lane
    #[arg(long)]
    lane: Option<String>,
    /// Tokens of the prompt
    #[arg(long, value_name = "TOKENS")]
    input_tokens: Option<u64>,
    /// The most output that the call allows
    #[arg(long, value_name = "TOKENS")]
    max_output_tokens: Option<u64>,
    /// Tokens that are reserved, whatever the provider would make of the rest
    #[arg(long, value_name = "TOKENS")]
    tokens: Option<u64>,
    /// First replay the calls of a file, in the format of `simulate`
    #[arg(long, value_name = "FILE", requires = "at")]
    after: Option<PathBuf>,
    /// The time to ask at, from the start of that file, as in 90s or 2h
    #[arg(long, value_name = "TIME", value_parser = simulate::length, requires = "after")]
    at: Option<u64>,
    /// The calendar's time at the start, in seconds since the Unix epoch
    #[arg(long, value_name = "UNIX_SECONDS")]
    start: Option<u64>,
    /// Print one line of JSON
    #[arg(long)]
    json: bool,
}

/// Asks and shows.
pub(crate) fn run(args: &Args) -> Result<Done, Failure> {
    let start_ms = args.start.map_or_else(crate::clock::unix_ms, |seconds| seconds.saturating_mul(1_000));
    let config = settings::config(args.config.as_deref())?;
    let compiled = config.compile(start_ms)?;
    let before = args.after.as_deref().map_or_else(|| Ok(Vec::new()), traffic::read)?;
    let asked = traffic::shares(&compiled, &[args.row()])?;
    let (position, call) = asked
        .iter()
        .enumerate()
        .find_map(|(position, share)| Some((position, share.calls.first()?)))
        .ok_or_else(|| Failure::Input(format!("there is no resource {}", args.resource)))?;
    let shares = traffic::shares(&compiled, &before)?;
    let share =
        shares.get(position).ok_or_else(|| Failure::Input("the configuration is empty".to_owned()))?;
    let mut simulation = Simulation::new(share.ledger.configuration.clone(), start_ms, &share.calls)
        .map_err(paceline::Error::from)?;
    simulation.run_until(args.at.unwrap_or(0));
    let unknown = || Failure::Input(format!("there is no resource {}", args.resource));
    let explanation = simulation.explain(call).ok_or_else(unknown)?;
    if args.json {
        return Done::json(&json(&call.resource, &explanation), explanation.goes);
    }
    Ok(Done { text: render(&call.resource, &explanation), success: explanation.goes })
}

impl Args {
    fn row(&self) -> Row {
        Row {
            resource: Some(self.resource.clone()),
            lane: self.lane.clone(),
            input_tokens: self.input_tokens,
            max_output_tokens: self.max_output_tokens,
            tokens: self.tokens,
            ..Row::default()
        }
    }
}

fn json(resource: &str, explanation: &Explanation) -> Value {
    let limits = explanation.limits.iter().map(|limit| {
        json!({
            "limit": &*limit.limit,
            "wanted": limit.wanted,
            "left": limit.left,
            "set_aside": limit.set_aside,
            "most": limit.most,
            "ready_in_ms": in_time(limit.ready_in),
        })
    });
    json!({
        "resource": resource,
        "goes": explanation.goes,
        "possible": possible(explanation),
        "ready_in_ms": in_time(explanation.ready_in),
        "ahead": explanation.ahead,
        "head_waited_ms": explanation.head_waited,
        "limits": limits.collect::<Vec<_>>(),
    })
}

fn in_time(ms: u64) -> Option<u64> {
    Some(ms).filter(|ms| *ms != NEVER)
}

fn possible(explanation: &Explanation) -> bool {
    explanation.limits.iter().all(|limit| limit.wanted <= limit.most)
}

fn render(resource: &str, explanation: &Explanation) -> String {
    let columns = [
        ("limit", Align::Left),
        ("wanted", Align::Right),
        ("left", Align::Right),
        ("set aside", Align::Right),
        ("at most", Align::Right),
        ("goes", Align::Right),
    ];
    let mut table = Table::new(&columns);
    for limit in &explanation.limits {
        table.row([
            limit.limit.to_string(),
            grouped(limit.wanted),
            grouped(limit.left),
            grouped(limit.set_aside),
            grouped(limit.most),
            if limit.wanted > limit.most { "never".to_owned() } else { when(limit.ready_in) },
        ]);
    }
    format!("{BOLD}{resource}{BOLD:#}  {}\n{}", verdict(explanation), table.render(2))
}

fn verdict(explanation: &Explanation) -> String {
    if explanation.goes {
        return format!("{GREEN}goes at once{GREEN:#}");
    }
    let impossible = explanation.limits.iter().find(|limit| limit.wanted > limit.most);
    if let Some(limit) = impossible {
        return format!("{RED}can never go{RED:#}: {} holds at most {}", limit.limit, grouped(limit.most));
    }
    let line = match explanation.ahead {
        0 => String::new(),
        ahead => format!(", {} ahead in its lane", grouped(ahead)),
    };
    let binding =
        explanation.limits.first().map(|limit| format!(", {} binds", limit.limit)).unwrap_or_default();
    format!("{RED}waits{RED:#}: the limits would let it go {}{binding}{line}", when(explanation.ready_in))
}

fn when(ready_in: u64) -> String {
    match ready_in {
        0 => "at once".to_owned(),
        NEVER => "when a call ends".to_owned(),
        ms => format!("in {}", lasting(ms)),
    }
}
