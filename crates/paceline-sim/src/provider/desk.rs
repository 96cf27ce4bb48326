//! What all handlers share: the configuration, the clock, the docket; and the calls they have open.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::ask::Ask;
use super::clock::Clock;
use super::config::ProviderConfig;
use super::dice::Dice;
use super::docket::{Arrival, Docket, Ending, Place};
use super::fault::{self, Fault};
use super::pace::Plan;
use crate::judge::{Call, Counts, Usage};

/// What all handlers share.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) config: ProviderConfig,
    pub(super) clock: Clock,
    docket: Mutex<Docket>,
}

impl Desk {
    pub(super) fn new(config: ProviderConfig) -> Self {
        Self { config, clock: Clock::start(), docket: Mutex::default() }
    }

    pub(super) fn docket(&self) -> MutexGuard<'_, Docket> {
        self.docket.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Brings a request before its judge. The clock is read under the lock, so that the judge's time never goes back.
    pub(super) fn arrive(&self, key: &str, ask: &Ask, plan: &Plan) -> Arrival {
        let call = Call {
            prompt_tokens: ask.prompt_tokens,
            cached_tokens: plan.cached_tokens,
            max_tokens: ask.max_tokens,
            choices: ask.choices,
        };
        let mut docket = self.docket();
        docket.arrive(self.clock.now_us(), &self.config, key, &ask.model, &call)
    }

    /// Decides whether a request meets a fault: the one it asks for, else what the dice deal it.
    pub(super) fn fault(&self, ask: &Ask) -> Option<Fault> {
        let probabilities = &self.config.faults;
        if ask.wishes.fault.is_some() || probabilities.is_empty() {
            return ask.wishes.fault;
        }
        let throw = self.docket().next_throw();
        fault::deal(probabilities, Dice::new(self.config.seed, ("fault", throw)))
    }
}

/// A call that was admitted and is being answered. Dropped before its end, as when the client goes away, it has used
/// the part of its output that belongs to the time it ran.
#[derive(Debug)]
pub(super) struct RunningCall {
    desk: Arc<Desk>,
    place: Option<Place>,
    usage: Usage,
    started_us: u64,
    total_us: u64,
    produced: u64,
}

impl RunningCall {
    pub(super) fn new(desk: Arc<Desk>, place: Place, ask: &Ask, plan: &Plan) -> Self {
        let usage = Usage {
            input_tokens: ask.prompt_tokens,
            cached_tokens: plan.cached_tokens,
            output_tokens: plan.output_tokens * ask.choices,
        };
        let started_us = desk.clock.now_us();
        Self { desk, place: Some(place), usage, started_us, total_us: plan.total_us, produced: 0 }
    }

    /// Sleeps until so many microseconds after the arrival.
    pub(super) async fn sleep_until(&self, after_us: u64) {
        self.desk.clock.sleep_until(self.started_us.saturating_add(after_us)).await;
    }

    /// Counts more output as produced at this moment.
    pub(super) fn produce(&mut self, output_tokens: u64) {
        if let Some(place) = self.place {
            self.desk.docket().produce(self.desk.clock.now_us(), place, output_tokens);
            self.produced += output_tokens;
        }
    }

    /// Counts all output that is not counted yet.
    pub(super) fn produce_rest(&mut self) {
        self.produce(self.usage.output_tokens - self.produced);
    }

    /// Ends the call with its whole answer given; returns what it cost.
    pub(super) fn serve(&mut self) -> Option<Counts> {
        self.end(self.usage.output_tokens, Ending::Served)
    }

    /// Ends the call with no more than it has produced.
    pub(super) fn fail(&mut self) {
        self.end(self.produced, Ending::Failed);
    }

    fn end(&mut self, output_tokens: u64, ending: Ending) -> Option<Counts> {
        let place = self.place.take()?;
        let usage = Usage { output_tokens, ..self.usage };
        self.desk.docket().finish(self.desk.clock.now_us(), place, &usage, ending)
    }

    fn produced_by_now(&self) -> u64 {
        let elapsed_us = self.desk.clock.now_us().saturating_sub(self.started_us).min(self.total_us);
        let share = self.usage.output_tokens.saturating_mul(elapsed_us).checked_div(self.total_us);
        share.unwrap_or(self.usage.output_tokens).max(self.produced)
    }
}

impl Drop for RunningCall {
    fn drop(&mut self) {
        if self.place.is_some() {
            self.end(self.produced_by_now(), Ending::Abandoned);
        }
    }
}
