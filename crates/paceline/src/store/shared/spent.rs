//! What this process was granted, so that a ledger that lost its state can be told.

use std::collections::{BTreeMap, VecDeque};

use paceline_core::{Amounts, Millis, Name};

/// Where something was granted: a seat, and the caller's lane.
pub(super) type Spot = (usize, Option<Name>);

/// What was granted in all, and what it was at certain steps of the ledger.
#[derive(Default)]
pub(super) struct Spent {
    total: BTreeMap<Spot, Amounts>,
    kept: VecDeque<Checkpoint>,
}

struct Checkpoint {
    seq: u64,
    at: Millis,
    total: BTreeMap<Spot, Amounts>,
}

/// How many checkpoints are kept, and how many milliseconds are between them at the least.
const KEPT: usize = 128;
const APART: Millis = 1_000;

impl Spent {
    pub(super) fn add(&mut self, slot: usize, lane: Option<&Name>, granted: &Amounts) {
        let total = self.total.entry((slot, lane.cloned())).or_default();
        for (metric, amount) in granted.iter() {
            let sum = total.amount(metric).saturating_add(amount);
            total.set(metric, sum);
        }
    }

    /// Notes what was granted up to a step.
    pub(super) fn checkpoint(&mut self, seq: u64, now: Millis) {
        if self.kept.back().is_some_and(|last| now < last.at.saturating_add(APART)) {
            return;
        }
        if self.kept.len() >= KEPT {
            // The older half is thinned, so that the oldest reach far back.
            let mut at = 0;
            self.kept.retain(|_| {
                at += 1;
                at > KEPT / 2 || at % 2 == 1
            });
        }
        self.kept.push_back(Checkpoint { seq, at: now, total: self.total.clone() });
    }

    /// Returns what was granted since a step, or where no step is left, within a time.
    pub(super) fn since(&self, restored: Option<u64>, now: Millis, window: Millis) -> Vec<(Spot, Amounts)> {
        let counts = |kept: &&Checkpoint| match restored {
            Some(seq) => kept.seq <= seq,
            None => kept.at.saturating_add(window) <= now,
        };
        let before = self.kept.iter().rev().find(counts);
        let grown = self.total.iter().map(|(spot, total)| {
            let then = before.and_then(|kept| kept.total.get(spot));
            let grown = total.iter().map(|(metric, amount)| {
                (metric, amount - then.map_or(0, |then| then.amount(metric)).min(amount))
            });
            (spot.clone(), Amounts::of(grown.filter(|(_, amount)| *amount > 0)))
        });
        grown.filter(|(_, grown)| !grown.is_empty()).collect()
    }

    /// Puts all checkpoints before the steps of an epoch that begins.
    pub(super) fn begin_anew(&mut self) {
        self.kept.iter_mut().for_each(|kept| kept.seq = 0);
    }
}
