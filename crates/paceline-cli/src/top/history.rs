//! What was seen before: how fast things go now, and how they went.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::sample::{Lane, Limit, Resource, Sample, count};

/// How many points of each series are kept: ten minutes at a look a second.
pub(crate) const KEPT: usize = 600;

/// Over how many seconds grants and refusals are averaged.
const RECENT: f64 = 10.0;

/// Over how many seconds what is spent is averaged: single calls are large.
const SPENT: f64 = 20.0;

/// The last points of something, with the time between each and the one before it, in seconds.
#[derive(Debug, Clone, Default)]
pub(crate) struct Series(VecDeque<(f64, f64)>);

impl Series {
    fn push(&mut self, value: f64, after: f64) {
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back((value, after));
    }

    /// Iterates over the values, the oldest first.
    pub(crate) fn values(&self) -> impl DoubleEndedIterator<Item = f64> + '_ {
        self.0.iter().map(|(value, _)| *value)
    }

    /// Returns the points as (seconds before the last, value), the oldest first.
    pub(crate) fn points(&self) -> Vec<(f64, f64)> {
        let mut ago = 0.0;
        let mut points: Vec<_> = self
            .0
            .iter()
            .rev()
            .map(|(value, after)| {
                let point = (-ago, *value);
                ago += after;
                point
            })
            .collect();
        points.reverse();
        points
    }

    /// Returns the mean over the last so many seconds; `None` before there is anything.
    fn mean(&self, seconds: f64) -> Option<f64> {
        let (mut sum, mut time) = (0.0, 0.0);
        for (value, after) in self.0.iter().rev() {
            if time >= seconds {
                break;
            }
            sum += value * after;
            time += after;
        }
        (time > 0.0).then(|| sum / time)
    }

    /// Returns the mean of the last ten seconds; `None` before there is anything.
    pub(crate) fn recent(&self) -> Option<f64> {
        self.mean(RECENT)
    }
}

/// How a resource went.
#[derive(Debug, Clone, Default)]
pub(crate) struct Course {
    pub(crate) waiting: Series,
    /// Seconds.
    pub(crate) oldest: Series,
    pub(crate) in_flight: Series,
    /// Permits granted a second.
    pub(crate) grants: Series,
    /// Callers refused a second, where the store tells of them.
    pub(crate) refusals: Series,
    lanes: BTreeMap<Option<String>, Series>,
}

/// How a limit went.
#[derive(Debug, Clone, Default)]
pub(crate) struct Flow {
    /// What was used and reserved.
    pub(crate) taken: Series,
    /// What was spent a second, after what went back.
    spent: Series,
    /// Whether it refills all the time, as buckets do, rather than by windows that end.
    pub(crate) refills: Option<bool>,
}

/// All that was seen.
#[derive(Debug, Default)]
pub(crate) struct History {
    resources: BTreeMap<(String, String), Course>,
    limits: BTreeMap<(String, String), Flow>,
    last: Option<(Sample, f64)>,
    /// Refusals since the last look, by resource.
    refused: BTreeMap<String, u64>,
}

impl History {
    /// Notes that a caller was refused.
    pub(crate) fn refused(&mut self, resource: &str) {
        *self.refused.entry(resource.to_owned()).or_default() += 1;
    }

    /// Takes in a look, of so many seconds on some clock.
    pub(crate) fn take(&mut self, sample: &Sample, at: f64) {
        let before = self.last.take();
        let after = before.as_ref().map_or(0.0, |(_, then)| (at - then).max(0.001));
        let refused = std::mem::take(&mut self.refused);
        for ledger in &sample.ledgers {
            let then = before.as_ref().and_then(|(sample, _)| find(sample, &ledger.name));
            // A limit that several resources share is met once for each of them.
            let mut met = BTreeSet::new();
            for resource in &ledger.resources {
                let key = (ledger.name.clone(), resource.name.clone());
                let then = then.and_then(|then| then.iter().find(|other| other.name == resource.name));
                let refused = refused.get(&resource.name).copied().unwrap_or(0);
                self.resources.entry(key).or_default().take(resource, then, refused, after);
                for limit in resource.limits.iter().filter(|limit| met.insert(&limit.name)) {
                    let key = (ledger.name.clone(), limit.name.clone());
                    let then = then.and_then(|then| then.limits.iter().find(|old| old.name == limit.name));
                    self.limits.entry(key).or_default().take(limit, then, after);
                }
            }
        }
        let is = |ledger: &str, name: &str, has: &dyn Fn(&Resource) -> bool| {
            find(sample, ledger)
                .is_some_and(|resources| resources.iter().any(|it| it.name == name || has(it)))
        };
        self.resources.retain(|(ledger, name), _| is(ledger, name, &|_| false));
        self.limits.retain(|(ledger, name), _| {
            is(ledger, "", &|resource| resource.limits.iter().any(|limit| limit.name == *name))
        });
        self.last = Some((sample.clone(), at));
    }

    /// Returns how a resource went.
    pub(crate) fn course(&self, ledger: &str, resource: &str) -> Option<&Course> {
        self.resources.get(&(ledger.to_owned(), resource.to_owned()))
    }

    /// Returns how a limit went.
    pub(crate) fn flow(&self, ledger: &str, limit: &str) -> Option<&Flow> {
        self.limits.get(&(ledger.to_owned(), limit.to_owned()))
    }
}

fn find<'a>(sample: &'a Sample, ledger: &str) -> Option<&'a [Resource]> {
    sample.ledgers.iter().find(|other| other.name == ledger).map(|ledger| ledger.resources.as_slice())
}

