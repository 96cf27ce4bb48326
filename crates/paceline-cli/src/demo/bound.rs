//! The earliest that a job can be granted in full: what the provider's own rule allows a limiter that knows of each
//! call only what it reserves.
//!
//! For each limit, with the calls granted in their order and each as soon as the limit allows:
//!
//! | limit | time of the last grant |
//! |---|---|
//! | refilled at a rate | (work − burst + held) ÷ rate |
//! | counted in windows | (⌈work ÷ amount⌉ − 1) × window |
//! | calls in flight | when the last but `amount` of the calls before it have ended |
//!
//! *Work* is what the provider counts in the end: the actual use where tokens return, the reservation where they never
//! do. *Held* is what the calls in flight at that moment have reserved beyond their use: it cannot be granted, for
//! nobody knows yet that it will come back. Nothing here knows how Paceline decides; a job's bound is the largest of its
//! limits' bounds. How many workers there are plays no part.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use paceline_sim::judge::{Algorithm, Limit};
use serde::Serialize;

/// What one call takes of one limit. Durations are in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Draft {
    /// What it reserves: at least what is used.
    pub(crate) reserved: u64,
    /// What the provider counts in the end.
    pub(crate) used: u64,
    /// How long it lasts.
    pub(crate) duration_us: u64,
}

/// The earliest last grant under one limit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Bound {
    /// The time of the last grant, in microseconds from the start.
    pub(crate) last_grant_us: u64,
    /// Everything that the calls use, by the provider's rule of counting.
    pub(crate) work: u64,
    /// What calls in flight at the last grant have reserved beyond their use, the last call included.
    pub(crate) held: u64,
}

/// Returns the earliest time at which the last of these calls can be granted under a limit.
///
/// A limit that refills may have reserved `burst + rate × t` until the time t: what settled calls used, and what calls in
/// flight reserve. Solved for the last call, that is the formula above.
pub(crate) fn of(limit: &Limit, calls: &[Draft]) -> Bound {
    let work: u64 = calls.iter().map(|call| call.used).sum();
    let (last_grant_us, held) = match limit.algorithm {
        Algorithm::TokenBucket { capacity } => refilled(limit, capacity, calls),
        Algorithm::FixedWindow { .. } | Algorithm::SlidingLog => {
            (work.div_ceil(limit.amount.max(1)).saturating_sub(1).saturating_mul(limit.window_us()), 0)
        }
        Algorithm::Concurrency => (in_flight(limit.amount, calls), 0),
    };
    Bound { last_grant_us, work, held }
}

fn refilled(limit: &Limit, burst: u64, calls: &[Draft]) -> (u64, u64) {
    let mut running = Running::default();
    let mut taken: u64 = 0;
    let mut now_us = 0;
    for call in calls {
        taken += call.reserved.max(call.used);
        loop {
            let missing = u128::from(taken.saturating_sub(burst)) * u128::from(limit.window_us());
            let covered_us =
                u64::try_from(missing.div_ceil(u128::from(limit.amount.max(1)))).unwrap_or(u64::MAX);
            let ready_us = covered_us.max(now_us);
            let Some((ended_us, beyond)) = running.ended_by(ready_us) else {
                now_us = ready_us;
                break;
            };
            now_us = now_us.max(ended_us);
            taken -= beyond;
        }
        running.start(now_us + call.duration_us, call.reserved.saturating_sub(call.used));
    }
    (now_us, running.beyond())
}

/// Grants the calls in their order, each as soon as fewer than `amount` are in flight.
fn in_flight(amount: u64, calls: &[Draft]) -> u64 {
    let mut ends = BinaryHeap::new();
    let mut now_us = 0;
    for call in calls {
        if u64::try_from(ends.len()).is_ok_and(|running| running >= amount.max(1)) {
            now_us = ends.pop().map_or(now_us, |Reverse(end): Reverse<u64>| now_us.max(end));
        }
        ends.push(Reverse(now_us + call.duration_us));
    }
    now_us
}

