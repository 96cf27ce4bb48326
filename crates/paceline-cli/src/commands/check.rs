//! `paceline check`: what a configuration means, and what rate each resource can sustain.

use std::fmt::Write as _;
use std::path::PathBuf;

use paceline::config::{self, CompiledLedger, CompiledResource, ConfigError, Sustained, Typical};
use paceline::core::{Algorithm, Boundaries, Counting, Lanes, LimitSpec};
use paceline::provider::{Call, Usage};
use paceline_sim::simulate::whole;
use serde::Serialize;
use serde_json::json;

use super::Done;
use crate::failure::Failure;
use crate::referee::window_ms;
use crate::settings;
use crate::text::{Align, BOLD, RED, Table, grouped, lasting};

const EXAMPLES: &str = "\
Examples:
  paceline check limits.yaml
  paceline check < limits.yaml -
  paceline check limits.yaml --input-tokens 4000 --max-output-tokens 8000 --output-tokens 600 --duration 20
  PACELINE_CONFIG=limits.yaml paceline check --json

Calls a minute are what each limit sustains for calls of the kind described by the flags: what burst, reservation and
duration take away is counted. The smallest of a resource's limits binds.

Exits with 1 if the configuration is wrong, or if such a call could never be granted.";

/// Check a configuration and show what each resource can sustain
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The configuration; `-` is the standard input, and `PACELINE_CONFIG` names the default
    file: Option<PathBuf>,
    /// Tokens of the prompt of a typical call
    #[arg(long, value_name = "TOKENS", default_value_t = 1_000)]
    input_tokens: u64,
    /// The most output that a typical call allows
    #[arg(long, value_name = "TOKENS", default_value_t = 1_000)]
    max_output_tokens: u64,
    /// The output that a typical call has
    #[arg(long, value_name = "TOKENS", default_value_t = 300)]
    output_tokens: u64,
    /// How long a typical call lasts, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 5.0)]
    duration: f64,
    /// Print one line of JSON
    #[arg(long)]
    json: bool,
}

/// A limit as it came out, with what it sustains.
#[derive(Debug, Serialize)]
struct Row {
    limit: String,
    metric: String,
    amount: u64,
    window_ms: u64,
    algorithm: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    burst: Option<u64>,
    counts: &'static str,
    transit_ms: u64,
    shadow: bool,
    /// Whether calls of all lanes draw on it.
    all_lanes: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    amount_per_minute: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    calls_per_minute: Option<f64>,
    share: f64,
    impossible: bool,
}

/// A resource and its limits.
#[derive(Debug, Serialize)]
struct Part {
    resource: String,
    ledger: String,
    profile: String,
    aliases: Vec<String>,
    lanes: Vec<String>,
    limits: Vec<Row>,
}

/// Checks and shows.
pub(crate) fn run(args: &Args) -> Result<Done, Failure> {
    let config = match settings::config(args.file.as_deref()) {
        Err(Failure::Config(error)) if args.json => return Done::json(&problems(&error), false),
        config => config?,
    };
    let compiled = settings::compiled(&config)?;
    let typical = args.typical();
    let parts: Vec<Part> = compiled.ledgers.iter().flat_map(|ledger| parts(ledger, &typical)).collect();
    let success =
        parts.iter().flat_map(|part| &part.limits).all(|row| !row.impossible || row.shadow || !row.all_lanes);
    if args.json {
        return Done::json(&json!({ "resources": parts }), success);
    }
    Ok(Done { text: parts.iter().map(render).collect::<Vec<_>>().join("\n"), success })
}

impl Args {
    fn typical(&self) -> Typical {
        Typical {
            call: Call::new()
                .input_tokens(self.input_tokens)
                .max_output_tokens(self.max_output_tokens)
                .expected_output_tokens(self.max_output_tokens),
            usage: Usage::new().input_tokens(self.input_tokens).output_tokens(self.output_tokens),
            duration: whole(self.duration.max(0.0) * 1_000.0),
        }
    }
}

fn problems(error: &ConfigError) -> serde_json::Value {
    let problem = |problem: &config::Problem| {
        let place = problem.location.as_ref();
        json!({
            "message": problem.fault.to_string(),
            "hint": problem.fault.hint(),
            "path": problem.path,
            "file": place.map(|place| &place.file),
            "line": place.map(|place| place.line),
            "column": place.map(|place| place.column),
        })
    };
    json!({ "problems": error.problems().iter().map(problem).collect::<Vec<_>>() })
}

fn parts(ledger: &CompiledLedger, typical: &Typical) -> Vec<Part> {
    let sustained = config::check(ledger, typical);
    ledger.resources.iter().map(|resource| part(ledger, resource, &sustained)).collect()
}

