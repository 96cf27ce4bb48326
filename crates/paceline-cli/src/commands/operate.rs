//! `paceline pause`, `resume` and `purge`: what operators do to a shared store on a bad night.

use std::time::Duration;

use paceline::inspect::Store;
use paceline::manage::Target;
use paceline::{Limiter, Pause};

use super::{Done, simulate};
use crate::failure::Failure;
use crate::text::lasting;

const PAUSE_EXAMPLES: &str = "\
Examples:
  paceline pause openai/gpt-4o --for 10m --store redis://localhost
  paceline pause openai/gpt-4o --refuse --store redis://localhost     until resumed; callers are refused
  paceline pause --limit openai/gpt-4o/tokens_per_minute --for 60s

Who waits keeps the place, unless it says --refuse. A pause that ends earlier than one in force changes nothing.";

const RESUME_EXAMPLES: &str = "\
Examples:
  paceline resume openai/gpt-4o --store redis://localhost

Token buckets under the pause restart empty: what came back meanwhile may have been used by others.";

const PURGE_EXAMPLES: &str = "\
Examples:
  paceline purge openai/gpt-4o --lane batch --store redis://localhost

Who waits is refused. Permits that are out are not touched.";

/// The store and what in it.
#[derive(Debug, clap::Args)]
struct Where {
    /// The store, as in redis://:PASSWORD@HOST:PORT or http://HOST:PORT; `PACELINE_STORE` keeps passwords off the command line
    #[arg(long, value_name = "URL", env = "PACELINE_STORE", hide_env_values = true)]
    store: String,
    /// What the names of all keys of a store on Redis begin with
    #[arg(long, value_name = "PREFIX", default_value = "paceline:")]
    prefix: String,
}

/// Let all callers of a resource or a limit wait, or refuse them
#[derive(Debug, clap::Args)]
#[command(after_help = PAUSE_EXAMPLES)]
pub(crate) struct PauseArgs {
    /// The resource
    #[arg(required_unless_present = "limit", conflicts_with = "limit")]
    resource: Option<String>,
    /// A limit rather than a resource: all that draw on it
    #[arg(long, value_name = "NAME")]
    limit: Option<String>,
    /// How long, as in 90s, 10m or 2h; until resumed if not said
    #[arg(long = "for", value_name = "TIME", value_parser = simulate::length)]
    lasting: Option<u64>,
    /// Refuse callers, waiting ones included, rather than let them wait
    #[arg(long)]
    refuse: bool,
    #[command(flatten)]
    at: Where,
}

/// End a pause
#[derive(Debug, clap::Args)]
#[command(after_help = RESUME_EXAMPLES)]
pub(crate) struct ResumeArgs {
    /// The resource
    #[arg(required_unless_present = "limit", conflicts_with = "limit")]
    resource: Option<String>,
    /// A limit rather than a resource
    #[arg(long, value_name = "NAME")]
    limit: Option<String>,
    #[command(flatten)]
    at: Where,
}

/// Refuse all that wait for a resource, or in one lane of it
#[derive(Debug, clap::Args)]
#[command(after_help = PURGE_EXAMPLES)]
pub(crate) struct PurgeArgs {
    /// The resource
    resource: String,
    /// One lane of it
    #[arg(long)]
    lane: Option<String>,
    #[command(flatten)]
    at: Where,
}

/// A store as its operators reach it: keys on Redis, or a server that knows its resources.
enum Door {
    Redis(Store),
    Server(Limiter),
}

pub(crate) fn pause(args: &PauseArgs) -> Result<Done, Failure> {
    let length = args.lasting.map(Duration::from_millis);
    let pause = length.map_or_else(Pause::until_resumed, Pause::lasting);
    let pause = if args.refuse { pause.refusing() } else { pause };
    let target = target(args.resource.as_ref(), args.limit.as_ref())?;
    match args.at.door()? {
        Door::Redis(store) => store.pause(&store.ledger_of(target)?, target, pause).wait()?,
        Door::Server(limiter) => match target {
            Target::Resource(name) => limiter.resource(name)?.pause(pause).wait()?,
            Target::Limit(name) => limiter.limit(name)?.pause(pause).wait()?,
        },
    }
    let callers = if args.refuse { "callers are refused" } else { "callers wait" };
    let until =
        args.lasting.map_or_else(|| "until it is resumed".to_owned(), |ms| format!("for {}", lasting(ms)));
    Ok(Done::well(format!("{} is paused {until}: {callers}\n", name(target))))
}

pub(crate) fn resume(args: &ResumeArgs) -> Result<Done, Failure> {
    let target = target(args.resource.as_ref(), args.limit.as_ref())?;
    match args.at.door()? {
        Door::Redis(store) => store.resume(&store.ledger_of(target)?, target).wait()?,
        Door::Server(limiter) => match target {
            Target::Resource(name) => limiter.resource(name)?.resume().wait()?,
            Target::Limit(name) => limiter.limit(name)?.resume().wait()?,
        },
    }
    Ok(Done::well(format!("{} goes on\n", name(target))))
}

pub(crate) fn purge(args: &PurgeArgs) -> Result<Done, Failure> {
    match args.at.door()? {
        Door::Redis(store) => {
            let ledger = store.ledger_of(Target::Resource(&args.resource))?;
            store.purge(&ledger, &args.resource, args.lane.as_deref()).wait()?;
        }
        Door::Server(limiter) => limiter.resource(&args.resource)?.purge(args.lane.as_deref()).wait()?,
    }
    let lane = args.lane.as_ref().map_or_else(String::new, |lane| format!(" in lane {lane}"));
    Ok(Done::well(format!("who waited for {}{lane} is refused\n", args.resource)))
}

impl Where {
    fn door(&self) -> Result<Door, Failure> {
        let scheme = self.store.split(':').next().unwrap_or_default().to_ascii_lowercase();
        if scheme == "memory" {
            return Err(Failure::Input(
                "a store in memory is reached by its own process alone; name one that is shared, as in redis://localhost"
                    .to_owned(),
            ));
        }
        if scheme.starts_with("redis") || scheme.starts_with("valkey") {
            return Ok(Door::Redis(Store::open(&self.store, &self.prefix)?));
        }
        Ok(Door::Server(Limiter::builder().store(&self.store).name("operator").build()?))
    }
}

fn target<'a>(resource: Option<&'a String>, limit: Option<&'a String>) -> Result<Target<'a>, Failure> {
    match (resource, limit) {
        (_, Some(limit)) => Ok(Target::Limit(limit)),
        (Some(resource), None) => Ok(Target::Resource(resource)),
        (None, None) => Err(Failure::Input("name a resource, or a limit by --limit".to_owned())),
    }
}

fn name(target: Target<'_>) -> &str {
    match target {
        Target::Resource(name) | Target::Limit(name) => name,
    }
}
