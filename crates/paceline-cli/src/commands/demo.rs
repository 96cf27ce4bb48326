//! `paceline demo`: workers that share a key, against a provider that enforces its limits.

use std::path::PathBuf;
use std::sync::Arc;

use paceline_sim::provider::{FakeProvider, ProviderConfig};

use super::{Done, runtime};
use crate::demo::board::Board;
use crate::demo::client::Client;
use crate::demo::job::{Factor, Job};
use crate::demo::progress::Progress;
use crate::demo::scene::Scene;
use crate::demo::summary::{Run, Summary, render};
use crate::demo::{naive, paced};
use crate::failure::Failure;
use crate::referee::Provider;
use crate::settings;
use crate::text::{BOLD, grouped};

const EXAMPLES: &str = "\
Examples:
  paceline demo                                   OpenAI's rules, about a minute
  paceline demo --without                         the same calls, uncoordinated
  paceline demo --compare --provider anthropic    both at once, side by side
  paceline demo --time-scale 10                   the same story in a tenth of the time
  paceline demo --config limits.yaml --json       limits of your own, a line of JSON

The bound is the earliest time at which the provider's own rule lets a limiter grant the last call that knows of each
call only what it reserves: for limits that refill (work - burst + held) / rate, for windows
(ceil(work / amount) - 1) x window, and of several limits the latest.

Exits with 1 if Paceline was refused by the provider.";

/// Watch workers share one key of a provider that enforces its limits
///
/// Starts a fake provider and workers on real sockets of this machine. Each worker asks Paceline before it calls. The
/// job is as many calls as keep the limits busy for a little more than a minute, with answers of heavy-tailed length
/// and estimates that are too high; every number about refusals is the provider's own.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Whose rules are enforced; openai if neither this nor --config says
    #[arg(long, value_enum)]
    provider: Option<Provider>,
    /// Take the limits from a configuration
    #[arg(long, value_name = "FILE", conflicts_with = "limits")]
    config: Option<PathBuf>,
    /// The resource of the configuration, where it is not its first
    #[arg(long, requires = "config")]
    resource: Option<String>,
    /// A limit in the place of the provider's usual ones, as in `tokens_per_minute=30_000`; can be repeated
    #[arg(long = "limit", value_name = "LIMIT=AMOUNT")]
    limits: Vec<String>,
    /// How many workers share the key
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    workers: u32,
    /// How many calls the job has; as many as take a little more than a minute if not said
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    requests: Option<u32>,
    /// How many times too high estimates are: each call draws from this range
    #[arg(long, value_name = "LEAST-MOST", default_value = "2-20", value_parser = factor)]
    estimate_factor: Factor,
    /// Decides every length, duration and phase
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Shorten windows and calls by this factor; at 1, minutes are minutes
    #[arg(long, default_value_t = 1.0, value_parser = time_scale)]
    time_scale: f64,
    /// Do the same work without Paceline: call, and back off on a 429 as SDKs do
    #[arg(long, conflicts_with = "compare")]
    without: bool,
    /// Run both at once, each against a provider of its own, and print them side by side
    #[arg(long)]
    compare: bool,
    /// Print one line of JSON
    #[arg(long)]
    json: bool,
}

/// Runs the demo to its end.
pub(crate) fn run(args: &Args) -> Result<Done, Failure> {
    let config = match &args.config {
        Some(path) => settings::config(Some(path))?,
        None => settings::of_provider(args.provider.unwrap_or(Provider::Openai), &args.limits)?,
    };
    let scene = Scene::new(&config, args.resource.as_deref(), args.provider, args.time_scale)?;
    let requests = args.requests.and_then(|requests| usize::try_from(requests).ok());
    let job = Job::new(&scene, requests, args.estimate_factor, args.seed);
    if !args.json {
        anstream::eprint!("{}", heading(args, &scene, &job));
    }
    let summaries = runtime()?.block_on(both(args, &scene, &job))?;
    let success = summaries.iter().all(|summary| summary.mode != PACELINE || summary.refused == 0);
    match (args.json, summaries.as_slice()) {
        (true, [one]) => Done::json(one, success),
        (true, several) => Done::json(&several, success),
        (false, several) => Ok(Done { text: render(several), success }),
    }
}

const PACELINE: &str = "paceline";
const WITHOUT: &str = "without";

async fn both(args: &Args, scene: &Scene, job: &Job) -> Result<Vec<Summary>, Failure> {
    let workers = usize::try_from(args.workers).unwrap_or(usize::MAX);
    let run = |mode| Run { mode, scene, job, workers, seed: args.seed };
    if args.compare {
        let (with, without) = tokio::join!(one(run(PACELINE), "with "), one(run(WITHOUT), "without "));
        return Ok(vec![with?, without?]);
    }
    let mode = if args.without { WITHOUT } else { PACELINE };
    Ok(vec![one(run(mode), "").await?])
}

async fn one(run: Run<'_>, name: &'static str) -> Result<Summary, Failure> {
    let scene = run.scene;
    let config =
        ProviderConfig { rules: scene.rules, limits: scene.limits.clone(), ..ProviderConfig::default() };
    let provider = FakeProvider::start(config.seed(run.seed)).await.map_err(Failure::io("fake provider"))?;
    let client = Client::new(provider.addr(), scene);
    let board = Arc::new(Board::new(run.job));
    let progress = Progress::show(vec![(name, Arc::clone(&board))]);
    let overtaken = if run.mode == PACELINE {
        paced::work(scene, &board, &client, run.workers).await?
    } else {
        naive::work(&board, &client, run.workers, run.seed, scene.time_scale).await?
    };
    let makespan = board.elapsed();
    drop(progress);
    let report = provider.report();
    provider.shutdown().await;
    Ok(Summary::new(&run, &board, overtaken, makespan, &report))
}

fn heading(args: &Args, scene: &Scene, job: &Job) -> String {
    let coordinated = if args.without { ", uncoordinated" } else { "" };
    let Factor { least, most } = args.estimate_factor;
    let scaled = if (args.time_scale - 1.0).abs() < f64::EPSILON {
        "minutes are minutes".to_owned()
    } else {
        format!("windows and calls are {} times as short as in life", args.time_scale)
    };
    format!(
        "{BOLD}{} workers share one key of a fake {}{coordinated}{BOLD:#}\n  \
         limits  {}: {}\n  \
         work    {} calls, seed {}; estimates {least} to {most} times too high; {scaled}\n\n",
        grouped(args.workers),
        scene.provider.name(),
        scene.resource,
        scene.limits_line(),
        grouped(u64::try_from(job.calls.len()).unwrap_or(u64::MAX)),
        args.seed,
    )
}

/// Reads the range of estimates, as in `2-20`.
pub(crate) fn factor(text: &str) -> Result<Factor, String> {
    let (least, most) = text.split_once('-').unwrap_or((text, text));
    let number = |text: &str| text.parse::<f64>().map_err(|_| format!("{text} is not a number"));
    let factor = Factor { least: number(least)?, most: number(most)? };
    let fits = factor.least >= 1.0 && factor.least <= factor.most && factor.most <= 1_000.0;
    if fits { Ok(factor) } else { Err("expected 1 to 1000, the smaller first, as in 2-20".to_owned()) }
}

fn time_scale(text: &str) -> Result<f64, String> {
    let scale: f64 = text.parse().map_err(|_| format!("{text} is not a number"))?;
    if (0.1..=1_000.0).contains(&scale) { Ok(scale) } else { Err("expected 0.1 to 1000".to_owned()) }
}
