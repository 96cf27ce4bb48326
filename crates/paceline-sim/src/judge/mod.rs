//! A provider's limit enforcement, in the plainest way that is exact: whole numbers, and time as an argument.
//!
//! A judge stands for one account and one model. It shares no code with the limiter that it judges, so that a
//! misunderstanding of one is not repeated by the other. Time is in microseconds from any origin and never goes back:
//! an earlier time counts as the latest one seen.
//!
//! ```
//! use paceline_sim::judge::{Call, Dialect, Judge, Limit, Metric, Rules, Usage};
//!
//! let limits = [Limit::bucket(Metric::Requests, 1, 60_000), Limit::bucket(Metric::OutputTokens, 100, 60_000)];
//! let mut judge = Judge::new(Rules::of(Dialect::Anthropic), &limits, 7);
//! let call = Call { prompt_tokens: 10, ..Call::default() };
//!
//! let id = judge.arrive(0, &call).admitted().expect("the bucket is full");
//! judge.produce(2_000_000, id, 30);
//! judge.finish(3_000_000, id, &Usage { input_tokens: 10, output_tokens: 30, ..Usage::default() });
//! assert!(judge.arrive(4_000_000, &call).admitted().is_none());
//! assert_eq!(judge.tally().refused, 1);
//! ```

mod bucket;
mod counting;
mod limit;
mod log;
mod meter;
mod verdict;
mod window;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

pub use counting::{Call, Counts, Dialect, Rules, Usage};
pub use limit::{Algorithm, Limit, Metric};
use meter::{Meter, Need};
pub use verdict::{CallId, LimitTally, Refusal, Standing, Tally, Verdict, Violation, Wait};

/// The limits of one account and model, and everything that counts against them.
#[derive(Clone, Debug)]
pub struct Judge {
    rules: Rules,
    meters: Vec<Meter>,
    open: BTreeMap<u64, OpenCall>,
    next_call: u64,
    now_us: u64,
    tally: Tally,
}

#[derive(Clone, Debug)]
struct OpenCall {
    charged: Counts,
    stamps: Vec<u64>,
}

impl Judge {
    /// Makes a judge whose limits are unused. The seed draws the phases of fixed windows that name none.
    pub fn new(rules: Rules, limits: &[Limit], seed: u64) -> Self {
        let mut draw = seed;
        let meters = limits.iter().map(|limit| Meter::new(limit, split_mix(&mut draw))).collect();
        let limits = limits
            .iter()
            .map(|&limit| LimitTally { limit, refused: 0, peak_used: 0, deepest_debt: 0 })
            .collect();
        let tally = Tally { limits, ..Tally::default() };
        Self { rules, meters, open: BTreeMap::new(), next_call: 1, now_us: 0, tally }
    }

    /// Checks an arriving call against every limit, and charges all of them or none.
    pub fn arrive(&mut self, now_us: u64, call: &Call) -> Verdict {
        self.advance(now_us);
        self.tally.arrived += 1;
        let charge = self.rules.on_arrival(call);
        let violations = self.violations(&charge);
        if violations.is_empty() {
            Verdict::Admitted(self.admit(charge))
        } else {
            Verdict::Refused(self.refuse(violations))
        }
    }

    /// Counts `output_tokens` more of an admitted call as produced at `now_us`. A limit may go into debt by it. A call
    /// that is not open is ignored.
    pub fn produce(&mut self, now_us: u64, id: CallId, output_tokens: u64) {
        self.advance(now_us);
        let charge = self.rules.while_produced(output_tokens);
        let Some(mut open) = self.open.remove(&id.0) else { return };
        self.charge_more(id.0, &charge);
        open.charged = open.charged.plus(&charge);
        self.open.insert(id.0, open);
    }

