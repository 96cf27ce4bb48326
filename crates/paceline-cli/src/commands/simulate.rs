//! `paceline simulate`: a day of traffic against a configuration, in virtual time.

use std::fmt::Write as _;
use std::path::PathBuf;

use paceline::config::Compiled;
use paceline_sim::simulate::{self, LaneReport, Report, Traffic, real};
use serde::Serialize;
use serde_json::json;

use super::Done;
use crate::chart::{spark, svg};
use crate::demo::job::Factor;
use crate::failure::Failure;
use crate::settings;
use crate::text::{Align, BOLD, Table, grouped, lasting};
use crate::traffic::{self, Row};

const EXAMPLES: &str = "\
Examples:
  paceline simulate --config limits.yaml                          a generated day
  paceline simulate --config limits.yaml calls.jsonl --svg day.svg
  paceline simulate --config limits.yaml --rate 300 --length 2h --seed 7 --json
  paceline simulate --config limits.yaml --write-traffic calls.jsonl

A call is a line of JSON, or of CSV with a heading, times in seconds:
  {\"at_s\": 0.5, \"resource\": \"openai/gpt-4o\", \"lane\": \"batch\", \"input_tokens\": 900,
   \"max_output_tokens\": 2000, \"output_tokens\": 300, \"duration_s\": 4.2}
Only at_s is needed; tokens and used_tokens say outright what is reserved and used.

The same input and the same seed give the same bytes. Exits with 1 if calls were refused or wait for what never comes.";

/// Run traffic against a configuration in virtual time
///
/// Tells how long it takes, how far each limit is used, and who waits how long. Without a file it generates traffic:
/// independent callers, heavy-tailed lengths, estimates that are too high, and a quiet night.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The calls, as JSON lines or `.csv`; `-` is the standard input
    traffic: Option<PathBuf>,
    /// The configuration; `PACELINE_CONFIG` names the default
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// For how long generated calls arrive, as in 90s, 30m, 24h, 7d
    #[arg(long, default_value = "24h", value_parser = length)]
    length: u64,
    /// How many generated calls arrive a minute on average
    #[arg(long, value_name = "CALLS", default_value_t = 60.0)]
    rate: f64,
    /// How far the rate swings over the day around its mean, from 0 to 1
    #[arg(long, value_name = "PART", default_value_t = 0.8)]
    swing: f64,
    /// Median tokens of generated prompts
    #[arg(long, value_name = "TOKENS", default_value_t = 1_000)]
    input_tokens: u32,
    /// Median tokens of generated answers
    #[arg(long, value_name = "TOKENS", default_value_t = 300)]
    output_tokens: u32,
    /// How many times too high estimates are: each call draws from this range
    #[arg(long, value_name = "LEAST-MOST", default_value = "2-20", value_parser = super::demo::factor)]
    estimate_factor: Factor,
    /// Decides everything that is generated
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The calendar's time at the start, in seconds since the Unix epoch; a Monday, 00:00 UTC, if not said
    #[arg(long, value_name = "UNIX_SECONDS", default_value_t = 1_767_571_200)]
    start: u64,
    /// Write a chart
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Write the calls as JSON lines, to be edited and run again
    #[arg(long, value_name = "FILE")]
    write_traffic: Option<PathBuf>,
    /// Print one line of JSON
    #[arg(long)]
    json: bool,
}

/// What came out of one ledger.
#[derive(Debug, Serialize)]
struct Part {
    ledger: String,
    #[serde(flatten)]
    report: Report,
}

/// Simulates and shows.
pub(crate) fn run(args: &Args) -> Result<Done, Failure> {
    let start_ms = args.start.saturating_mul(1_000);
    let config = settings::config(args.config.as_deref())?;
    let compiled = config.compile(start_ms)?;
    let rows = match &args.traffic {
        Some(path) => traffic::read(path)?,
        None => generated(args, &compiled),
    };
    if let Some(path) = &args.write_traffic {
        std::fs::write(path, lines(&rows)?).map_err(Failure::io(path.display().to_string()))?;
    }
    let parts = parts(&compiled, start_ms, &rows)?;
    if let Some(path) = &args.svg {
        let title = |part: &Part| format!("{}: {}", part.ledger, headline(&part.report));
        let charts: Vec<_> = parts.iter().map(|part| (title(part), &part.report.series)).collect();
        std::fs::write(path, svg::draw(&charts)).map_err(Failure::io(path.display().to_string()))?;
    }
    let success = parts.iter().all(|part| part.report.refused == 0 && part.report.waiting == 0);
    if args.json {
        return Done::json(&json!({ "seed": args.seed, "ledgers": parts }), success);
    }
    Ok(Done { text: parts.iter().map(render).collect::<Vec<_>>().join("\n"), success })
}

/// Returns traffic that falls on all resources and declared lanes alike.
fn generated(args: &Args, compiled: &Compiled) -> Vec<Row> {
    let traffic = Traffic {
        length_ms: args.length,
        calls_per_minute: args.rate,
        swing: args.swing.clamp(0.0, 1.0),
        input_median: args.input_tokens.into(),
        output_median: args.output_tokens.into(),
        factor_least: args.estimate_factor.least,
        factor_most: args.estimate_factor.most,
        first_token_ms: 300.0,
        per_token_ms: 10.0,
        seed: args.seed,
    };
    let targets = targets(compiled);
    let row = |planned: simulate::Planned| {
        let choice = u64::try_from(targets.len()).ok().and_then(|count| planned.choice.checked_rem(count));
        let target = choice.and_then(|choice| targets.get(usize::try_from(choice).ok()?));
        Row {
            at_s: real(planned.at_ms) / 1_000.0,
            resource: target.map(|(resource, _)| resource.clone()),
            lane: target.and_then(|(_, lane)| lane.clone()),
            input_tokens: Some(planned.input_tokens),
            max_output_tokens: Some(planned.max_output_tokens.min(32_768)),
            output_tokens: Some(planned.output_tokens.min(32_768)),
            duration_s: real(planned.duration_ms) / 1_000.0,
            ..Row::default()
        }
    };
    traffic.calls().into_iter().map(row).collect()
}

