//! Never over at the far end: every call travels for a while before the provider sees it, and providers that count in
//! their several ways, here as plain lists of what was counted when, never see more than they allow.

mod exam;

use exam::generate::cases;
use exam::provider::{bucket, fixed, log};
use paceline_core::{
    Algorithm, Boundaries, Configuration, Counting, LimitSpec, Millis, NEVER, ResourceSpec, SessionId,
    TicketId, Verdict,
};
use paceline_sim::exam::{Answer, Ask, InMemory, Subject, Want};
use proptest::prelude::*;

/// What one call does, in milliseconds and tokens.
#[derive(Debug, Clone)]
struct Call {
    gap: Millis,
    reserve: u64,
    /// How much of the reservation is used, in eighths.
    used: u64,
    travel: Millis,
    lasts: Millis,
    /// How long after its end the settlement arrives.
    back: Millis,
}

impl Call {
    fn used(&self) -> u64 {
        self.reserve * self.used / 8
    }
}

/// When a provider counts.
#[derive(Debug, Clone, Copy)]
enum When {
    OnArrival,
    Produced,
    AtTheEnd,
}

/// Lets the calls go through a ledger with one limit, and returns each call's grant.
fn drive(spec: &LimitSpec, calls: &[Call]) -> Vec<(Millis, Call)> {
    drive_noting(spec, calls, |_, _| {})
}

/// The same, noting when how much was returned.
fn drive_noting(
    spec: &LimitSpec,
    calls: &[Call],
    mut returned: impl FnMut(Millis, u64),
) -> Vec<(Millis, Call)> {
    let mut ledger = InMemory::new();
    ledger.apply(0, Ask::Configure(Configuration::new([spec.clone().member("a")], [ResourceSpec::new("a")])));
    ledger.apply(0, Ask::Touch { session: SessionId(1), time_out: None });
    let mut granted: Vec<(Millis, Call)> = Vec::new();
    let mut settles: Vec<(Millis, u64, u64)> = Vec::new();
    let (mut now, mut next, mut arrives) = (0, 0, calls.first().map_or(0, |call| call.gap));
    let permit = |number| TicketId { session: SessionId(1), number };
    for _ in 0..10_000 {
        let due = ledger.next_wakeup().map(|due| now + due);
        let arrival = (next < calls.len()).then_some(arrives);
        let settle = settles.iter().map(|(at, ..)| *at).min();
        let Some(then) = [due, arrival, settle].into_iter().flatten().min() else { break };
        now = then.max(now);
        let mut went = Vec::new();
        if settle == Some(then) {
            let at = settles.iter().position(|(at, ..)| *at == then).unwrap_or(0);
            let (_, number, used) = settles.remove(at);
            let usage = Some([("tokens".to_string(), used)].into());
            if let Answer::Settled { returned: back, .. } =
                ledger.apply(now, Ask::Settle { permit: permit(number), usage })
            {
                returned(now, back.get("tokens").copied().unwrap_or(0));
            }
        } else if arrival == Some(then) {
            let number = next as u64 + 1;
            let demand = [("tokens".to_string(), calls[next].reserve)].into();
            let (ticket, resource) = (permit(number), "a".to_string());
            let want =
                Want { ticket, resource, lane: None, demand, head_start: 0, within: NEVER, wait: true };
            if ledger.apply(now, Ask::Acquire(want)) == Answer::Granted {
                went.push(number);
            }
            next += 1;
            arrives = now + calls.get(next).map_or(0, |call| call.gap);
        } else {
            ledger.batch(now, &[]);
        }
        let decided = ledger.drain().into_iter();
        let decided = decided.filter(|decision| matches!(decision.verdict, Verdict::Granted { .. }));
        went.extend(decided.map(|decision| decision.ticket.number));
        for number in went {
            let call = calls[usize::try_from(number).unwrap_or(1) - 1].clone();
            settles.push((now + call.travel + call.lasts + call.back, number, call.used()));
            granted.push((now, call));
        }
    }
    granted
}

/// What a provider counts, and when.
fn counts(granted: &[(Millis, Call)], when: When) -> Vec<(Millis, u64)> {
    let mut counts = Vec::new();
    for (at, call) in granted {
        let arrival = at + call.travel;
        match when {
            When::OnArrival => counts.push((arrival, call.used())),
            When::AtTheEnd => counts.push((arrival + call.lasts, call.used())),
            When::Produced => {
                let parts = 5;
                for part in 1..=parts {
                    let sum = |part: u64| call.used() * part / parts;
                    counts.push((arrival + call.lasts * part / parts, sum(part) - sum(part - 1)));
                }
            }
        }
    }
    counts.sort_unstable();
    counts
}

fn calls(largest: u64, transit: Millis) -> impl Strategy<Value = Vec<Call>> {
    let gap = prop_oneof![3 => Just(0u64), 2 => 0u64..20, 1 => 0u64..400];
    let call = (gap, 1..=largest, 0u64..9, 0..=transit, 0u64..200, 0u64..20);
    let call = call.prop_map(|(gap, reserve, used, travel, lasts, back)| Call {
        gap,
        reserve,
        used,
        travel,
        lasts,
        back,
    });
    prop::collection::vec(call, 1..40)
}

/// A limit's amount, window and transit, and calls that fit.
fn load() -> impl Strategy<Value = (u64, Millis, Millis, Vec<Call>)> {
    (4u64..40, 40u64..200, 0u64..12).prop_flat_map(|(amount, window, transit)| {
        (Just(amount), Just(window), Just(transit), calls(amount, transit))
    })
}

/// Calls of which all that is reserved is used.
fn in_full(mut calls: Vec<Call>) -> Vec<Call> {
    for call in &mut calls {
        call.used = 8;
    }
    calls
}