/// The calls in flight, by their end.
#[derive(Debug, Default)]
struct Running(BinaryHeap<Reverse<(u64, u64)>>);

impl Running {
    fn start(&mut self, ends_us: u64, beyond: u64) {
        if beyond > 0 {
            self.0.push(Reverse((ends_us, beyond)));
        }
    }

    /// Takes the call that ends first, if that is by this time: its end, and what comes back.
    fn ended_by(&mut self, at_us: u64) -> Option<(u64, u64)> {
        let Reverse((ends_us, _)) = self.0.peek()?;
        if *ends_us > at_us {
            return None;
        }
        self.0.pop().map(|Reverse(ended)| ended)
    }

    fn beyond(&self) -> u64 {
        self.0.iter().map(|Reverse((_, beyond))| beyond).sum()
    }
}

#[cfg(test)]
mod tests {
    use paceline_sim::judge::Metric;

    use super::*;

    const SECOND: u64 = 1_000_000;

    fn call(reserved: u64, used: u64, seconds: u64) -> Draft {
        Draft { reserved, used, duration_us: seconds * SECOND }
    }

    fn bucket(amount: u64) -> Limit {
        Limit::bucket(Metric::Tokens, amount, 60_000)
    }

    #[test]
    fn what_is_never_returned_takes_work_less_burst_at_the_rate() {
        let calls = [call(60, 60, 5); 3];
        assert_eq!(of(&bucket(60), &calls), Bound { last_grant_us: 120 * SECOND, work: 180, held: 0 });
    }

    #[test]
    fn what_fits_the_burst_takes_no_time() {
        assert_eq!(of(&bucket(60), &[call(20, 20, 1); 3]).last_grant_us, 0);
        assert_eq!(of(&bucket(60), &[]).last_grant_us, 0);
    }

    #[test]
    fn the_last_call_holds_what_it_reserved_beyond_its_use() {
        // The first call has returned 50 by the time of the second: 10 + 60 − 60 + 0 of others' = 10 to wait for.
        let bound = of(&bucket(60), &[call(60, 10, 1), call(60, 10, 1)]);
        assert_eq!(bound, Bound { last_grant_us: 10 * SECOND, work: 20, held: 50 });
        // (work 20 − burst 60 + held 50) ÷ 1 a second.
    }

    #[test]
    fn calls_in_flight_hold_what_they_reserved_beyond_their_use() {
        // The first runs for a day and never returns its 30 in time: 40 + 40 − 60.
        let bound = of(&bucket(60), &[call(40, 10, 86_400), call(40, 40, 1)]);
        assert_eq!(bound, Bound { last_grant_us: 20 * SECOND, work: 50, held: 30 });
    }

    #[test]
    fn a_return_may_come_before_the_refill() {
        // Refill alone would cover the second after 50 s; the first call ends after 5 and leaves 5 to wait for.
        let bound = of(&bucket(60), &[call(60, 10, 5), call(50, 50, 1)]);
        assert_eq!(bound.last_grant_us, 5 * SECOND);
        let bound = of(&bucket(60), &[call(60, 20, 5), call(50, 50, 1)]);
        assert_eq!(bound.last_grant_us, 10 * SECOND);
    }

    #[test]
    fn windows_take_one_less_than_they_are() {
        let limit = Limit::fixed_window(Metric::Tokens, 100, 60_000);
        let after = |calls: usize| of(&limit, &vec![call(50, 50, 1); calls]).last_grant_us;
        assert_eq!([1, 2, 3, 4, 5].map(after), [0, 0, 60 * SECOND, 60 * SECOND, 120 * SECOND]);
        assert_eq!(of(&Limit::sliding_log(Metric::Tokens, 100, 60_000), &[]).last_grant_us, 0);
    }

    #[test]
    fn calls_in_flight_follow_each_other() {
        let limit = Limit::concurrent(2);
        let calls = [call(1, 1, 4), call(1, 1, 1), call(1, 1, 1), call(1, 1, 9)];
        assert_eq!(of(&limit, &calls).last_grant_us, 2 * SECOND);
    }
}
