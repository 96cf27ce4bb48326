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

/// A grant of two tokens at an instant, to a ticket that arrived so much before, held for 10 ms.
fn granted(id: &str, wall: u64, waited: u64) -> Grant {
    Grant {
        worker: 0,
        tag: id.to_owned(),
        id: id.to_owned(),
        lane: "a".to_owned(),
        wall,
        waited,
        tokens: 2,
        via: "Ledger".to_owned(),
        end: Some(End { how: "settled".to_owned(), before: wall + 10 }),
    }
}

/// Whether the judge objects, under two slots and ten tokens each second.
fn objects(grants: &[Grant]) -> bool {
    let plan = Plan::slots("", 2).tokens(10, 1_000);
    std::panic::catch_unwind(|| judge(&plan, grants, &BTreeMap::new())).is_err()
}

#[test]
fn the_judge_objects_to_what_is_wrong_alone() {
    let fine = [granted("1", 1_000, 0), granted("2", 1_005, 3), granted("3", 1_010, 1)];
    assert!(!objects(&fine));
    assert!(objects(&[granted("1", 1_000, 0), granted("1", 1_050, 0)]), "twice");
    assert!(objects(&[granted("1", 1_000, 0), granted("2", 1_050, 90)]), "passed in line");
    assert!(
        objects(&[granted("1", 1_000, 0), granted("2", 1_001, 0), granted("3", 1_002, 0)]),
        "three in two slots"
    );
    let six: Vec<_> = (0..6).map(|at| granted(&at.to_string(), 1_000 + 20 * at, 0)).collect();
    assert!(!objects(&six[..5]), "the bucket was full");
    assert!(objects(&six), "twelve tokens, and one earned");
    let mut back = six;
    back[4].end = Some(End { how: "back".to_owned(), before: 1_090 });
    assert!(!objects(&back), "two came back");
}
