//! Where the periods of a fixed window begin and end.

use paceline_core::{Algorithm, Boundaries};

use super::meter::Meter;

impl Meter {
    /// The periods in which a grant at this instant counts: the current one first, then a near neighbour.
    pub(super) fn periods(&self, wall: i128) -> Vec<i128> {
        let (mut at, mut period) = self.latest;
        for _ in 0..4 {
            let Some(end) = self.end(at).filter(|end| *end <= wall) else { break };
            (at, period) = (end, period + 1);
        }
        at = at.max(wall);
        let margin = self.margin();
        let mut periods = vec![period];
        if self.start(at).is_some_and(|start| wall < start + margin) {
            periods.push(period - 1);
        }
        if margin > 0 && self.end(at).is_some_and(|end| wall >= end - margin) {
            periods.push(period + 1);
        }
        periods
    }

    /// How near a boundary a grant counts on both of its sides: at most a quarter of the shortest period.
    pub(super) fn margin(&self) -> i128 {
        let Algorithm::FixedWindow { boundaries, margin } = &self.spec.algorithm else { return 0 };
        let shortest = match boundaries {
            Boundaries::Every { period, .. } => Some(*period),
            Boundaries::At(times) => {
                times.iter().zip(times.iter().skip(1)).map(|(one, next)| next - one).min()
            }
        };
        i128::from(shortest.map_or(*margin, |shortest| shortest / 4).min(*margin))
    }

    /// The last boundary up to an instant.
    pub(super) fn start(&self, at: i128) -> Option<i128> {
        match &self.spec.algorithm {
            Algorithm::FixedWindow { boundaries: Boundaries::Every { period, phase }, .. } => {
                let (period, phase) = (i128::from(*period), i128::from(*phase));
                Some((at - phase).div_euclid(period) * period + phase)
            }
            Algorithm::FixedWindow { boundaries: Boundaries::At(times), .. } => {
                times.iter().map(|time| i128::from(*time)).filter(|time| *time <= at).max()
            }
            _ => None,
        }
    }

    /// The first boundary after an instant.
    pub(super) fn end(&self, at: i128) -> Option<i128> {
        match &self.spec.algorithm {
            Algorithm::FixedWindow { boundaries: Boundaries::Every { period, .. }, .. } => {
                self.start(at).map(|start| start + i128::from(*period))
            }
            Algorithm::FixedWindow { boundaries: Boundaries::At(times), .. } => {
                times.iter().map(|time| i128::from(*time)).filter(|time| *time > at).min()
            }
            _ => None,
        }
    }
}
