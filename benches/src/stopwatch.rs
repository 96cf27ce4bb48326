//! Timing: the one place that reads a clock, interleaved rounds, and their medians.

use std::time::{Duration, Instant};

/// Returns how long something took, per repetition, in nanoseconds.
#[expect(clippy::disallowed_methods, reason = "benchmarks are timed here and nowhere else")]
pub(crate) fn per_repetition(repetitions: u64, work: impl FnOnce(u64)) -> f64 {
    let start = Instant::now();
    work(repetitions);
    let taken = start.elapsed();
    #[expect(clippy::cast_precision_loss, reason = "a measurement")]
    let per = taken.as_nanos() as f64 / repetitions.max(1) as f64;
    per
}

/// Returns the time since the first call, as hand-written limiters read it.
#[expect(clippy::disallowed_methods, reason = "a floor reads the clock as anybody would")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Lets an idle process be idle.
#[expect(clippy::disallowed_methods, reason = "what is measured is what happens meanwhile")]
pub(crate) fn idle(time: Duration) {
    std::thread::sleep(time);
}

/// Runs contenders in turn, for so many rounds, and returns the median and the quartiles of each in nanoseconds.
pub(crate) fn interleaved(rounds: usize, contenders: &mut [Box<dyn FnMut() -> f64 + '_>]) -> Vec<Spread> {
    let mut times = vec![Vec::new(); contenders.len()];
    for _ in 0..rounds {
        for (contender, times) in contenders.iter_mut().zip(&mut times) {
            times.push(contender());
        }
    }
    times.into_iter().map(Spread::of).collect()
}

/// The middle of some measurements, and how far they spread.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spread {
    pub(crate) lower: f64,
    pub(crate) median: f64,
    pub(crate) upper: f64,
}

impl Spread {
    pub(crate) fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let at =
            |share: usize| values.get(values.len() * share / 4).or(values.last()).copied().unwrap_or(0.0);
        Self { lower: at(1), median: at(2), upper: at(3) }
    }
}