/// Returns every resource with each of its declared lanes; a lane that stands for many is one of them.
fn targets(compiled: &Compiled) -> Vec<(String, Option<String>)> {
    let resources = compiled.ledgers.iter().flat_map(|ledger| &ledger.configuration.resources);
    let lanes = |resource: &paceline::core::ResourceSpec| {
        let name = resource.name.to_string();
        let mut lanes: Vec<Option<String>> =
            resource.lanes.iter().map(|lane| Some(lane.name.replace('*', "1"))).collect();
        if lanes.is_empty() {
            lanes.push(None);
        }
        lanes.into_iter().map(move |lane| (name.clone(), lane)).collect::<Vec<_>>()
    };
    resources.flat_map(lanes).collect()
}

fn lines(rows: &[Row]) -> Result<String, Failure> {
    let mut text = String::new();
    for row in rows {
        text += &serde_json::to_string(row).map_err(|error| Failure::Input(error.to_string()))?;
        text.push('\n');
    }
    Ok(text)
}

fn parts(compiled: &Compiled, start_ms: u64, rows: &[Row]) -> Result<Vec<Part>, Failure> {
    let shares = traffic::shares(compiled, rows)?;
    let busy = shares.into_iter().filter(|share| !share.calls.is_empty());
    let part = |share: traffic::Share<'_>| {
        let configuration = share.ledger.configuration.clone();
        let report = simulate::run(configuration, start_ms, &share.calls).map_err(paceline::Error::from)?;
        Ok(Part { ledger: share.ledger.name.clone(), report })
    };
    busy.map(part).collect()
}

fn headline(report: &Report) -> String {
    format!(
        "{} calls granted, {} refused, done after {}",
        grouped(report.granted),
        grouped(report.refused),
        lasting(report.makespan_ms)
    )
}

const WIDTH: usize = 60;

fn render(part: &Part) -> String {
    let report = &part.report;
    let mut text = format!("{BOLD}{}{BOLD:#}  {}\n", part.ledger, headline(report));
    let _ = writeln!(
        text,
        "  last grant after {}, {} overtaken in their lane, {} tokens returned",
        lasting(report.last_grant_ms),
        grouped(report.overtaken),
        grouped(report.tokens_returned)
    );
    if report.waiting > 0 {
        let _ = writeln!(text, "  {} wait for what never comes", grouped(report.waiting));
    }
    text.push('\n');
    text.push_str(&lanes(&report.lanes).render(2));
    text.push('\n');
    text.push_str(&limits(report).render(2));
    text.push('\n');
    let waiting: Vec<f64> = report.series.waiting.iter().copied().map(real).collect();
    let most = waiting.iter().copied().fold(1.0, f64::max);
    let _ = writeln!(text, "  waiting, at most {most}\n  {}", spark::line(&waiting, most, WIDTH));
    for (name, parts) in &report.series.limits {
        let _ = writeln!(text, "  {name}, part in use\n  {}", spark::line(parts, 1.0, WIDTH));
    }
    text
}

fn lanes(lanes: &[LaneReport]) -> Table {
    let columns = [
        ("resource", Align::Left),
        ("lane", Align::Left),
        ("granted", Align::Right),
        ("refused", Align::Right),
        ("wait p50", Align::Right),
        ("p90", Align::Right),
        ("p99", Align::Right),
        ("longest", Align::Right),
    ];
    let mut table = Table::new(&columns);
    for lane in lanes {
        let refused: u64 = lane.refused.values().sum();
        table.row([
            lane.resource.clone(),
            lane.lane.clone().unwrap_or_else(|| "-".to_owned()),
            grouped(lane.granted),
            grouped(refused),
            lasting(lane.wait_p50_ms),
            lasting(lane.wait_p90_ms),
            lasting(lane.wait_p99_ms),
            lasting(lane.wait_max_ms),
        ]);
    }
    table
}

fn limits(report: &Report) -> Table {
    let mut table =
        Table::new(&[("limit", Align::Left), ("used", Align::Right), ("utilisation", Align::Right)]);
    for limit in &report.limits {
        table.row([limit.limit.clone(), grouped(limit.used), format!("{:.1} %", limit.utilisation * 100.0)]);
    }
    table
}

/// Reads a length of time into milliseconds.
pub(crate) fn length(text: &str) -> Result<u64, String> {
    let units = [("ms", 1.0), ("s", 1_000.0), ("m", 60_000.0), ("h", 3_600_000.0), ("d", 86_400_000.0)];
    let found =
        units.iter().find_map(|(unit, ms)| Some((text.strip_suffix(unit)?.trim().parse::<f64>().ok()?, ms)));
    match found {
        Some((number, ms)) if (0.0..=1e9).contains(&number) => Ok(simulate::whole(number * ms)),
        _ => Err("expected a number and a unit, as in 90s, 30m, 24h or 7d".to_owned()),
    }
}
