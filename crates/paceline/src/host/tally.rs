//! What a host counts of its resources for those who look on: grants, refusals, waits, and use against reservations.

use std::collections::BTreeMap;

use paceline_core::{
    Decision, Ledger, Metric, Millis, Name, Outcome, ResourceId, SessionId, TicketId, Verdict,
};

use crate::wire::Asked;

/// What was counted of one resource since this host began. Everything only grows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tally {
    /// How many permits were granted.
    pub granted: u64,
    /// How many asked and were told no at once.
    pub refused: u64,
    /// How long those waited that were granted.
    pub waits: Waits,
    /// What settled permits had reserved and then used, by metric.
    pub settled: Vec<Use>,
}

/// What settled permits had reserved of one metric, and what they used of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Use {
    /// The metric.
    pub metric: Name,
    /// What was reserved, in units of the metric.
    pub reserved: u64,
    /// What was used, in units of the metric.
    pub used: u64,
}

/// The octaves of milliseconds that are told apart: up to 70 minutes.
const OCTAVES: usize = 22;
/// The parts of an octave.
const PARTS: usize = 4;

/// Waits by their length, each known to within a fifth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waits {
    counts: [u64; 1 + OCTAVES * PARTS],
}

impl Default for Waits {
    fn default() -> Self {
        Self { counts: [0; 1 + OCTAVES * PARTS] }
    }
}

impl Waits {
    /// Counts a wait of so many milliseconds.
    pub fn note(&mut self, waited: Millis) {
        if let Some(count) = self.counts.get_mut(place(waited)) {
            *count += 1;
        }
    }

    /// Returns those that were counted here, and not yet in `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut since = self.clone();
        for (count, before) in since.counts.iter_mut().zip(earlier.counts) {
            *count = count.saturating_sub(before);
        }
        since
    }

    /// Returns how long, in milliseconds, this share of them waited at most: 50 for half of them, 100 for all. `None` where there
    /// are none.
    pub fn percentile(&self, share: u64) -> Option<Millis> {
        let all: u64 = self.counts.iter().sum();
        let rank = (all * share.min(100)).div_ceil(100).max(1);
        let mut sum = 0;
        let at = self.counts.iter().position(|count| {
            sum += count;
            sum >= rank
        });
        at.map(longest)
    }
}

/// Where a wait is counted.
fn place(waited: Millis) -> usize {
    let Some(octave) = waited.checked_ilog2() else { return 0 };
    let part = usize::try_from(((waited << 2) >> octave) & 3).unwrap_or(0);
    (1 + octave as usize * PARTS + part).min(OCTAVES * PARTS)
}

/// The longest wait that is counted at a place.
fn longest(place: usize) -> Millis {
    let Some(at) = place.checked_sub(1) else { return 0 };
    ((5 + (at % PARTS) as u64) << (at / PARTS)) >> 2
}

/// The counts of a ledger.
#[derive(Debug, Clone, Default)]
pub(super) struct Tallies {
    of: BTreeMap<ResourceId, Counts>,
}

#[derive(Debug, Clone, Default)]
struct Counts {
    granted: u64,
    refused: u64,
    waits: Waits,
    settled: Vec<(Metric, u64, u64)>,
}

impl Tallies {
    /// Counts what was said at once to what was asked.
    pub(super) fn answered(&mut self, asked: &Asked<'_>, outcome: &Outcome, ledger: &Ledger) {
        let Asked::Acquire { resource, .. } = asked else { return };
        let Some(id) = ledger.resource(resource) else { return };
        match outcome {
            Outcome::Granted => self.granted(id, 0),
            Outcome::Refused(_) => self.of.entry(id).or_default().refused += 1,
            _ => {}
        }
    }

    /// Counts what became of a ticket that waited.
    pub(super) fn decided(&mut self, decision: &Decision, ledger: &Ledger) {
        if let Verdict::Granted { waited } = &decision.verdict
            && let Some(permit) = ledger.permit(decision.ticket)
        {
            self.granted(permit.resource, *waited);
        }
    }

    fn granted(&mut self, resource: ResourceId, waited: Millis) {
        let counts = self.of.entry(resource).or_default();
        counts.granted += 1;
        counts.waits.note(waited);
    }

    /// Counts what a permit that is about to be settled had reserved, and what it used. One that is given back estimated
    /// nothing.
    pub(super) fn settles(&mut self, asked: &Asked<'_>, caller: Option<SessionId>, ledger: &Ledger) {
        let Asked::Settle { session, number, usage: Some(usage) } = asked else { return };
        let Some(session) = session.or(caller) else { return };
        let Some(permit) = ledger.permit(TicketId { session, number: *number }) else { return };
        let counts = self.of.entry(permit.resource).or_default();
        for (metric, reserved) in permit.reserved.iter() {
            let name = ledger.metric_name(metric);
            let said = usage.iter().find(|(said, _)| *said == name);
            let used = said.map_or(reserved, |(_, used)| *used);
            match counts.settled.iter_mut().find(|(known, ..)| *known == metric) {
                Some((_, sum, sum_used)) => (*sum, *sum_used) = (*sum + reserved, *sum_used + used),
                None => counts.settled.push((metric, reserved, used)),
            }
        }
    }

    /// Returns them by the names of the resources there are.
    pub(super) fn named(&self, ledger: &mut Ledger, now: Millis) -> Vec<(Name, Tally)> {
        let resources = ledger.snapshot(now).resources;
        let named = resources.into_iter().filter_map(|resource| {
            let counts = self.of.get(&resource.id)?;
            let settled = counts.settled.iter().map(|(metric, reserved, used)| Use {
                metric: ledger.metric_name(*metric).into(),
                reserved: *reserved,
                used: *used,
            });
            let settled = settled.collect();
            let (granted, refused, waits) = (counts.granted, counts.refused, counts.waits.clone());
            Some((resource.name, Tally { granted, refused, waits, settled }))
        });
        named.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_known_to_within_a_fifth() {
        for waited in (0..2_000).chain([59_999, 600_000, 3_600_000]) {
            let mut waits = Waits::default();
            waits.note(waited);
            let told = waits.percentile(100).unwrap();
            assert!(told >= waited && told * 4 <= waited * 5 + 4, "{waited} is told as {told}");
        }
        let mut waits = Waits::default();
        waits.note(Millis::MAX);
        assert!(waits.percentile(50) > Some(3_600_000));
    }

    #[test]
    fn percentiles_are_of_what_came_since() {
        let mut waits = Waits::default();
        assert_eq!(waits.percentile(50), None);
        (0..90).for_each(|_| waits.note(0));
        (0..10).for_each(|_| waits.note(8_000));
        assert_eq!((waits.percentile(50), waits.percentile(90)), (Some(0), Some(0)));
        assert!(waits.percentile(95) >= Some(8_000));
        let before = waits.clone();
        assert_eq!(waits.since(&before).percentile(100), None);
        waits.note(3);
        assert_eq!(waits.since(&before).percentile(50), Some(3));
    }
}
