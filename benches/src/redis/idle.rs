//! What the server has to do while many only wait.

use std::time::Duration;

use paceline::Demand;
use redis::{Connection, InfoDict, cmd};

use super::report::real;
use super::server::Server;
use super::worker::Workers;
use super::{Effort, Outcome, clock, ours, runtime};

const PROCESSES: usize = 4;
const TICKETS: usize = 1_000;

pub(crate) fn run(server: &Server, effort: &Effort) -> Outcome<()> {
    let prefix = server.prefix("idle");
    let resource = ours::resource(server.url(), &prefix, vec![ours::in_flight(1)])?;
    let permit = runtime()?.block_on(async { resource.acquire(Demand::new()).await })?;
    let mut workers = Workers::start(PROCESSES, "wait", server.url(), &prefix)?;
    workers.ask(&(TICKETS / PROCESSES).to_string());
    let mut connection = server.connect()?;
    let (commands, calls) = counted(&mut connection)?;
    let began = clock::now();
    clock::pause(Duration::from_secs(effort.watched_s));
    let (commands_after, calls_after) = counted(&mut connection)?;
    let seconds = began.elapsed().as_secs_f64();
    // Our own two questions.
    let commands = real(commands_after.saturating_sub(commands + 2)) / seconds;
    let calls = real(calls_after.saturating_sub(calls)) / seconds;
    let waiting = resource.snapshot().wait()?.resource.waiting;
    drop(permit.give_back());
    println!(
        "| commands a second while {waiting} tickets in {PROCESSES} processes wait for {} s | {commands:.1} (of these \
         {calls:.1} calls of the script, the rest what the script calls) | – | – | < 50 |",
        effort.watched_s
    );
    Ok(())
}

/// Returns how many commands the server has carried out, and how many calls of scripts.
fn counted(connection: &mut Connection) -> Outcome<(u64, u64)> {
    let stats: InfoDict = cmd("INFO").arg("stats").query(connection)?;
    let commands = stats.get("total_commands_processed").ok_or("INFO counts no commands")?;
    let by_name: String = cmd("INFO").arg("commandstats").query(connection)?;
    let ours = |line: &&str| line.starts_with("cmdstat_eval") || line.starts_with("cmdstat_fcall");
    let calls = by_name.lines().filter(ours);
    let calls = calls.filter_map(|line| line.split_once("calls=")?.1.split(',').next()?.parse::<u64>().ok());
    Ok((commands, calls.sum()))
}
