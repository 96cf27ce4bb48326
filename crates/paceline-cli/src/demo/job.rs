//! The work of a demo: calls with heavy-tailed answers, and estimates that are too high.

use std::time::Duration;

use paceline::provider::Call as Asked;
use paceline_sim::judge::{Algorithm, Call as Arriving, Counts, Limit, Usage};
use paceline_sim::simulate::{Draw, real, whole};

use super::bound::{self, Bound, Draft};
use super::scene::Scene;

/// How long the limits alone should stretch a job, in microseconds of unscaled time.
const TARGET_US: f64 = 62_000_000.0;

/// How much of a window's amount is left over for the last window of a job: enough that some must wait for it.
const LAST_WINDOW: f64 = 0.3;

/// The most calls that a job is given unasked.
const MOST_CALLS: usize = 20_000;

const PROMPT_MEDIAN: f64 = 1_000.0;
const PROMPT_SIGMA: f64 = 0.5;
const OUTPUT_MEDIAN: f64 = 300.0;
const OUTPUT_SIGMA: f64 = 1.0;
const OUTPUT_MOST: u64 = 4_096;
/// The most output that models allow a call to ask for.
const MAX_TOKENS_MOST: u64 = 32_768;
const FIRST_TOKEN_MEDIAN_US: f64 = 300_000.0;
const FIRST_TOKEN_SIGMA: f64 = 0.4;
const PER_TOKEN_US: u64 = 1_500;

/// One call of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Work {
    /// Tokens of the prompt, known beforehand.
    pub(crate) input_tokens: u64,
    /// The estimate of the answer, and the most that is allowed of it.
    pub(crate) max_output_tokens: u64,
    /// Tokens of the answer.
    pub(crate) output_tokens: u64,
    /// How long the provider takes.
    pub(crate) latency: Duration,
}

/// The range in which estimates lie above what is used.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Factor {
    /// The lowest.
    pub(crate) least: f64,
    /// The highest.
    pub(crate) most: f64,
}

/// Calls in the order in which they are asked for, and the bound that follows from them.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    /// The calls.
    pub(crate) calls: Vec<Work>,
    /// The bound of the limit that binds.
    pub(crate) bound: Bound,
    /// That limit.
    pub(crate) bound_by: Limit,
}

impl Job {
    /// Draws a job of so many calls, or of as many as keep the limits busy for a minute and a bit.
    pub(crate) fn new(scene: &Scene, requests: Option<usize>, factor: Factor, seed: u64) -> Self {
        let mut draw = Draw::new(seed);
        let count = requests.unwrap_or(MOST_CALLS);
        let mut calls: Vec<Work> =
            (0..count).map(|_| Work::draw(&mut draw, factor, scene.time_scale)).collect();
        if requests.is_none() {
            let long_enough =
                |count: &usize| stretch_us(scene, &calls[..*count]) >= TARGET_US / scene.time_scale;
            let enough = first_from(1, calls.len(), long_enough);
            calls.truncate(enough);
        }
        let (bound, bound_by) = bound(scene, &calls);
        Self { calls, bound, bound_by }
    }
}

impl Work {
    fn draw(draw: &mut Draw, factor: Factor, time_scale: f64) -> Self {
        let input_tokens = draw.lognormal(PROMPT_MEDIAN, PROMPT_SIGMA).max(1);
        let output_tokens = draw.lognormal(OUTPUT_MEDIAN, OUTPUT_SIGMA).clamp(1, OUTPUT_MOST);
        let too_high = draw.log_uniform(factor.least, factor.most);
        let estimate = whole(real(output_tokens) * too_high);
        let latency_us =
            draw.lognormal(FIRST_TOKEN_MEDIAN_US, FIRST_TOKEN_SIGMA) + output_tokens * PER_TOKEN_US;
        Self {
            input_tokens,
            max_output_tokens: estimate.clamp(output_tokens, MAX_TOKENS_MOST.max(output_tokens)),
            output_tokens,
            latency: Duration::from_millis(whole(real(latency_us) / time_scale / 1_000.0).max(1)),
        }
    }

    /// Returns what a limiter knows of the call beforehand.
    pub(crate) fn asked(&self) -> Asked {
        Asked::new()
            .input_tokens(self.input_tokens)
            .max_output_tokens(self.max_output_tokens)
            .expected_output_tokens(self.max_output_tokens)
    }

    /// Returns what the provider counts of the call in the end.
    pub(crate) fn counted(&self, scene: &Scene) -> Counts {
        let arriving = Arriving {
            prompt_tokens: self.input_tokens,
            max_tokens: Some(self.max_output_tokens),
            choices: 1,
            ..Arriving::default()
        };
        let usage =
            Usage { input_tokens: self.input_tokens, output_tokens: self.output_tokens, ..Usage::default() };
        let charged = scene.rules.on_arrival(&arriving).plus(&scene.rules.while_produced(self.output_tokens));
        Counts { concurrent_requests: 1, ..scene.rules.in_the_end(&charged, &usage) }
    }

    fn draft(&self, scene: &Scene, limit: &Limit) -> Draft {
        let used = self.counted(scene).get(limit.metric);
        let reserved = scene.profile.reserve(&self.asked()).get(limit.metric.name()).unwrap_or(used);
        let duration_us = u64::try_from(self.latency.as_micros()).unwrap_or(u64::MAX);
        Draft { reserved: reserved.max(used), used, duration_us }
    }
}

/// Returns the bound of a job, and the limit that binds.
fn bound(scene: &Scene, calls: &[Work]) -> (Bound, Limit) {
    let bounds = scene.limits.iter().map(|limit| (bound_under(scene, limit, calls), *limit));
    let none = (Bound { last_grant_us: 0, work: 0, held: 0 }, Limit::concurrent(1));
    bounds
        .reduce(|most, next| if next.0.last_grant_us > most.0.last_grant_us { next } else { most })
        .unwrap_or(none)
}

fn bound_under(scene: &Scene, limit: &Limit, calls: &[Work]) -> Bound {
    let drafts: Vec<Draft> = calls.iter().map(|call| call.draft(scene, limit)).collect();
    bound::of(limit, &drafts)
}

/// Returns how long the limits stretch these calls, counting the part of a window that the last ones begin.
fn stretch_us(scene: &Scene, calls: &[Work]) -> f64 {
    let stretched = scene.limits.iter().map(|limit| {
        let bound = bound_under(scene, limit, calls);
        match limit.algorithm {
            Algorithm::FixedWindow { .. } | Algorithm::SlidingLog => {
                (real(bound.work) / real(limit.amount) - LAST_WINDOW) * real(limit.window_us())
            }
            _ => real(bound.last_grant_us),
        }
    });
    stretched.fold(0.0, f64::max)
}

/// Returns the smallest number of a range for which something holds that holds from there on; its end if none.
fn first_from(least: usize, most: usize, holds: impl Fn(&usize) -> bool) -> usize {
    let (mut low, mut high) = (least, most);
    while low < high {
        let middle = low.midpoint(high);
        if holds(&middle) { high = middle } else { low = middle + 1 }
    }
    low
}
