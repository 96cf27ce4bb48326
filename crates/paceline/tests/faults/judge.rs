//! Judges what workers did by the store's own times: never over, in line, nothing twice.

use std::collections::{BTreeMap, BTreeSet};

use crate::plan::Plan;

/// How far the clocks of workers and of the server may be apart, in milliseconds: each is cut to whole ones.
const APART: u64 = 3;

/// A permit that a worker had.
#[derive(Debug, Clone)]
pub(crate) struct Grant {
    pub(crate) worker: usize,
    pub(crate) tag: String,
    pub(crate) id: String,
    pub(crate) lane: String,
    /// When the store granted it, by its clock; 0 where no store did.
    pub(crate) wall: u64,
    /// How long its ticket was in line before, by the store's clock.
    pub(crate) waited: u64,
    pub(crate) tokens: u64,
    pub(crate) via: String,
    pub(crate) end: Option<End>,
}

/// How a permit ended.
#[derive(Debug, Clone)]
pub(crate) struct End {
    /// `settled`, `back`, `over`, `unavailable` or `failed`; empty where its worker did not live to say so.
    pub(crate) how: String,
    /// When its worker asked for that.
    pub(crate) before: u64,
}

impl Grant {
    /// When the store applied its ticket.
    fn arrival(&self) -> u64 {
        self.wall - self.waited
    }

    fn is_of_store(&self) -> bool {
        self.via == "Ledger"
    }
}

/// Judges all of it. `held_until` says until when a worker surely held what it did not end.
pub(crate) fn judge(plan: &Plan, grants: &[Grant], held_until: &BTreeMap<usize, u64>) {
    let mut grants: Vec<_> = grants.iter().filter(|grant| grant.is_of_store()).cloned().collect();
    assert!(grants.iter().all(|grant| grant.wall > 0), "every grant of a store says when it was");
    grants.sort_by_key(|grant| (grant.wall, grant.arrival()));
    nothing_twice(&grants);
    in_line(&grants);
    if plan.slots > 0 {
        never_over_slots(plan, &grants, held_until);
    }
    if plan.tokens > 0 {
        never_over_tokens(plan, &grants);
    }
}

fn nothing_twice(grants: &[Grant]) {
    let ids: BTreeSet<_> = grants.iter().map(|grant| &grant.id).collect();
    assert_eq!(ids.len(), grants.len(), "a permit was granted twice");
}

/// Within a lane, who was there first by the store's clock went first.
fn in_line(grants: &[Grant]) {
    let mut latest: BTreeMap<&str, &Grant> = BTreeMap::new();
    for grant in grants {
        if let Some(before) = latest.get(grant.lane.as_str()) {
            let passed = before.wall < grant.wall && before.arrival() > grant.arrival() + 1;
            assert!(!passed, "{before:?} passed {grant:?}");
        }
        let newest = latest.entry(&grant.lane).or_insert(grant);
        if newest.arrival() < grant.arrival() {
            *newest = grant;
        }
    }
}

/// At no instant more calls were under way than may.
fn never_over_slots(plan: &Plan, grants: &[Grant], held_until: &BTreeMap<usize, u64>) {
    let mut ends: Vec<(u64, &Grant)> = Vec::new();
    for grant in grants {
        ends.retain(|(end, _)| *end > grant.wall);
        let end = match &grant.end {
            // What had ended by itself ended nobody knows when.
            Some(end) if end.how == "over" => grant.wall,
            Some(end) => end.before.saturating_sub(APART),
            None => held_until.get(&grant.worker).copied().unwrap_or(grant.wall),
        };
        ends.push((end, grant));
        let many = u64::try_from(ends.len()).unwrap();
        assert!(many <= plan.slots, "{many} calls are under way where {} may: {ends:#?}", plan.slots);
    }
}

/// A bucket that starts full is never drawn below empty.
fn never_over_tokens(plan: &Plan, grants: &[Grant]) {
    let backs = grants.iter().filter_map(|grant| {
        // Also where nobody knows whether it came back.
        let end = grant.end.as_ref().filter(|end| !matches!(end.how.as_str(), "settled" | "over"))?;
        Some((end.before.saturating_sub(APART).max(grant.wall), grant.tokens, true))
    });
    let drawn = grants.iter().map(|grant| (grant.wall, grant.tokens, false));
    let mut steps: Vec<_> = drawn.chain(backs).collect();
    steps.sort_by_key(|(at, _, back)| (*at, !back));
    // In units of a token a window. What came back may be above the brim: the store may have had it a little later.
    let unit = |tokens: u64| u128::from(tokens) * u128::from(plan.window);
    let (full, mut level) = (unit(plan.tokens), unit(plan.tokens));
    let mut last = steps.first().map_or(0, |step| step.0);
    for (at, tokens, back) in steps {
        let earned = u128::from(at - last) * u128::from(plan.tokens);
        (level, last) = (level.max((level + earned).min(full)), at);
        if back {
            level += unit(tokens);
        } else {
            // A grant of this very millisecond may have had what came with its end.
            let tick = u128::from(plan.tokens);
            assert!(level + tick >= unit(tokens), "at {at} {tokens} tokens were granted that were not there");
            level = level.saturating_sub(unit(tokens));
        }
    }
}
