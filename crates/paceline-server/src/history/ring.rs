//! Points at equal steps: the oldest goes when there is no room, and those of a shorter step are gathered into one.

use std::collections::VecDeque;

/// How the points of a step become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Column {
    /// Their mean.
    Mean,
    /// The greatest.
    Greatest,
}

use Column::{Greatest, Mean};

/// The columns of a resource: waiting, oldest, in flight, grants, refusals, p50, p95 and longest wait, reserved, used.
pub(crate) const OF_RESOURCE: [Column; 10] =
    [Mean, Greatest, Mean, Mean, Mean, Mean, Greatest, Greatest, Mean, Mean];
/// The columns of each limit: used, held, left, amount.
pub(crate) const OF_LIMIT: [Column; 4] = [Mean, Mean, Mean, Mean];

/// Points at equal steps.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Ring {
    step: u32,
    most: usize,
    limits: usize,
    /// The beginning of the step of each point, in seconds since the Unix epoch.
    pub(super) at: VecDeque<u32>,
    /// Their values, a row each; none is told as not a number.
    pub(super) rows: VecDeque<f32>,
    gathered: Gathered,
}

/// The points of the step that is not over.
#[derive(Debug, Clone, Default, PartialEq)]
struct Gathered {
    at: u32,
    /// Sums or maxima, and of how many points.
    values: Vec<(f32, u32)>,
}

impl Ring {
    /// Returns an empty ring of so many points, so many seconds apart.
    pub(super) fn new(step: u32, most: usize, limits: usize) -> Self {
        Self { step, most, limits, at: VecDeque::new(), rows: VecDeque::new(), gathered: Gathered::default() }
    }

    /// Returns how many seconds its points are apart.
    pub(crate) fn step(&self) -> u32 {
        self.step
    }

    /// Returns how many seconds it reaches back when it is full.
    pub(crate) fn reach(&self) -> u32 {
        self.step.saturating_mul(u32::try_from(self.most).unwrap_or(u32::MAX))
    }

    /// Returns how many values a point has.
    pub(super) fn width(&self) -> usize {
        OF_RESOURCE.len() + self.limits * OF_LIMIT.len()
    }

    /// Adds values at this time, in seconds since the Unix epoch.
    pub(super) fn add(&mut self, at: u32, row: &[f32]) {
        if self.step == 1 {
            return self.push(at, row);
        }
        let begin = at - at % self.step;
        if begin != self.gathered.at {
            self.finish();
            self.gathered = Gathered { at: begin, values: vec![(0.0, 0); row.len()] };
        }
        for ((value, (sum, count)), column) in row.iter().zip(&mut self.gathered.values).zip(columns()) {
            if !value.is_nan() {
                *sum = match column {
                    Greatest if *count > 0 => sum.max(*value),
                    Greatest => *value,
                    Mean => *sum + value,
                };
                *count += 1;
            }
        }
    }

    /// Ends the step that is not over.
    pub(super) fn finish(&mut self) {
        let gathered = std::mem::take(&mut self.gathered);
        if gathered.values.is_empty() {
            return;
        }
        #[expect(clippy::cast_precision_loss, reason = "there are at most 300 of them")]
        let one = |((value, count), column): (&(f32, u32), Column)| match (count, column) {
            (0, _) => f32::NAN,
            (_, Greatest) => *value,
            (count, Mean) => value / *count as f32,
        };
        let row: Vec<f32> = gathered.values.iter().zip(columns()).map(one).collect();
        self.push(gathered.at, &row);
    }

    /// Returns when each point since then was, and an iterator over the values of a column of the same points.
    pub(crate) fn since(&self, since: u32) -> (Vec<u32>, impl Fn(usize) -> Vec<f32> + '_) {
        let from = self.at.partition_point(|at| *at < since);
        let at = self.at.iter().skip(from).copied().collect();
        let column = move |column: usize| {
            self.rows.iter().skip(from * self.width() + column).step_by(self.width()).copied().collect()
        };
        (at, column)
    }

    fn push(&mut self, at: u32, row: &[f32]) {
        // A clock that was set back does not bend the line: what it would tell twice is told once.
        if row.len() != self.width() || self.at.back().is_some_and(|last| *last >= at) {
            return;
        }
        if self.at.len() == self.most {
            self.at.pop_front();
            self.rows.drain(..self.width());
        }
        self.at.push_back(at);
        self.rows.extend(row);
    }

    /// Has these columns of limits from now on, each filled from one of those before, if from any.
    pub(super) fn refit(&mut self, from: &[Option<usize>]) {
        self.finish();
        let (before, own) = (self.width(), OF_RESOURCE.len());
        let old: Vec<f32> = std::mem::take(&mut self.rows).into();
        for row in old.chunks_exact(before) {
            let (resource, limits) = row.split_at(own);
            self.rows.extend(resource);
            for from in from {
                let kept = from.and_then(|from| limits.chunks_exact(OF_LIMIT.len()).nth(from));
                self.rows.extend(kept.unwrap_or(&[f32::NAN; OF_LIMIT.len()]));
            }
        }
        self.limits = from.len();
    }
}

fn columns() -> impl Iterator<Item = Column> {
    OF_RESOURCE.into_iter().chain(OF_LIMIT.into_iter().cycle())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(value: f32) -> Vec<f32> {
        vec![value; OF_RESOURCE.len() + OF_LIMIT.len()]
    }

    #[test]
    fn a_ring_keeps_the_last_points() {
        let mut ring = Ring::new(1, 3, 1);
        for at in [1, 2, 2, 1, 5, 6] {
            ring.add(at, &row(1.0));
        }
        let (at, column) = ring.since(0);
        assert_eq!(at, vec![2, 5, 6]);
        assert_eq!(column(13).len(), 3);
        assert_eq!(ring.since(5).0, vec![5, 6]);
        assert_eq!(ring.rows.len(), 3 * ring.width());
    }

    #[test]
    fn points_of_a_step_become_one() {
        let mut ring = Ring::new(10, 5, 1);
        for (at, value) in [(100, 1.0), (101, 3.0), (109, f32::NAN), (110, 9.0)] {
            ring.add(at, &row(value));
        }
        let (at, column) = ring.since(0);
        assert_eq!((at, column(0), column(1), column(10)), (vec![100], vec![2.0], vec![3.0], vec![2.0]));
    }

    #[test]
    fn columns_follow_their_limits() {
        let mut ring = Ring::new(1, 5, 1);
        ring.add(1, &row(7.0));
        ring.refit(&[None, Some(0)]);
        let (_, column) = ring.since(0);
        assert!(column(10)[0].is_nan());
        assert_eq!((column(0)[0], column(14)[0]), (7.0, 7.0));
    }
}
