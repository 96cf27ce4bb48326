//! Counts that only grow become rates: over the last second for the history, over the last ten for those who watch.

use std::collections::{BTreeMap, VecDeque};

use paceline::Name;
use paceline::host::{Tally, Waits};

/// How many samples are kept: those of the last ten seconds, and the one before.
const KEPT: usize = 11;

/// The last samples of all resources, each with its time in milliseconds.
#[derive(Default)]
pub(crate) struct Rates {
    samples: VecDeque<(u64, BTreeMap<Name, Tally>)>,
}

/// What a resource did in a stretch of time.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Pace {
    pub(crate) grants_per_second: f64,
    pub(crate) refusals_per_second: f64,
    /// Waits of those that were granted, in milliseconds.
    pub(crate) p50: Option<u64>,
    pub(crate) p95: Option<u64>,
    pub(crate) longest: Option<u64>,
    /// What settled permits had reserved a second, and what they used, of the metric that estimates are about.
    pub(crate) settled: Option<Settled>,
}

/// What settled permits had reserved a second, and what they used.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Settled {
    pub(crate) metric: Name,
    pub(crate) reserved_per_second: f64,
    pub(crate) used_per_second: f64,
}

impl Rates {
    /// Adds a sample.
    pub(crate) fn take(&mut self, at_ms: u64, tallies: BTreeMap<Name, Tally>) {
        if self.samples.len() == KEPT {
            self.samples.pop_front();
        }
        self.samples.push_back((at_ms, tallies));
    }

    /// Returns what a resource did since the sample before.
    pub(crate) fn of_second(&self, resource: &str) -> Pace {
        self.pace(resource, self.samples.len().saturating_sub(2))
    }

    /// Returns what a resource did in the last ten seconds.
    pub(crate) fn of_late(&self, resource: &str) -> Pace {
        self.pace(resource, 0)
    }

    fn pace(&self, resource: &str, from: usize) -> Pace {
        let (Some((start, before)), Some((end, after))) = (self.samples.get(from), self.samples.back())
        else {
            return Pace::default();
        };
        let Some(last) = after.get(resource).filter(|_| end > start) else { return Pace::default() };
        let nothing = Tally::default();
        // A ledger that was begun anew counts from nothing.
        let first = before.get(resource).filter(|first| first.granted <= last.granted).unwrap_or(&nothing);
        #[expect(clippy::cast_precision_loss, reason = "rates are for people")]
        let a_second = |amount: u64| amount as f64 * 1_000.0 / (end - start) as f64;
        let waits: Waits = last.waits.since(&first.waits);
        Pace {
            grants_per_second: a_second(last.granted - first.granted),
            refusals_per_second: a_second(last.refused.saturating_sub(first.refused)),
            p50: waits.percentile(50),
            p95: waits.percentile(95),
            longest: waits.percentile(100),
            settled: settled(first, last, a_second),
        }
    }
}

/// What estimates are about: tokens rather than anything else, never requests.
fn settled(first: &Tally, last: &Tally, a_second: impl Fn(u64) -> f64) -> Option<Settled> {
    let guessed = last.settled.iter().filter(|of| !matches!(&*of.metric, "requests" | "concurrent_requests"));
    let of = guessed.min_by_key(|of| match &*of.metric {
        "tokens" => 0,
        "output_tokens" => 1,
        "input_tokens" => 2,
        _ => 3,
    })?;
    let before = first.settled.iter().find(|before| before.metric == of.metric);
    let (reserved, used) = before.map_or((0, 0), |before| (before.reserved, before.used));
    Some(Settled {
        metric: Name::clone(&of.metric),
        reserved_per_second: a_second(of.reserved.saturating_sub(reserved)),
        used_per_second: a_second(of.used.saturating_sub(used)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(granted: u64, waited: u64) -> BTreeMap<Name, Tally> {
        let mut tally = Tally::default();
        tally.granted = granted;
        (0..granted).for_each(|_| tally.waits.note(waited));
        BTreeMap::from([("gpt".into(), tally)])
    }

    #[test]
    fn a_rate_is_of_its_stretch() {
        let mut rates = Rates::default();
        assert_eq!(rates.of_late("gpt"), Pace::default());
        rates.take(1_000, BTreeMap::new());
        rates.take(2_000, tally(10, 0));
        rates.take(3_000, tally(10, 0));
        rates.take(5_000, tally(30, 0));
        #[expect(clippy::cast_possible_truncation, reason = "it is small")]
        let grants = |pace: Pace| pace.grants_per_second.round() as i64;
        assert_eq!((grants(rates.of_second("gpt")), grants(rates.of_late("gpt"))), (10, 8));
        assert_eq!(rates.of_late("gpt").p95, Some(0));
        rates.take(6_000, tally(3, 0));
        assert_eq!(grants(rates.of_second("gpt")), 3, "it was begun anew");
        assert_eq!(rates.of_second("other"), Pace::default());
    }
}
