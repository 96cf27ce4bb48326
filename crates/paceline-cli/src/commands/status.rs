//! `paceline status`: the ledgers of a shared store, as they are.

use std::fmt::Write as _;

use paceline::core::{NEVER, SessionId};
use paceline::inspect::{LedgerState, LimitRow, MOST_COUNTED, ResourceRow, SessionState, Store};
use serde_json::{Value, json};

use super::Done;
use crate::failure::Failure;
use crate::text::{Align, BOLD, RED, Table, grouped, lasting};

const EXAMPLES: &str = "\
Examples:
  paceline status --store redis://localhost           every ledger of the store
  paceline status openai --store redis://localhost    one of them
  PACELINE_STORE=redis://localhost paceline status --json

It looks and no more: it joins no ledger, and changes none. Sessions are named by the first digits of their ids.

Exits with 1 if the store cannot be reached, or has no such ledger.";

/// Show the ledgers of a shared store: limits, who waits, who holds, which processes are alive
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The ledgers, each an account of the configuration; all that the store has if not said
    #[arg(value_name = "LEDGER")]
    ledgers: Vec<String>,
    /// The store, as in redis://:PASSWORD@HOST:PORT; other users of this machine see no password in the environment
    #[arg(long, value_name = "URL", env = "PACELINE_STORE", hide_env_values = true)]
    store: String,
    /// What the names of all keys begin with
    #[arg(long, value_name = "PREFIX", default_value = "paceline:")]
    prefix: String,
    /// Print one line of JSON
    #[arg(long)]
    json: bool,
}

/// Looks and shows.
pub(crate) fn run(args: &Args) -> Result<Done, Failure> {
    if args.store.starts_with("memory:") {
        return Err(Failure::Input(
            "a store in memory is seen by its own process alone; name one that is shared, as in redis://localhost"
                .to_owned(),
        ));
    }
    let store = Store::open(&args.store, &args.prefix)?;
    let names: Vec<String> = if args.ledgers.is_empty() {
        store.ledgers().wait()?.iter().map(ToString::to_string).collect()
    } else {
        args.ledgers.clone()
    };
    if names.is_empty() {
        return Err(nothing_there(&store, args, None));
    }
    let mut ledgers = Vec::new();
    for name in &names {
        match store.look(name).wait()? {
            Some(ledger) => ledgers.push(ledger),
            // It ended while we looked.
            None if args.ledgers.is_empty() => {}
            None => return Err(nothing_there(&store, args, Some(name))),
        }
    }
    if args.json {
        let all: Vec<Value> = ledgers.iter().map(ledger_json).collect();
        return Done::json(&json!({"store": store.url(), "prefix": args.prefix, "ledgers": all}), true);
    }
    let mut text = format!("{}  {}\n", store.url(), args.prefix);
    for ledger in &ledgers {
        text.push('\n');
        text.push_str(&render(ledger));
    }
    Ok(Done::well(text))
}

fn nothing_there(store: &Store, args: &Args, name: Option<&str>) -> Failure {
    let (url, prefix) = (store.url(), &args.prefix);
    let what = name.map_or_else(|| "no ledger".to_owned(), |name| format!("no ledger {name}"));
    Failure::Input(format!(
        "{url} has {what} under the prefix \"{prefix}\": no process has used one there within its time; look at the \
         prefix and at the number of the database"
    ))
}

const WIDTH: usize = 80;

/// How much of an epoch is shown: its number, and enough to tell it from others.
const EPOCH_DIGITS: usize = 10;

fn render(ledger: &LedgerState) -> String {
    let alive = ledger.sessions.iter().filter(|session| !session.dead).count();
    let keeper = ledger.keeper.map_or_else(String::new, |keeper| format!(", {} keeps time", short(keeper)));
    let mut text = format!(
        "{BOLD}{}{BOLD:#}  epoch {}, step {}, {alive} sessions{keeper}\n",
        ledger.name,
        ledger.epoch.get(..EPOCH_DIGITS).unwrap_or(&ledger.epoch),
        grouped(ledger.steps),
    );
    if !ledger.held_off.is_zero() {
        let left = lasting(millis(ledger.held_off));
        let _ = writeln!(text, "  {RED}grants nothing for {left}{RED:#}: the server was started anew");
    }
    text.push_str(&limits(&ledger.limits));
    text.push('\n');
    text.push_str(&resources(&ledger.resources));
    if !ledger.sessions.is_empty() {
        text.push('\n');
        text.push_str(&sessions(&ledger.sessions));
    }
    text
}

fn limits(limits: &[LimitRow]) -> String {
    let columns = [
        ("limit", Align::Left),
        ("used", Align::Right),
        ("held", Align::Right),
        ("left", Align::Right),
        ("at most", Align::Right),
        ("full again", Align::Right),
    ];
    let mut table = Table::new(&columns);
    for limit in limits {
        table.row([
            limit.name.to_string(),
            grouped(limit.used),
            grouped(limit.held),
            grouped(limit.left),
            grouped(limit.most),
            full_again(limit),
        ]);
    }
    table.within(WIDTH, 2)
}

fn full_again(limit: &LimitRow) -> String {
    let when = match (limit.paused_for, limit.full_in) {
        (Some(NEVER), _) => "paused".to_owned(),
        (Some(ms), _) => format!("paused {}", lasting(ms)),
        (None, 0) => "is full".to_owned(),
        (None, NEVER) => "on release".to_owned(),
        (None, ms) => lasting(ms),
    };
    if limit.shadow { format!("{when}, shadow") } else { when }
}

