//! `paceline demo`: workers that share a key, against a provider that enforces its limits.

use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use paceline_sim::provider::{FakeProvider, ProviderConfig};
use paceline_sim::simulate::whole;

use super::{Done, runtime};
use crate::clock;
use crate::demo::board::Board;
use crate::demo::client::Client;
use crate::demo::crew::{Crew, Plan};
use crate::demo::job::{Factor, Job};
use crate::demo::private_redis::PrivateRedis;
use crate::demo::progress::Progress;
use crate::demo::scene::Scene;
use crate::demo::summary::{Run, Summary, render};
use crate::demo::talk::Setup;
use crate::demo::{naive, paced};
use crate::failure::Failure;
use crate::referee::Provider;
use crate::settings::Source;
use crate::text::{BOLD, grouped};
use crate::top::{self, Look};

const EXAMPLES: &str = "\
Examples:
  paceline demo                                   OpenAI's rules, about a minute
  paceline demo --without                         the same calls, uncoordinated
  paceline demo --compare --provider anthropic    both at once, side by side
  paceline demo --time-scale 10                   the same story in a tenth of the time
  paceline demo --watch                           which limit binds and who waits, live
  paceline demo --config limits.yaml --json       limits of your own, a line of JSON
  paceline demo --private-redis --processes 4     four processes, one line, on Redis
  paceline demo --store redis://localhost --processes 4 --kill-one
  paceline demo --store http://127.0.0.1:7411 --processes 4

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
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
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
    /// Share the line through this store, as in `redis://localhost`; `redis` alone starts a private redis-server
    ///
    /// The demo's keys have a prefix of their own for each run, and expire by themselves.
    #[arg(long, value_name = "URL", conflicts_with = "without")]
    store: Option<String>,
    /// Start a redis-server for the time of the demo, and share the line through it
    #[arg(long, conflicts_with_all = ["store", "without"])]
    private_redis: bool,
    /// How many processes the workers are divided among, where a store is shared
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    processes: u16,
    /// Kill one process when half of the calls are served; what it had not finished is handed out again
    #[arg(long)]
    kill_one: bool,
    /// Show `paceline top` on it while it runs
    #[arg(long, conflicts_with_all = ["without", "json"])]
    watch: bool,
    /// Print one line of JSON
    #[arg(long)]
    json: bool,
}

/// A store that several processes share, for the time of a demo.
struct Shared {
    url: String,
    prefix: String,
    shown: String,
    /// Ends with the demo.
    _server: Option<PrivateRedis>,
}

/// Runs the demo to its end.
pub(crate) fn run(args: &Args) -> Result<Done, Failure> {
    let source = match &args.config {
        Some(path) => Source::file(path)?,
        None => Source::of_provider(args.provider.unwrap_or(Provider::Openai), &args.limits)?,
    };
    let now_ms = clock::unix_ms();
    let config = source.config()?;
    let scene = Scene::new(&config, args.resource.as_deref(), args.provider, args.time_scale, now_ms)?;
    let requests = args.requests.and_then(|requests| usize::try_from(requests).ok());
    let job = Job::new(&scene, requests, args.estimate_factor, args.seed);
    let shared = shared(args)?;
    if !args.json {
        anstream::eprint!("{}", heading(args, &scene, &job, shared.as_ref()));
    }
    let setup = shared.as_ref().map(|shared| setup(args, shared, source, now_ms));
    let work = || runtime()?.block_on(both(args, &scene, &job, setup.as_ref()));
    let summaries = if args.watch { watched(shared.as_ref(), work)? } else { work()? };
    let success = summaries.iter().all(|summary| summary.mode != PACELINE || summary.refused == 0);
    match (args.json, summaries.as_slice()) {
        (true, [one]) => Done::json(one, success),
        (true, several) => Done::json(&several, success),
        (false, several) => Ok(Done { text: render(several), success }),
    }
}

/// Does the work while `paceline top` shows it, and says that it goes on where that is quit before its end.
fn watched<T: Send>(
    shared: Option<&Shared>,
    work: impl FnOnce() -> Result<T, Failure> + Send,
) -> Result<T, Failure> {
    top::check_terminal()?;
    std::thread::scope(|scope| {
        let working = scope.spawn(work);
        let url =
            shared.map_or_else(|| format!("process:{WATCHED}@{}", std::process::id()), |it| it.url.clone());
        let prefix = shared.map_or("", |shared| &shared.prefix);
        let opened = loop {
            match top::open(&url, prefix) {
                // It was not begun yet.
                Err(_) if shared.is_none() && !working.is_finished() => std::thread::park_timeout(SOON),
                opened => break opened,
            }
        };
        let look = Look { interval: SECOND, only: None };
        let shown = opened.and_then(|source| top::watch(source, &look, || working.is_finished()));
        if !working.is_finished() {
            anstream::eprintln!("the demo goes on to its end; Ctrl-C stops it");
        }
        let worked = working.join().unwrap_or_else(|_| Err(Failure::Call("the demo failed".to_owned())));
        shown.and(worked)
    })
}

/// Under which name a demo of one process is published while it is watched.
const WATCHED: &str = "demo";
const SECOND: Duration = Duration::from_secs(1);
const SOON: Duration = Duration::from_millis(20);

const PACELINE: &str = "paceline";
const WITHOUT: &str = "without";

