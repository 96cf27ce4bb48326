//! The loop: from one event to the next, each at its own time.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use paceline_core::{
    Acquire, Amounts, Command, Configuration, Explanation, Ledger, LimitSpec, Metric, Millis, Name, Outcome,
    Refusal, SessionId, Snapshot, SpecError, TicketId, Usage, Verdict,
};

use super::Call;
use super::report::{Report, Tally};
use super::series::Series;

const SESSION: SessionId = SessionId(1);

/// A ledger, the calls that it decides about, and how far they have come.
#[derive(Debug)]
pub struct Simulation<'a> {
    ledger: Ledger,
    limits: Vec<LimitSpec>,
    calls: &'a [Call],
    /// The calls by arrival; a ticket's number is its position here, from 1.
    order: Vec<usize>,
    arrived: usize,
    ends: BinaryHeap<Reverse<(Millis, u64)>>,
    start: Millis,
    now_ms: Millis,
    /// When the ledger may change without a command.
    wakeup_ms: Option<Millis>,
    tally: Tally,
    series: Series,
}

impl<'a> Simulation<'a> {
    /// Returns a simulation in which nothing has happened yet.
    pub fn new(configuration: Configuration, start: Millis, calls: &'a [Call]) -> Result<Self, SpecError> {
        let mut ledger = Ledger::new();
        let limits = configuration.limits.clone();
        if let Outcome::Invalid(error) = ledger.apply(start, Command::configure(configuration)) {
            return Err(error);
        }
        ledger.apply(start, Command::Touch { session: SESSION, time_out: None });
        let mut order: Vec<usize> = (0..calls.len()).collect();
        order.sort_by_key(|&call| calls.get(call).map(|call| call.at_ms));
        let last_ms = calls.iter().map(|call| call.at_ms).max().unwrap_or(0);
        let series = Series::new(last_ms, &limits);
        Ok(Self {
            ledger,
            limits,
            calls,
            order,
            arrived: 0,
            ends: BinaryHeap::new(),
            start,
            now_ms: 0,
            wakeup_ms: None,
            tally: Tally::default(),
            series,
        })
    }

    /// Goes on until every call has ended, was refused, or waits for what never comes.
    pub fn run_to_end(&mut self) {
        while let Some(next_ms) = self.next_event_ms() {
            self.step(next_ms);
        }
    }

    /// Goes on until a time, in milliseconds from the start; what happens at that time has happened.
    pub fn run_until(&mut self, until_ms: Millis) {
        while let Some(next_ms) = self.next_event_ms().filter(|next_ms| *next_ms <= until_ms) {
            self.step(next_ms);
        }
        self.now_ms = self.now_ms.max(until_ms);
    }

    /// Returns what came out so far.
    pub fn report(&self) -> Report {
        self.tally.report(&self.limits, &self.series, self.waiting())
    }

    /// Returns the ledger as it is.
    pub fn snapshot(&mut self) -> Snapshot {
        self.ledger.snapshot(self.start + self.now_ms)
    }

    /// Returns whether a call would be granted at this time, and if not, why; `None` where there is no such resource.
    pub fn explain(&mut self, call: &Call) -> Option<Explanation> {
        let acquire = self.acquire(call, u64::MAX)?;
        let Acquire { resource, lane, demand, .. } = acquire;
        self.ledger.explain(self.start + self.now_ms, resource, lane.as_deref(), &demand)
    }

    fn waiting(&self) -> u64 {
        self.tally.arrived - self.tally.decided()
    }

    fn next_event_ms(&self) -> Option<Millis> {
        let arrival =
            self.order.get(self.arrived).and_then(|&call| self.calls.get(call)).map(|call| call.at_ms);
        let end = self.ends.peek().map(|Reverse((end_ms, _))| *end_ms);
        let wakeup = self.wakeup_ms.filter(|_| self.waiting() > 0);
        [arrival, end, wakeup].into_iter().flatten().min()
    }

