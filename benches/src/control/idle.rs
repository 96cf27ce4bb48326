//! A server that nobody asks.

use std::time::Duration;

use super::tell::{alone, real};
use super::{Effort, Outcome, clock, server};

pub(crate) fn run(effort: &Effort) -> Outcome<()> {
    let (process, _) = server::paceline()?;
    clock::pause(Duration::from_secs(1));
    let (before, time) = (cpu_ticks(process.id())?, Duration::from_secs(effort.watched_s));
    clock::pause(time);
    let used = cpu_ticks(process.id())? - before;
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id()))?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("unknown").trim();
    let share = real(used) / time.as_secs_f64();
    alone("idle server: memory", resident, "< 30 MB");
    // A tick is a hundredth of a second, so that ticks a second are percent.
    alone("– processor", &format!("{share:.2} %"), "about 0");
    Ok(())
}

fn cpu_ticks(pid: u32) -> Outcome<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let after_name = stat.rsplit_once(')').ok_or("no name")?.1;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let field = |at: usize| -> Outcome<u64> { Ok(fields.get(at).ok_or("too short")?.parse()?) };
    Ok(field(11)? + field(12)?)
}