fn limit(amount: u64, algorithm: Algorithm, transit: Millis, counting: Counting) -> LimitSpec {
    let mut spec = LimitSpec::new("tpm", "tokens", amount, algorithm).transit(transit);
    spec.counting = counting;
    spec
}

const WAYS: [When; 3] = [When::OnArrival, When::Produced, When::AtTheEnd];

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(40, 12_000), failure_persistence: None, ..Default::default() })]

    #[test]
    fn a_bucket_charged_at_the_grant_never_overfills_one_that_counts_on_arrival(
        (amount, window, transit, calls) in load(), burst in 1u64..40,
    ) {
        let algorithm = Algorithm::TokenBucket { window, burst };
        let granted = drive(&limit(amount, algorithm, transit, Counting::AtGrant), &in_full(calls));
        bucket(&counts(&granted, When::OnArrival), amount, window, burst).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn a_bucket_held_until_settled_never_overfills_any(
        (amount, window, transit, calls) in load(), burst in 1u64..40,
    ) {
        let algorithm = Algorithm::TokenBucket { window, burst };
        let granted = drive(&limit(amount, algorithm, transit, Counting::UntilSettled), &calls);
        for way in WAYS {
            bucket(&counts(&granted, way), amount, window, burst)
                .map_err(|error| TestCaseError::fail(format!("{way:?}: {error}")))?;
        }
    }

    #[test]
    fn a_sliding_window_is_safe_against_all_that_count_on_arrival(
        (amount, window, transit, calls) in load(), slots in 1u32..12, phase in 0u64..200,
    ) {
        let algorithm = Algorithm::SlidingWindow { window, slots };
        let granted = drive(&limit(amount, algorithm, transit, Counting::AtGrant), &in_full(calls));
        let seen = counts(&granted, When::OnArrival);
        log(&seen, amount, window).map_err(TestCaseError::fail)?;
        fixed(&seen, amount, window, phase).map_err(TestCaseError::fail)?;
        bucket(&seen, amount, window, amount).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn a_sliding_window_held_until_settled_is_safe_against_all(
        (amount, window, transit, calls) in load(), slots in 1u32..12, phase in 0u64..200,
    ) {
        let algorithm = Algorithm::SlidingWindow { window, slots };
        let granted = drive(&limit(amount, algorithm, transit, Counting::UntilSettled), &calls);
        for way in WAYS {
            let seen = counts(&granted, way);
            let fail = |error: String| TestCaseError::fail(format!("{way:?}: {error}"));
            log(&seen, amount, window).map_err(fail)?;
            fixed(&seen, amount, window, phase).map_err(fail)?;
            bucket(&seen, amount, window, amount).map_err(fail)?;
        }
    }

    #[test]
    fn a_fixed_window_with_a_margin_is_safe_on_both_sides(
        (amount, window, transit, calls) in load(), phase in 0u64..200,
    ) {
        let margin = transit.min(window / 4);
        let mut calls = in_full(calls);
        for call in &mut calls {
            call.travel = call.travel.min(margin);
        }
        let algorithm = Algorithm::FixedWindow { boundaries: Boundaries::Every { period: window, phase }, margin };
        let granted = drive(&limit(amount, algorithm, 0, Counting::AtGrant), &calls);
        fixed(&counts(&granted, When::OnArrival), amount, window, phase).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn concurrency_is_never_more_than_allowed((amount, _, transit, calls) in load()) {
        let granted = drive(&limit(amount, Algorithm::Concurrency, transit, Counting::AtGrant), &calls);
        for (at, _) in &granted {
            let inside = granted.iter().filter(|(begun, call)| {
                begun <= at && begun + call.travel + call.lasts + call.back > *at
            });
            let sum: u64 = inside.map(|(_, call)| call.reserve).sum();
            prop_assert!(sum <= amount, "{sum} of {amount} in flight at {at}");
        }
    }

    #[test]
    fn promise_01_a_bucket_grants_no_more_than_burst_rate_and_returns(
        (amount, window, transit, calls) in load(), burst in 1u64..40,
    ) {
        let algorithm = Algorithm::TokenBucket { window, burst };
        let mut returns = Vec::new();
        let spec = limit(amount, algorithm, transit, Counting::AtGrant);
        let granted = drive_noting(&spec, &calls, |at, back| returns.push((at, back)));
        for (from, _) in &granted {
            for (to, _) in granted.iter().filter(|(to, _)| to >= from) {
                let inside = granted.iter().filter(|(at, _)| (from..=to).contains(&at));
                let sum: u64 = inside.map(|(_, call)| call.reserve).sum();
                let back: u64 = returns.iter().filter(|(at, _)| (from..=to).contains(&at)).map(|(_, back)| back).sum();
                let most = burst + (amount * (to - from)).div_ceil(window) + back;
                prop_assert!(sum <= most, "{sum} of {most} from {from} to {to}");
            }
        }
    }

    #[test]
    fn promise_01_a_sliding_window_counts_no_more_than_its_amount(
        (amount, window, transit, calls) in load(), slots in 1u32..12,
    ) {
        let spec = limit(amount, Algorithm::SlidingWindow { window, slots }, transit, Counting::AtGrant);
        let granted = drive(&spec, &calls);
        let settled = |begun: Millis, call: &Call| begun + call.travel + call.lasts + call.back;
        for (to, _) in &granted {
            let inside = granted.iter().filter(|(at, _)| at <= to && at + window > *to);
            let counts = inside.map(|(at, call)| if settled(*at, call) <= *to { call.used() } else { call.reserve });
            prop_assert!(counts.sum::<u64>() <= amount, "more than {amount} before {to}");
        }
    }
}