    /// Does one thing that happens at a time: ends before wake-ups before arrivals.
    fn step(&mut self, next_ms: Millis) {
        while let Some(sample_ms) = self.series.due_before(next_ms) {
            let snapshot = self.ledger.snapshot(self.start + sample_ms);
            self.series.take(&snapshot, self.waiting());
        }
        self.now_ms = next_ms;
        if let Some(Reverse((_, number))) =
            self.ends.peek().copied().filter(|Reverse((end, _))| *end <= next_ms)
        {
            self.ends.pop();
            self.settle(number);
        } else if self.wakeup_ms.is_some_and(|wakeup_ms| wakeup_ms <= next_ms) {
            self.ledger.tick(self.start + next_ms);
        } else {
            self.arrive();
        }
        self.take_decisions();
        let due = self.ledger.next_wakeup();
        self.wakeup_ms = due.map(|due| next_ms.saturating_add(due));
    }

    fn arrive(&mut self) {
        let Some(call) = self.order.get(self.arrived).and_then(|&call| self.calls.get(call)) else { return };
        self.arrived += 1;
        self.tally.arrive(call);
        let number = u64::try_from(self.arrived).unwrap_or(u64::MAX);
        let outcome = match self.acquire(call, number) {
            Some(acquire) => self.ledger.apply(self.start + self.now_ms, Command::Acquire(acquire)),
            None => Outcome::Refused(Refusal::NoResource),
        };
        match outcome {
            Outcome::Granted => self.granted(number, 0),
            Outcome::Refused(refusal) => self.tally.refuse(call, &refusal),
            _ => {}
        }
    }

    fn settle(&mut self, number: u64) {
        let Some(call) = self.call(number) else { return };
        let used = amounts(&mut self.ledger, &call.used);
        let permit = TicketId { session: SESSION, number };
        let outcome =
            self.ledger.apply(self.start + self.now_ms, Command::Settle { permit, usage: Usage::Of(used) });
        if let Outcome::Settled { returned, .. } = outcome {
            self.tally.settle(
                self.now_ms,
                returned.amount(Metric::TOKENS).max(returned.amount(Metric::OUTPUT_TOKENS)),
            );
        }
    }

    fn take_decisions(&mut self) {
        let decisions: Vec<_> = self.ledger.drain().collect();
        for decision in decisions {
            let number = decision.ticket.number;
            match (decision.verdict, self.call(number)) {
                (Verdict::Granted { waited }, _) => self.granted(number, waited),
                (Verdict::Refused(refusal), Some(call)) => self.tally.refuse(call, &refusal),
                (Verdict::Refused(_), None) => {}
            }
        }
    }

    fn granted(&mut self, number: u64, waited: Millis) {
        let Some(call) = self.call(number) else { return };
        self.tally.grant(call, number, self.now_ms, waited);
        self.ends.push(Reverse((self.now_ms + call.duration_ms, number)));
    }

    fn call(&self, number: u64) -> Option<&'a Call> {
        let position = usize::try_from(number).ok()?.checked_sub(1)?;
        self.calls.get(*self.order.get(position)?)
    }

    fn acquire(&mut self, call: &Call, number: u64) -> Option<Acquire> {
        let resource = self.ledger.resource(&call.resource)?;
        let mut demand = amounts(&mut self.ledger, &call.reserve);
        for metric in [Metric::REQUESTS, Metric::CONCURRENT_REQUESTS] {
            if demand.get(metric).is_none() {
                demand.set(metric, 1);
            }
        }
        let ticket = TicketId { session: SESSION, number };
        Some(Acquire { lane: call.lane.clone(), ..Acquire::new(ticket, resource, demand) })
    }
}

/// Returns what was counted of each metric, by its name, when a call has ended.
pub(super) fn counted(call: &Call) -> BTreeMap<&str, u64> {
    let mut counted = BTreeMap::from([("requests", 1), ("concurrent_requests", 1)]);
    counted.extend(
        call.reserve.iter().chain(&call.used).map(|(metric, amount): &(Name, u64)| (&**metric, *amount)),
    );
    counted
}

/// Returns amounts by the ledger's own numbers of metrics; what is one metric too many is left out.
fn amounts(ledger: &mut Ledger, named: &[(Name, u64)]) -> Amounts {
    let known = named.iter().filter_map(|(name, amount)| Some((ledger.metric(name)?, *amount)));
    Amounts::of(known.collect::<Vec<_>>())
}
