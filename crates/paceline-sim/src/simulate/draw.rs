//! Seeded randomness with a distribution to each question: the same seed gives the same draws on every machine.

use std::f64::consts::TAU;

use crate::judge::split_mix;

/// A generator whose whole state is one number.
///
/// ```
/// use paceline_sim::simulate::Draw;
///
/// let mut one = Draw::new(7);
/// let mut same = Draw::new(7);
/// assert_eq!(one.lognormal(300.0, 1.0), same.lognormal(300.0, 1.0));
/// ```
#[derive(Debug, Clone)]
pub struct Draw(u64);

impl Draw {
    /// Returns a generator; equal seeds give equal draws.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Draws 64 bits.
    pub fn bits(&mut self) -> u64 {
        split_mix(&mut self.0)
    }

    /// Draws a number in `0.0..1.0`.
    pub fn unit(&mut self) -> f64 {
        f64::from(u32::try_from(self.bits() >> 32).unwrap_or(u32::MAX)) / 4_294_967_296.0
    }

    /// Draws a number between `least` and `most`, each factor as likely as the next.
    pub fn log_uniform(&mut self, least: f64, most: f64) -> f64 {
        least * (most / least).powf(self.unit())
    }

    /// Draws a lognormal whole number by the method of Box and Muller. A sigma of 0 gives the median.
    pub fn lognormal(&mut self, median: f64, sigma: f64) -> u64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        let normal = radius * (TAU * self.unit()).cos();
        whole(median * (sigma * normal).exp())
    }

    /// Draws the time to the next of events that come independently of each other, `mean` apart on average.
    pub fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.unit()).ln()
    }
}

/// Rounds to a whole number; what is below zero is zero.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates, as wanted")]
pub fn whole(number: f64) -> u64 {
    number.round() as u64
}

/// Returns the nearest number with a fraction. Exact below 2^53.
#[expect(clippy::cast_precision_loss, reason = "amounts and times lie far below 2^53")]
pub fn real(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_have_the_mean_of_their_distribution() {
        let mut draw = Draw::new(1);
        let sum: f64 = (0..20_000).map(|_| draw.exponential(5.0)).sum();
        assert!((4.9..5.1).contains(&(sum / 20_000.0)), "{sum}");
        let mut lengths: Vec<u64> = (0..2_001).map(|_| draw.lognormal(300.0, 1.0)).collect();
        lengths.sort_unstable();
        assert!((270..330).contains(&lengths[1_000]), "{}", lengths[1_000]);
        assert!((0..1_000).map(|_| draw.log_uniform(2.0, 20.0)).all(|factor| (2.0..=20.0).contains(&factor)));
    }
}