/// Returns the store to share, if there is to be one; a private one is started.
fn shared(args: &Args) -> Result<Option<Shared>, Failure> {
    let private = args.private_redis || args.store.as_deref() == Some("redis");
    let store = args.store.as_deref().filter(|url| !private && !url.starts_with("memory:"));
    if !private && store.is_none() {
        if args.kill_one {
            return Err(Failure::Input(
                "--kill-one needs processes that share a line: add --private-redis, or --store redis://HOST"
                    .to_owned(),
            ));
        }
        return Ok(None);
    }
    if args.kill_one && args.processes < 2 {
        return Err(Failure::Input(
            "--kill-one needs another process to go on: --processes 2 or more".to_owned(),
        ));
    }
    let run = RandomState::new().hash_one(clock::unix_us());
    let prefix = format!("paceline-demo-{:08x}:", run >> 32);
    if let Some(url) = store {
        let shown = shown(url, &prefix)?;
        return Ok(Some(Shared { url: url.to_owned(), prefix, shown, _server: None }));
    }
    let server = PrivateRedis::start()?;
    let shown = format!("a redis-server of its own on port {}", server.port());
    Ok(Some(Shared { url: server.url(), prefix, shown, _server: Some(server) }))
}

/// Refuses what is no URL of a shared store, and returns it without its secrets.
fn shown(url: &str, prefix: &str) -> Result<String, Failure> {
    let (scheme, rest) = url.split_once(':').unwrap_or(("", url));
    if ["http", "https", "unix", "local"].contains(&scheme.to_ascii_lowercase().as_str()) {
        paceline::Limiter::builder().store(url).name("demo").build()?.close();
        return Ok(format!("{scheme}:{}", rest.rsplit_once('@').map_or(rest, |(_, place)| place)));
    }
    Ok(paceline::inspect::Store::open(url, prefix)?.url().to_owned())
}

/// Says to workers all that they need, but for the provider's address.
fn setup(args: &Args, shared: &Shared, source: Source, now_ms: u64) -> Setup {
    // Dead processes are noticed sooner where time goes by faster, but not so soon that a busy machine looks dead.
    let session_timeout_ms = whole(SESSION_TIMEOUT_MS / args.time_scale).max(2_000);
    Setup {
        store: shared.url.clone(),
        prefix: shared.prefix.clone(),
        session_timeout_ms,
        provider_addr: SocketAddr::from(([127, 0, 0, 1], 0)),
        provider: args.provider,
        config_name: source.name,
        config: source.text,
        compiled_at_ms: now_ms,
        resource: args.resource.clone(),
        time_scale: args.time_scale,
    }
}

const SESSION_TIMEOUT_MS: f64 = 10_000.0;

async fn both(args: &Args, scene: &Scene, job: &Job, setup: Option<&Setup>) -> Result<Vec<Summary>, Failure> {
    let workers = usize::try_from(args.workers).unwrap_or(usize::MAX);
    let run = |mode| Run { mode, scene, job, workers, seed: args.seed, watched: args.watch };
    let with = async |name| match setup {
        Some(setup) => {
            let plan = Plan { processes: usize::from(args.processes), workers, kill_one: args.kill_one };
            several(run(PACELINE), setup, plan, name).await
        }
        None => one(run(PACELINE), name).await,
    };
    if args.compare {
        let (with, without) = tokio::join!(with("with "), one(run(WITHOUT), "without "));
        return Ok(vec![with?, without?]);
    }
    Ok(vec![if args.without { one(run(WITHOUT), "").await? } else { with("").await? }])
}

async fn provider_of(run: &Run<'_>) -> Result<FakeProvider, Failure> {
    let scene = run.scene;
    let config =
        ProviderConfig { rules: scene.rules, limits: scene.limits.clone(), ..ProviderConfig::default() };
    FakeProvider::start(config.seed(run.seed)).await.map_err(Failure::io("fake provider"))
}

fn progress(run: &Run<'_>, name: &'static str, board: &Arc<Board>) -> Progress {
    if run.watched { Progress::hidden() } else { Progress::show(vec![(name, Arc::clone(board))]) }
}

/// Runs all workers in this process.
async fn one(run: Run<'_>, name: &'static str) -> Result<Summary, Failure> {
    let scene = run.scene;
    let provider = provider_of(&run).await?;
    let client = Client::new(provider.addr(), scene);
    let board = Arc::new(Board::new(run.job));
    let progress = progress(&run, name, &board);
    let overtaken = if run.mode == PACELINE {
        paced::work(scene, &board, &client, run.workers, run.watched.then_some(WATCHED)).await?
    } else {
        naive::work(&board, &client, run.workers, run.seed, scene.time_scale).await?
    };
    let makespan = board.elapsed();
    drop(progress);
    let report = provider.report();
    provider.shutdown().await;
    Ok(Summary::new(&run, &board, overtaken, makespan, &report))
}

/// Runs the workers in processes of their own, which share the line through a store.
async fn several(run: Run<'_>, setup: &Setup, plan: Plan, name: &'static str) -> Result<Summary, Failure> {
    let provider = provider_of(&run).await?;
    let setup = Setup { provider_addr: provider.addr(), ..setup.clone() };
    let crew = Crew::start(&setup, plan).await?;
    let board = Arc::new(Board::new(run.job));
    let progress = progress(&run, name, &board);
    let (crew, makespan) = crew.work(&board, run.job).await?;
    drop(progress);
    let report = provider.report();
    provider.shutdown().await;
    let overtaken = u64::try_from(crew.overtaken).unwrap_or(u64::MAX);
    Ok(Summary::new(&run, &board, overtaken, makespan, &report).with_crew(&crew))
}

fn heading(args: &Args, scene: &Scene, job: &Job, shared: Option<&Shared>) -> String {
    let store = shared.map_or_else(String::new, |shared| {
        let (count, prefix) = (args.processes, &shared.prefix);
        format!("  store   {}, shared by {count} processes, prefix {prefix}\n", shared.shown)
    });
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
         work    {} calls, seed {}; estimates {least} to {most} times too high; {scaled}\n{store}\n",
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
