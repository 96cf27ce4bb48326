//! Nobody at the head is delayed from behind: what passes a waiting head makes it go no later.

mod exam;

use std::collections::BTreeMap;

use exam::generate::{cases, whole};
use paceline_core::{
    Algorithm, Configuration, Counting, LaneSpec, LimitSpec, Millis, NEVER, ResourceSpec, SessionId,
    TicketId, Verdict,
};
use paceline_sim::exam::{Answer, Ask, InMemory, Subject, Want};
use proptest::prelude::*;

/// A call in a story of two lanes, of which `high` goes first.
#[derive(Debug, Clone)]
struct Call {
    at: Millis,
    high: bool,
    other: bool,
    demand: [u8; 3],
}

/// When a call was granted: at which time, in which step.
type Grants = BTreeMap<usize, (Millis, usize)>;

/// A store with two resources of two lanes, and what it granted.
struct Stage {
    ledger: InMemory,
    now: Millis,
    step: usize,
    granted: Grants,
    /// The calls of later lanes that have come.
    low: Vec<usize>,
    /// From this step on nobody is in a later lane.
    alone_from: Option<usize>,
}

impl Stage {
    fn new(limits: &[LimitSpec], alone_from: Option<usize>) -> Self {
        let lanes = |name: &str| {
            let high = LaneSpec::new("high").priority(1);
            ResourceSpec::new(name).lane(high).lane(LaneSpec::new("low"))
        };
        let mut ledger = InMemory::new();
        let configuration = Configuration::new(limits.iter().cloned(), [lanes("a"), lanes("b")]);
        ledger.apply(0, Ask::Configure(configuration));
        ledger.apply(0, Ask::Touch { session: SessionId(1), time_out: None });
        Self { ledger, now: 0, step: 0, granted: Grants::new(), low: Vec::new(), alone_from }
    }

    /// Begins a step; in the one from which nobody is behind, those who wait there leave first.
    fn begin(&mut self) {
        self.step += 1;
        if self.alone_from == Some(self.step) {
            for number in self.low.iter().filter(|number| !self.granted.contains_key(number)) {
                let ticket = TicketId { session: SessionId(1), number: *number as u64 };
                self.ledger.apply(self.now, Ask::Cancel { ticket });
            }
        }
    }

    fn note(&mut self) {
        for decision in self.ledger.drain() {
            if matches!(decision.verdict, Verdict::Granted { .. }) {
                let number = usize::try_from(decision.ticket.number).unwrap_or(0);
                self.granted.insert(number, (self.now, self.step));
            }
        }
    }

    /// Lets time pass from wake-up to wake-up.
    fn pass(&mut self, until: Millis) {
        loop {
            self.begin();
            let now = self.now;
            self.now = self.ledger.next_wakeup().map_or(until, |due| (now + due).min(until));
            self.ledger.batch(self.now, &[]);
            self.note();
            if self.now >= until {
                return;
            }
        }
    }

    fn acquire(&mut self, number: usize, call: &Call) {
        self.begin();
        if !call.high {
            self.low.push(number);
        }
        if !call.high && self.alone_from.is_some_and(|from| self.step >= from) {
            return;
        }
        let demand =
            exam::METRICS.iter().zip(call.demand).map(|(metric, amount)| ((*metric).into(), amount.into()));
        let want = Want {
            ticket: TicketId { session: SessionId(1), number: number as u64 },
            resource: if call.other { "b" } else { "a" }.into(),
            lane: Some(if call.high { "high" } else { "low" }.into()),
            demand: demand.collect(),
            head_start: 0,
            within: NEVER,
            wait: true,
        };
        let answer = self.ledger.apply(self.now, Ask::Acquire(want));
        self.note();
        if answer == Answer::Granted {
            self.granted.insert(number, (self.now, self.step));
        }
    }
}

/// Tells when each call was granted and in which step each came, with nobody in later lanes from a step on.
fn grants(limits: &[LimitSpec], calls: &[Call], alone_from: Option<usize>) -> (Grants, Vec<usize>) {
    let mut stage = Stage::new(limits, alone_from);
    let mut came = Vec::new();
    for (number, call) in (1..).zip(calls) {
        stage.pass(call.at);
        stage.acquire(number, call);
        came.push(stage.step);
    }
    stage.pass(calls.last().map_or(0, |call| call.at) + 20_000);
    (stage.granted, came)
}

/// Promise 4, for the lane that goes first: had nobody been behind its head while that waited, it would have gone no
/// earlier.
fn no_head_delayed(limits: &[LimitSpec], calls: &[Call]) -> Result<(), String> {
    let (all, came) = grants(limits, calls, None);
    let numbered = || (1..).zip(calls);
    for ((number, head), came) in numbered().zip(&came).filter(|((_, call), _)| call.high) {
        let Some((went, _)) = all.get(&number).copied().filter(|(_, step)| step > came) else { continue };
        let before = numbered().take(number - 1).filter(|(_, other)| other.high && other.other == head.other);
        let since = before.filter_map(|(before, _)| Some(all.get(&before)?.1)).max().unwrap_or(0).max(*came);
        let rival = numbered().any(|(other, call)| {
            call.high && call.other != head.other && all.get(&other).is_none_or(|(_, step)| *step >= since)
        });
        if rival {
            continue;
        }
        let alone = grants(limits, calls, Some(since)).0.get(&number).map(|(time, _)| *time);
        if alone.is_some_and(|alone| alone < went) {
            return Err(format!("call {number} went at {went}, and with nobody behind it at {alone:?}"));
        }
    }
    Ok(())
}

fn calls() -> impl Strategy<Value = Vec<Call>> {
    let call = (0u64..30, any::<bool>(), any::<bool>(), prop::array::uniform3(0u8..8));
    prop::collection::vec(call, 2..25).prop_map(|calls| {
        let mut at = 0;
        let told = calls.into_iter().map(|(gap, high, other, demand)| {
            at += gap;
            Call { at, high, other, demand }
        });
        told.collect()
    })
}

fn rate_limits() -> impl Strategy<Value = Vec<LimitSpec>> {
    let limits = whole().prop_map(|whole| {
        let rates = whole.limits.into_iter().filter(|limit| limit.algorithm != Algorithm::Concurrency);
        let rates = rates.map(|mut limit| {
            limit.members.retain(|member| &*member.resource != "c");
            limit.members.iter_mut().for_each(|member| member.lanes = paceline_core::Lanes::All);
            limit.counting = Counting::AtGrant;
            limit
        });
        rates.filter(|limit| !limit.members.is_empty()).collect::<Vec<_>>()
    });
    limits.prop_filter("no limits", |limits| !limits.is_empty())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(12, 30_000), failure_persistence: None, ..Default::default() })]

    #[test]
    fn promise_04_no_head_is_delayed_from_behind(limits in rate_limits(), calls in calls()) {
        no_head_delayed(&limits, &calls).map_err(TestCaseError::fail)?;
    }
}