fn part(ledger: &CompiledLedger, resource: &CompiledResource, sustained: &[Sustained]) -> Part {
    let specs = &ledger.configuration.limits;
    let of_it = sustained.iter().filter(|sustained| sustained.resource == resource.name);
    let rows = of_it.filter_map(|sustained| {
        let spec = specs.iter().find(|spec| *spec.id == *sustained.limit)?;
        Some(row(spec, sustained, &resource.name))
    });
    let lanes = ledger.configuration.resources.iter().filter(|spec| *spec.name == *resource.name);
    Part {
        resource: resource.name.clone(),
        ledger: ledger.name.clone(),
        profile: resource.profile.name.clone(),
        aliases: resource.aliases.clone(),
        lanes: lanes.flat_map(|spec| spec.lanes.iter().map(|lane| lane.name.to_string())).collect(),
        limits: rows.collect(),
    }
}

fn row(spec: &LimitSpec, sustained: &Sustained, resource: &str) -> Row {
    let own = spec.id.strip_prefix(resource).and_then(|rest| rest.strip_prefix('/'));
    let (algorithm, burst) = match spec.algorithm {
        Algorithm::TokenBucket { burst, .. } => ("token bucket", Some(burst)),
        Algorithm::SlidingWindow { .. } => ("sliding window", None),
        Algorithm::FixedWindow { boundaries: Boundaries::Every { .. }, .. } => ("fixed window", None),
        Algorithm::FixedWindow { boundaries: Boundaries::At(_), .. } => ("calendar", None),
        Algorithm::Concurrency => ("in flight", None),
    };
    Row {
        limit: own.unwrap_or(&spec.id).to_owned(),
        metric: spec.metric.to_string(),
        amount: spec.amount,
        window_ms: window_ms(&spec.algorithm),
        algorithm,
        burst,
        counts: match spec.counting {
            Counting::AtGrant => "at grant",
            Counting::UntilSettled => "until settled",
        },
        transit_ms: spec.transit,
        shadow: spec.shadow,
        all_lanes: spec
            .members
            .iter()
            .any(|member| *member.resource == *resource && member.lanes == Lanes::All),
        amount_per_minute: Some(sustained.amount_per_minute).filter(|amount| amount.is_finite()),
        calls_per_minute: Some(sustained.calls_per_minute).filter(|calls| calls.is_finite()),
        share: sustained.share,
        impossible: sustained.impossible,
    }
}

fn render(part: &Part) -> String {
    let mut text = String::new();
    let _ =
        writeln!(text, "{BOLD}{}{BOLD:#}  counts as {}, ledger {}", part.resource, part.profile, part.ledger);
    for (name, values) in [("also", &part.aliases), ("lanes", &part.lanes)] {
        if !values.is_empty() {
            let _ = writeln!(text, "  {name}: {}", values.join(", "));
        }
    }
    if part.limits.is_empty() {
        text.push_str("  unlimited\n");
        return text;
    }
    text.push_str(&table(&part.limits).render(2));
    text.push_str(&conclusion(&part.limits));
    text
}

fn table(rows: &[Row]) -> Table {
    let columns = [
        ("limit", Align::Left),
        ("amount", Align::Right),
        ("window", Align::Right),
        ("comes back", Align::Left),
        ("burst", Align::Right),
        ("counts", Align::Left),
        ("transit", Align::Right),
        ("calls/min", Align::Right),
        ("of its rate", Align::Right),
    ];
    let mut table = Table::new(&columns);
    for row in rows {
        let optional = |value: Option<u64>| value.map_or_else(|| "-".to_owned(), grouped);
        table.row([
            if row.shadow { format!("{} (shadow)", row.limit) } else { row.limit.clone() },
            grouped(row.amount),
            if row.window_ms == 0 { "-".to_owned() } else { lasting(row.window_ms) },
            row.algorithm.to_owned(),
            optional(row.burst),
            row.counts.to_owned(),
            if row.transit_ms == 0 { "-".to_owned() } else { lasting(row.transit_ms) },
            if row.impossible {
                "never".to_owned()
            } else {
                optional(row.calls_per_minute.map(f64::floor).map(whole))
            },
            format!("{:.1} %", row.share * 100.0),
        ]);
    }
    table
}

/// Says which limit binds such calls, whatever their lane.
fn conclusion(rows: &[Row]) -> String {
    if let Some(row) = rows.iter().find(|row| row.impossible && !row.shadow && row.all_lanes) {
        return format!("  {RED}{} can never hold such a call.{RED:#}\n", row.limit);
    }
    let enforced = rows
        .iter()
        .filter(|row| !row.shadow && row.all_lanes)
        .filter_map(|row| Some((row.calls_per_minute?, row)));
    match enforced.min_by(|one, other| one.0.total_cmp(&other.0)) {
        Some((calls, row)) => format!("  Sustains {calls:.1} such calls a minute; {} binds.\n", row.limit),
        None => "  Nothing here binds such calls.\n".to_owned(),
    }
}
