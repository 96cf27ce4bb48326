//! Instruction counts beside times: repeatable whatever else the machine does. Needs valgrind.

use std::process::{Command, ExitCode};

use crate::floor::HandWritten;
use crate::pair::{amounts, by_hand, ours, resource};

const FEW: u64 = 1_000;
const MANY: u64 = 11_000;

pub(crate) fn run() {
    println!("\n## Instructions an acquire + settle pair, no wait\n");
    println!("| limits | by hand | paceline | ratio |");
    println!("|---|---|---|---|");
    for limits in [1, 2, 4, 8] {
        match (count("hand", limits), count("paceline", limits)) {
            (Some(hand), Some(paceline)) => {
                #[expect(clippy::cast_precision_loss, reason = "a ratio")]
                let ratio = paceline as f64 / hand.max(1) as f64;
                println!("| {limits} | {hand} | {paceline} | {ratio:.2} |");
            }
            _ => return println!("valgrind is not there, so nothing was counted"),
        }
    }
}

/// Returns the instructions of a pair: what more pairs take more.
fn count(which: &str, limits: usize) -> Option<u64> {
    let few = total(which, limits, FEW)?;
    let many = total(which, limits, MANY)?;
    Some(many.saturating_sub(few) / (MANY - FEW))
}

fn total(which: &str, limits: usize, pairs: u64) -> Option<u64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe().ok()?)
        .args(["spin", which, &limits.to_string(), &pairs.to_string()])
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stderr);
    let line = text.lines().find(|line| line.contains("Collected"))?;
    line.rsplit(' ').next()?.parse().ok()
}

/// Does so many pairs and nothing else, to be counted.
pub(crate) fn spin(arguments: &[String]) -> ExitCode {
    let number = |at: usize| arguments.get(at).and_then(|text| text.parse::<u64>().ok());
    let (Some(which), Some(limits), Some(pairs)) = (arguments.first(), number(1), number(2)) else {
        eprintln!("spin hand|paceline LIMITS PAIRS");
        return ExitCode::from(2);
    };
    let limits = usize::try_from(limits).unwrap_or(1);
    if which == "hand" {
        by_hand(&HandWritten::new(limits, 1e12), pairs);
    } else {
        let (demand, usage) = amounts();
        ours(&resource(limits), &demand, &usage, pairs);
    }
    ExitCode::SUCCESS
}