    /// Ends an admitted call: charges or returns the difference between what was charged and what the dialect counts
    /// for this usage. Returns what the call cost in the end, or `None` if it is not open.
    pub fn finish(&mut self, now_us: u64, id: CallId, usage: &Usage) -> Option<Counts> {
        self.advance(now_us);
        let open = self.open.remove(&id.0)?;
        let cost = self.rules.in_the_end(&open.charged, usage);
        let returned = open.charged.minus(&cost);
        for (index, meter) in self.meters.iter_mut().enumerate() {
            let metric = self.tally.limits[index].limit.metric;
            meter.give_back(id.0, open.stamps[index], returned.get(metric));
        }
        self.charge_more(id.0, &cost.minus(&open.charged));
        self.tally.counted = self.tally.counted.minus(&returned);
        self.tally.in_flight -= 1;
        Some(cost)
    }

    /// Returns where each limit stands, in the order the judge was made with.
    pub fn standings(&mut self, now_us: u64) -> Vec<Standing> {
        self.advance(now_us);
        let limits = self.tally.limits.iter().map(|tally| tally.limit);
        limits
            .zip(&self.meters)
            .map(|(limit, meter)| Standing {
                limit,
                available: meter.available(),
                full_in_us: meter.full_in_us(),
            })
            .collect()
    }

    /// Returns what has been seen so far.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    fn advance(&mut self, now_us: u64) {
        self.now_us = self.now_us.max(now_us);
        for meter in &mut self.meters {
            meter.advance(self.now_us);
        }
    }

    fn violations(&self, charge: &Counts) -> Vec<Violation> {
        let limits = self.tally.limits.iter().zip(&self.meters).enumerate();
        limits
            .filter_map(|(index, (tally, meter))| {
                let need = self.need(tally.limit.metric, charge);
                let wait = meter.wait(need)?;
                let (limit, available) = (tally.limit, meter.available());
                Some(Violation { index, limit, available, requested: need.whole(), wait })
            })
            .collect()
    }

    fn need(&self, metric: Metric, charge: &Counts) -> Need {
        match charge.get(metric) {
            0 if self.rules.grows(metric) => Need::Something,
            0 => Need::Nothing,
            amount => Need::Amount(amount),
        }
    }

    fn admit(&mut self, charge: Counts) -> CallId {
        let id = self.take_id();
        let stamps = self.charge_more(id, &charge);
        self.open.insert(id, OpenCall { charged: charge, stamps });
        self.tally.admitted += 1;
        self.tally.in_flight += 1;
        self.tally.peak_in_flight = self.tally.peak_in_flight.max(self.tally.in_flight);
        CallId(id)
    }

    fn refuse(&mut self, violations: Vec<Violation>) -> Refusal {
        self.tally.refused += 1;
        for violation in &violations {
            self.tally.limits[violation.index].refused += 1;
        }
        if self.rules.refusals_cost_a_request {
            self.charge_refusal();
        }
        Refusal { violations }
    }

    fn charge_refusal(&mut self) {
        let id = self.take_id();
        self.tally.counted.requests += 1;
        for (index, meter) in self.meters.iter_mut().enumerate() {
            if self.tally.limits[index].limit.metric == Metric::Requests {
                meter.charge_refusal(id);
                self.tally.limits[index].note(meter);
            }
        }
    }

    /// Charges every limit and returns their stamps.
    fn charge_more(&mut self, id: u64, charge: &Counts) -> Vec<u64> {
        self.tally.counted = self.tally.counted.plus(charge);
        let limits = self.tally.limits.iter_mut().zip(&mut self.meters);
        limits
            .map(|(tally, meter)| {
                let stamp = meter.charge(id, charge.get(tally.limit.metric));
                tally.note(meter);
                stamp
            })
            .collect()
    }

    fn take_id(&mut self) -> u64 {
        let id = self.next_call;
        self.next_call += 1;
        id
    }
}

impl LimitTally {
    fn note(&mut self, meter: &Meter) {
        let available = meter.available();
        let used = i128::from(meter.capacity()) - i128::from(available);
        self.peak_used = self.peak_used.max(u64::try_from(used).unwrap_or(0));
        self.deepest_debt = self.deepest_debt.max(if available < 0 { available.unsigned_abs() } else { 0 });
    }
}

/// Takes one step of Sebastiano Vigna's `SplitMix64`, a generator whose whole state is one number.
pub(crate) fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