impl Course {
    fn take(&mut self, now: &Resource, then: Option<&Resource>, refused: u64, after: f64) {
        self.waiting.push(count(now.waiting), after);
        self.oldest.push(now.oldest().unwrap_or(0.0), after);
        self.in_flight.push(count(now.in_flight), after);
        let Some(then) = then.filter(|_| after > 0.0) else { return };
        self.refusals.push(count(refused) / after, after);
        let mut all = 0;
        for lane in &now.lanes {
            let granted = since(lane, then.lanes.iter().find(|other| other.name == lane.name));
            all += granted;
            self.lanes.entry(lane.name.clone()).or_default().push(count(granted) / after, after);
        }
        self.lanes.retain(|name, _| now.lanes.iter().any(|lane| lane.name == *name));
        self.grants.push(count(all) / after, after);
    }

    /// Returns how many permits a lane is granted a second.
    pub(crate) fn grants_of(&self, lane: Option<&str>) -> Option<f64> {
        self.lanes.get(&lane.map(str::to_owned))?.recent()
    }
}

/// Returns how many permits a lane was granted since; a lane that was forgotten meanwhile counts anew.
fn since(lane: &Lane, then: Option<&Lane>) -> u64 {
    let before = then.map_or(0, |then| then.granted);
    if lane.granted >= before { lane.granted - before } else { lane.granted }
}

impl Flow {
    fn take(&mut self, now: &Limit, then: Option<&Limit>, after: f64) {
        let taken = count(now.used.saturating_add(now.held));
        let Some(then) = then.filter(|_| after > 0.0) else {
            self.taken.push(taken, after);
            return;
        };
        self.refills = refills(now).or(self.refills);
        self.taken.push(taken, after);
        let moved = taken - count(then.used.saturating_add(then.held));
        let spent = match (now.came_back, then.came_back, now.window_seconds) {
            (Some(now_back), Some(then_back), _) => moved + count(now_back.saturating_sub(then_back)),
            (_, _, Some(window)) if self.refills != Some(false) => {
                let refilled = count(now.amount) / window * after;
                moved + refilled.min(count(then.used))
            }
            _ => moved.max(0.0),
        };
        self.spent.push(spent / after, after);
    }

    /// Returns how much is spent a second.
    pub(crate) fn rate(&self) -> Option<f64> {
        self.spent.mean(SPENT).map(|rate| rate.max(0.0))
    }
}

/// Returns whether a limit refills all the time, where that shows: the time until it is full is then what is used at
/// the rate of its window.
fn refills(limit: &Limit) -> Option<bool> {
    let (window, full_in) = (limit.window_seconds?, limit.full_in_seconds?);
    if limit.used == 0 || limit.amount == 0 {
        return None;
    }
    let expected = count(limit.used) * window / count(limit.amount);
    Some((full_in - expected).abs() <= 0.02 * expected + 0.01)
}

#[cfg(test)]
mod tests {
    use super::super::fixed;
    use super::*;

    fn bucket(used: u64) -> Sample {
        let mut limit = fixed::limit("tokens", 600, Some(60.0), used);
        limit.full_in_seconds = Some(count(used) / 10.0);
        fixed::of(vec![fixed::resource("gpt", vec![limit], Vec::new())])
    }

    #[test]
    fn what_a_bucket_spends_is_told_from_what_it_gets_back() {
        let mut history = History::default();
        history.take(&bucket(300), 0.0);
        // It got back 10 in a second, and still has 5 more used.
        history.take(&bucket(305), 1.0);
        let flow = history.flow("default", "gpt/tokens").unwrap();
        assert_eq!((flow.refills, flow.rate()), (Some(true), Some(15.0)));
        assert_eq!(flow.taken.points(), [(-1.0, 300.0), (0.0, 305.0)]);
    }

    #[test]
    fn a_window_that_ends_gives_nothing_back_before() {
        let window = |used| {
            let mut limit = fixed::limit("calls", 600, Some(60.0), used);
            limit.full_in_seconds = Some(50.0);
            fixed::of(vec![fixed::resource("gpt", vec![limit], Vec::new())])
        };
        let mut history = History::default();
        history.take(&window(100), 0.0);
        history.take(&window(104), 2.0);
        assert_eq!(history.flow("default", "gpt/calls").unwrap().rate(), Some(2.0));
    }

    #[test]
    fn grants_are_counted_by_lane_and_forgotten_lanes_anew() {
        let lanes = |batch, chat| {
            let lanes = vec![fixed::lane(Some("batch"), 0, batch), fixed::lane(Some("chat"), 0, chat)];
            fixed::of(vec![fixed::resource("gpt", Vec::new(), lanes)])
        };
        let mut history = History::default();
        history.take(&lanes(10, 5), 0.0);
        history.take(&lanes(14, 1), 1.0);
        let course = history.course("default", "gpt").unwrap();
        assert_eq!(course.grants_of(Some("batch")), Some(4.0));
        assert_eq!(course.grants_of(Some("chat")), Some(1.0));
        assert_eq!(course.grants.recent(), Some(5.0));
    }

    #[test]
    fn what_is_gone_is_forgotten_and_series_are_bounded() {
        let mut history = History::default();
        for second in 0..700 {
            history.take(&bucket(second), count(second));
        }
        assert_eq!(history.flow("default", "gpt/tokens").unwrap().taken.values().count(), KEPT);
        history.take(&Sample::default(), 701.0);
        assert!(
            history.course("default", "gpt").is_none() && history.flow("default", "gpt/tokens").is_none()
        );
    }
}