fn resources(resources: &[ResourceRow]) -> String {
    let columns = [
        ("resource", Align::Left),
        ("lane", Align::Left),
        ("waiting", Align::Right),
        ("oldest", Align::Right),
        ("granted", Align::Right),
        ("in flight", Align::Right),
        ("", Align::Left),
    ];
    let mut table = Table::new(&columns);
    for resource in resources {
        let paused = match resource.paused_for {
            None => String::new(),
            Some(NEVER) => "paused".to_owned(),
            Some(ms) => format!("paused {}", lasting(ms)),
        };
        let several = resource.lanes.len() > 1;
        let granted: u64 = resource.lanes.iter().map(|lane| lane.granted).sum();
        let oldest = resource.lanes.iter().filter_map(|lane| lane.oldest).max();
        let only = resource.lanes.first().and_then(|lane| lane.name.as_deref()).filter(|_| !several);
        table.row([
            resource.name.to_string(),
            only.unwrap_or_default().to_owned(),
            grouped(resource.waiting),
            oldest.map_or_else(String::new, lasting),
            grouped(granted),
            grouped(resource.in_flight),
            paused,
        ]);
        for lane in resource.lanes.iter().filter(|_| several) {
            table.row([
                String::new(),
                lane.name.as_deref().unwrap_or("(none)").to_owned(),
                grouped(lane.waiting),
                lane.oldest.map_or_else(String::new, lasting),
                grouped(lane.granted),
                String::new(),
                String::new(),
            ]);
        }
    }
    table.within(WIDTH, 2)
}

fn sessions(sessions: &[SessionState]) -> String {
    let columns = [
        ("session", Align::Left),
        ("process", Align::Left),
        ("holds", Align::Right),
        ("waiting", Align::Right),
        ("batches", Align::Right),
        ("alive for", Align::Right),
        ("", Align::Left),
    ];
    let mut table = Table::new(&columns);
    for session in sessions {
        let counted = |count: u64| {
            let more = if session.more && count > 0 { "+" } else { "" };
            format!("{}{more}", grouped(count))
        };
        let kind = match (session.dead, session.batches) {
            (true, _) => "dead, is being cleared",
            (false, 0) => "detached permit",
            _ => "",
        };
        table.row([
            short(session.id),
            session.name.clone().unwrap_or_default(),
            counted(session.holds),
            counted(session.waiting),
            grouped(session.batches),
            session.expires_in.map_or_else(|| "ever".to_owned(), |left| lasting(millis(left))),
            kind.to_owned(),
        ]);
    }
    let mut text = table.within(WIDTH, 2);
    if sessions.iter().any(|session| session.more) {
        let _ = writeln!(text, "  + of its first {} permits and tickets", grouped(MOST_COUNTED));
    }
    text
}

/// Writes the first digits of a session's id.
fn short(id: SessionId) -> String {
    format!("{:08x}", id.0 >> 96)
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn in_time(ms: u64) -> Option<u64> {
    Some(ms).filter(|ms| *ms != NEVER)
}

fn id_json(id: SessionId) -> String {
    format!("{:032x}", id.0)
}

fn ledger_json(ledger: &LedgerState) -> Value {
    json!({
        "name": &*ledger.name,
        "epoch": ledger.epoch,
        "steps": ledger.steps,
        "keeper": ledger.keeper.map(id_json),
        "held_off_ms": millis(ledger.held_off),
        "limits": ledger.limits.iter().map(limit_json).collect::<Vec<_>>(),
        "resources": ledger.resources.iter().map(resource_json).collect::<Vec<_>>(),
        "sessions": ledger.sessions.iter().map(session_json).collect::<Vec<_>>(),
    })
}

fn limit_json(limit: &LimitRow) -> Value {
    json!({
        "name": &*limit.name,
        "metric": &*limit.metric,
        "amount": limit.amount,
        "window_ms": in_time(limit.window),
        "most": limit.most,
        "used": limit.used,
        "held": limit.held,
        "left": limit.left,
        "full_in_ms": in_time(limit.full_in),
        "paused": limit.paused_for.is_some(),
        "paused_for_ms": limit.paused_for.and_then(in_time),
        "shadow": limit.shadow,
    })
}

fn resource_json(resource: &ResourceRow) -> Value {
    let lanes = resource.lanes.iter().map(|lane| {
        let demand = lane.demand.iter().map(|(metric, sum)| (metric.to_string(), json!(sum)));
        json!({
            "name": lane.name.as_deref(),
            "waiting": lane.waiting,
            "demand": demand.collect::<serde_json::Map<_, _>>(),
            "oldest_ms": lane.oldest,
            "granted": lane.granted,
        })
    });
    json!({
        "name": &*resource.name,
        "limits": resource.limits.iter().map(|limit| &**limit).collect::<Vec<_>>(),
        "waiting": resource.waiting,
        "in_flight": resource.in_flight,
        "paused": resource.paused_for.is_some(),
        "paused_for_ms": resource.paused_for.and_then(in_time),
        "lanes": lanes.collect::<Vec<_>>(),
    })
}

fn session_json(session: &SessionState) -> Value {
    json!({
        "id": id_json(session.id),
        "name": session.name,
        "time_out_ms": session.time_out.map(millis),
        "expires_in_ms": session.expires_in.map(millis),
        "dead": session.dead,
        "batches": session.batches,
        "holds": session.holds,
        "waiting": session.waiting,
        "counted_in_full": !session.more,
    })
}
