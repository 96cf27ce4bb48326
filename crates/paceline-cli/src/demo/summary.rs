//! What came out of a demo: the referee's own counts, and times against the bound.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use paceline_sim::judge::Counts;
use paceline_sim::provider::Report;
use serde::Serialize;

use super::board::Board;
use super::crew::{self, MemberReport};
use super::job::Job;
use super::scene::{Scene, limit_text};
use crate::text::{Align, BOLD, GREEN, RED, Table, grouped};

/// The numbers of one run. What the provider saw is the referee's own report; times are the workers' watch.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Summary {
    /// `paceline` or `without`.
    pub(crate) mode: &'static str,
    provider: String,
    resource: String,
    workers: usize,
    requests: usize,
    time_scale: f64,
    seed: u64,
    /// Calls that the referee let through.
    granted: u64,
    /// Calls that the referee answered in full.
    served: u64,
    /// Calls that the referee refused with 429.
    pub(crate) refused: u64,
    refused_by: BTreeMap<String, u64>,
    /// Calls that were refused more often than the vendors' SDKs retry.
    given_up_by_sdks: usize,
    /// Everything that the referee counted against its limits.
    counted: Counts,
    input_tokens_served: u64,
    output_tokens_served: u64,
    last_grant_s: f64,
    bound_s: f64,
    bound_by: String,
    /// What calls in flight at the bound have reserved beyond their use.
    bound_held: u64,
    last_grant_ratio: f64,
    makespan_s: f64,
    makespan_ratio: f64,
    /// Calls that were let through after one that had asked later.
    overtaken: u64,
    wait_p50_s: f64,
    wait_p99_s: f64,
    /// Tokens that calls had reserved and not used, and that went to others.
    tokens_returned: u64,
    /// Calls that a process had not finished when it was killed.
    #[serde(skip_serializing_if = "Option::is_none")]
    handed_back: Option<usize>,
    /// Where there are several processes, what came of each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    processes: Vec<Process>,
}

/// The numbers of one process.
#[derive(Debug, Clone, Serialize)]
struct Process {
    served: usize,
    refused: usize,
    wait_p50_s: f64,
    wait_p99_s: f64,
    killed: bool,
}

impl Process {
    fn of(report: &MemberReport) -> Self {
        let mut waits = report.waits.clone();
        waits.sort_unstable();
        Self {
            served: report.served,
            refused: report.refused,
            wait_p50_s: rounded(percentile(&waits, 50)),
            wait_p99_s: rounded(percentile(&waits, 99)),
            killed: report.killed,
        }
    }
}

/// How often the vendors' SDKs retry where nobody tells them otherwise.
const SDK_RETRIES: u32 = 2;

/// What a run was.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run<'a> {
    /// `paceline` or `without`.
    pub(crate) mode: &'static str,
    /// The limits.
    pub(crate) scene: &'a Scene,
    /// The calls.
    pub(crate) job: &'a Job,
    /// How many workers went through it.
    pub(crate) workers: usize,
    /// What decided the job.
    pub(crate) seed: u64,
    /// Whether `paceline top` has the terminal.
    pub(crate) watched: bool,
}

impl Summary {
    /// Sums up a run that took this long.
    pub(crate) fn new(
        run: &Run<'_>,
        board: &Board,
        overtaken: u64,
        makespan: Duration,
        report: &Report,
    ) -> Self {
        let grants = board.grants();
        let mut waits: Vec<Duration> = grants.iter().map(|grant| grant.waited).collect();
        waits.sort_unstable();
        let last_grant_s = grants.last().map_or(0.0, |grant| grant.at.as_secs_f64());
        let bound_s = Duration::from_micros(run.job.bound.last_grant_us).as_secs_f64();
        let makespan_s = makespan.as_secs_f64();
        Self {
            mode: run.mode,
            provider: run.scene.provider.name(),
            resource: run.scene.resource.clone(),
            workers: run.workers,
            requests: run.job.calls.len(),
            time_scale: run.scene.time_scale,
            seed: run.seed,
            granted: report.requests - report.refused,
            served: report.served,
            refused: report.refused,
            given_up_by_sdks: grants.iter().filter(|grant| grant.refusals > SDK_RETRIES).count(),
            refused_by: report.refused_by.clone(),
            counted: report.counted,
            input_tokens_served: report.input_tokens_served,
            output_tokens_served: report.output_tokens_served,
            last_grant_s: rounded(last_grant_s),
            bound_s: rounded(bound_s),
            bound_by: limit_text(&run.job.bound_by),
            bound_held: run.job.bound.held,
            last_grant_ratio: ratio(last_grant_s, bound_s),
            makespan_s: rounded(makespan_s),
            makespan_ratio: ratio(makespan_s, bound_s),
            overtaken,
            wait_p50_s: rounded(percentile(&waits, 50)),
            wait_p99_s: rounded(percentile(&waits, 99)),
            tokens_returned: board.glance().returned,
            handed_back: None,
            processes: Vec::new(),
        }
    }

