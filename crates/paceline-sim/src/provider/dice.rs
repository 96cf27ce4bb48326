//! Seeded randomness: the same seed gives the same throws.

use std::f64::consts::TAU;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::judge::split_mix;

/// A generator whose whole state is one number.
#[derive(Clone, Debug)]
pub(super) struct Dice(u64);

impl Dice {
    /// Makes dice for one purpose: the same seed and purpose give the same throws.
    pub(super) fn new(seed: u64, purpose: impl Hash) -> Self {
        let mut hasher = DefaultHasher::new();
        (seed, purpose).hash(&mut hasher);
        Self(hasher.finish())
    }

    pub(super) fn next(&mut self) -> u64 {
        split_mix(&mut self.0)
    }

    /// Throws a number in `0.0..1.0`.
    pub(super) fn unit(&mut self) -> f64 {
        f64::from(u32::try_from(self.next() >> 32).unwrap_or(u32::MAX)) / 4_294_967_296.0
    }

    /// Throws a lognormal number by the method of Box and Muller. A sigma of 0 gives the median.
    pub(super) fn lognormal(&mut self, median: u32, sigma: f64) -> u64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        let normal = radius * (TAU * self.unit()).cos();
        whole(f64::from(median) * (sigma * normal).exp())
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates, as wanted")]
fn whole(number: f64) -> u64 {
    number.round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_and_a_purpose_decide_the_throws() {
        let throws = |seed, purpose| Dice::new(seed, purpose).next();
        assert_eq!(throws(1, "a"), throws(1, "a"));
        assert_ne!(throws(1, "a"), throws(1, "b"));
        assert_ne!(throws(1, "a"), throws(2, "a"));
    }

    #[test]
    fn lognormal_throws_lie_around_their_median_with_a_heavy_tail() {
        let mut dice = Dice::new(1, "lengths");
        let mut throws: Vec<u64> = (0..1_001).map(|_| dice.lognormal(200, 1.0)).collect();
        throws.sort_unstable();
        assert!((160..250).contains(&throws[500]), "median {}", throws[500]);
        assert!(throws[990] > 1_200, "99th percentile {}", throws[990]);
        assert_eq!(dice.lognormal(200, 0.0), 200);
    }
}
