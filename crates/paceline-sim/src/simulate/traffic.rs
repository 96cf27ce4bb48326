//! Traffic that nobody had to record: independent callers, heavy-tailed lengths, quiet nights.

use std::f64::consts::TAU;

use super::draw::{Draw, real, whole};

const DAY_MS: f64 = 86_400_000.0;

/// How calls arrive and how long they are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Traffic {
    /// For how long calls arrive, in milliseconds.
    pub length_ms: u64,
    /// How many arrive a minute on average.
    pub calls_per_minute: f64,
    /// How far the rate swings over a day around its mean, from 0 to 1; it is lowest at the start.
    pub swing: f64,
    /// Median tokens of a prompt; lognormal with a sigma of a half.
    pub input_median: f64,
    /// Median tokens of an answer; lognormal with a sigma of 1.
    pub output_median: f64,
    /// How many times too high estimates are, from here …
    pub factor_least: f64,
    /// … to here, each factor as likely as the next.
    pub factor_most: f64,
    /// Median time to the first token, in milliseconds.
    pub first_token_ms: f64,
    /// Time per token after that, in milliseconds.
    pub per_token_ms: f64,
    /// Decides everything.
    pub seed: u64,
}

/// One call of generated traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Planned {
    /// When it arrives, in milliseconds from the start.
    pub at_ms: u64,
    /// Tokens of the prompt.
    pub input_tokens: u64,
    /// The estimate of the answer, and the most that is allowed of it.
    pub max_output_tokens: u64,
    /// Tokens of the answer.
    pub output_tokens: u64,
    /// How long it lasts, in milliseconds.
    pub duration_ms: u64,
    /// A random number, by which a resource and a lane are chosen.
    pub choice: u64,
}

impl Traffic {
    /// Returns the calls, by arrival.
    pub fn calls(&self) -> Vec<Planned> {
        let mut draw = Draw::new(self.seed);
        let peak = self.calls_per_minute.max(0.0) * (1.0 + self.swing);
        let mut calls = Vec::new();
        let mut at_ms = 0.0;
        if peak <= 0.0 {
            return calls;
        }
        loop {
            at_ms += draw.exponential(60_000.0 / peak);
            if at_ms >= real(self.length_ms) {
                return calls;
            }
            // Arrivals at the peak's rate, thinned to the rate of the hour.
            if draw.unit() * (1.0 + self.swing) < self.rate_at(at_ms) {
                calls.push(self.call(whole(at_ms), &mut draw));
            }
        }
    }

    /// Returns the rate at a time in parts of the mean.
    fn rate_at(&self, at_ms: f64) -> f64 {
        1.0 - self.swing * (TAU * at_ms / DAY_MS).cos()
    }

    fn call(&self, at_ms: u64, draw: &mut Draw) -> Planned {
        let input_tokens = draw.lognormal(self.input_median, 0.5).max(1);
        let output_tokens = draw.lognormal(self.output_median, 1.0).max(1);
        let too_high = draw.log_uniform(self.factor_least.max(1.0), self.factor_most.max(1.0));
        let lasts_ms =
            real(draw.lognormal(self.first_token_ms, 0.4)) + real(output_tokens) * self.per_token_ms;
        Planned {
            at_ms,
            input_tokens,
            max_output_tokens: whole(real(output_tokens) * too_high).max(output_tokens),
            output_tokens,
            duration_ms: whole(lasts_ms).max(1),
            choice: draw.bits(),
        }
    }
}