    /// Adds what came of the processes.
    pub(crate) fn with_crew(mut self, report: &crew::Report) -> Self {
        self.processes = report.members.iter().map(Process::of).collect();
        let killed = report.members.iter().any(|member| member.killed);
        self.handed_back = killed.then_some(report.handed_back);
        self
    }

    fn rows(&self) -> [(&'static str, String); 12] {
        [
            ("calls served", grouped(self.served)),
            ("refused with 429", grouped(self.refused)),
            ("  that SDKs would give up", self.given_up_by_sdks.to_string()),
            ("last grant", format!("{:.1} s", self.last_grant_s)),
            ("  ÷ the bound", format!("{:.3}", self.last_grant_ratio)),
            ("all done after", format!("{:.1} s", self.makespan_s)),
            ("  ÷ the bound", format!("{:.3}", self.makespan_ratio)),
            ("overtaken by later calls", grouped(self.overtaken)),
            ("wait, median", format!("{:.1} s", self.wait_p50_s)),
            ("wait, 99th percentile", format!("{:.1} s", self.wait_p99_s)),
            ("tokens returned in time", grouped(self.tokens_returned)),
            ("tokens served", grouped(self.input_tokens_served + self.output_tokens_served)),
        ]
    }
}

/// Writes one run, or several side by side.
pub(crate) fn render(summaries: &[Summary]) -> String {
    let Some(first) = summaries.first() else { return String::new() };
    let mut columns = vec![("", Align::Left)];
    columns.extend(summaries.iter().map(|summary| (heading(summary.mode), Align::Right)));
    let mut table = Table::new(&columns);
    for (position, (name, _)) in first.rows().iter().enumerate() {
        let values =
            summaries.iter().filter_map(|summary| summary.rows().get(position).map(|row| row.1.clone()));
        table.row([(*name).to_owned()].into_iter().chain(values));
    }
    let mut text = table.render(2);
    let _ = writeln!(
        text,
        "\n  The bound: no limiter that knows of each call only what it reserves, and risks no refusal, can grant\n  \
         the last one before {:.1} s. {} binds; calls in flight hold {} beyond their use.",
        first.bound_s,
        first.bound_by,
        grouped(first.bound_held),
    );
    for summary in summaries {
        text.push_str(&processes(summary));
    }
    text.push_str(&verdict(summaries));
    text
}

fn processes(summary: &Summary) -> String {
    if summary.processes.is_empty() {
        return String::new();
    }
    let columns = [
        ("process", Align::Right),
        ("calls served", Align::Right),
        ("refused", Align::Right),
        ("wait, median", Align::Right),
        ("99th percentile", Align::Right),
        ("", Align::Left),
    ];
    let mut table = Table::new(&columns);
    for (index, process) in summary.processes.iter().enumerate() {
        let handed_back = summary.handed_back.filter(|_| process.killed);
        table.row([
            (index + 1).to_string(),
            process.served.to_string(),
            process.refused.to_string(),
            format!("{:.1} s", process.wait_p50_s),
            format!("{:.1} s", process.wait_p99_s),
            handed_back.map_or_else(String::new, |calls| format!("killed, {calls} calls handed back")),
        ]);
    }
    format!("\n{}", table.render(2))
}

fn heading(mode: &str) -> &str {
    if mode == "paceline" { "with Paceline" } else { "without" }
}

fn verdict(summaries: &[Summary]) -> String {
    let line = |summary: &Summary| {
        let calls = grouped(summary.served);
        match (summary.mode, summary.refused) {
            ("paceline", 0) => format!("{GREEN}{calls} calls, not one refused.{GREEN:#}"),
            ("paceline", refused) => {
                format!("{RED}{} of {calls} calls were refused.{RED:#}", grouped(refused))
            }
            (_, refused) => {
                format!("{BOLD}Without Paceline: {} refusals for {calls} calls.{BOLD:#}", grouped(refused))
            }
        }
    };
    summaries.iter().fold(String::from("\n"), |text, summary| text + "  " + &line(summary) + "\n")
}

fn percentile(sorted: &[Duration], percent: usize) -> f64 {
    let index = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(index).map_or(0.0, Duration::as_secs_f64)
}

fn ratio(of: f64, to: f64) -> f64 {
    if to > 0.0 { (of / to * 10_000.0).round() / 10_000.0 } else { 0.0 }
}

/// Rounds to milliseconds.
fn rounded(seconds: f64) -> f64 {
    (seconds * 1_000.0).round() / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_the_smallest_value_that_so_many_do_not_exceed() {
        let waits: Vec<Duration> = (1..=100).map(Duration::from_secs).collect();
        let shown = [50, 99, 100].map(|percent| format!("{:.0}", percentile(&waits, percent)));
        assert_eq!(shown, ["50", "99", "100"]);
        assert!(percentile(&[], 50) <= 0.0);
    }
}
