//! What is printed: Markdown, medians with their quartiles.

use super::Effort;

/// The middle of some measurements, and their quartiles.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spread {
    lower: f64,
    pub(crate) median: f64,
    upper: f64,
}

impl Spread {
    pub(crate) fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let at = |share: usize| {
            let index = (values.len() * share / 4).min(values.len().saturating_sub(1));
            values.get(index).copied().unwrap_or(f64::NAN)
        };
        Self { lower: at(1), median: at(2), upper: at(3) }
    }

    fn text(&self) -> String {
        let Self { lower, median, upper } = self;
        format!("{median:.0} ({lower:.0}–{upper:.0})")
    }
}

pub(crate) fn heading(effort: &Effort) {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("unknown").to_owned();
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZeroUsize::get);
    println!("## The control plane\n");
    println!(
        "{cores} cores, load {load} before the run. Medians of {} interleaved rounds of {} ms, quartiles in brackets.\n",
        effort.rounds, effort.round_ms
    );
    println!("| what | paceline | floor | ratio | mark |");
    println!("|---|---|---|---|---|");
}

pub(crate) fn row(what: &str, unit: &str, ours: Vec<f64>, floor: Vec<f64>, mark: &str) {
    let (ours, floor) = (Spread::of(ours), Spread::of(floor));
    let ratio = ours.median / floor.median;
    println!("| {what} | {} {unit} | {} {unit} | {ratio:.2} | {mark} |", ours.text(), floor.text());
}

pub(crate) fn alone(what: &str, ours: &str, mark: &str) {
    println!("| {what} | {ours} | – | – | {mark} |");
}

/// Returns a count as a number that can be divided.
#[expect(clippy::cast_precision_loss, reason = "a measurement")]
pub(crate) fn real(count: u64) -> f64 {
    count as f64
}
