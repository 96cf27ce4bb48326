//! What callers are told who do not get a permit, or not soon.

use std::time::Duration;

use paceline_core::{Binding, Explanation, Millis, NEVER, Name, Refusal};

use super::State;
use super::line::Waiter;
use crate::Error;
use crate::error::Shortage;
use crate::estimate::Place;
use crate::events::Event;

/// After how many milliseconds it is worth asking again where nothing tells.
const UNTOLD: Millis = 1_000;

impl State {
    /// Says why a ledger refused.
    pub(super) fn refused(&mut self, now: Millis, waiter: &Waiter, refusal: Refusal) -> Error {
        let resource = self.name_of(waiter.slot);
        error(resource, refusal, |limit, ready_in| self.shortage(now, waiter, limit, ready_in))
    }

    /// Says why a ledger refused that is elsewhere, and what it told of it.
    #[cfg(feature = "shared")]
    pub(super) fn refusal(
        &self,
        now: Millis,
        waiter: &Waiter,
        refusal: Refusal,
        told: Option<&Explanation>,
    ) -> Error {
        let resource = self.name_of(waiter.slot);
        error(resource, refusal, |limit, ready_in| self.short(now, waiter, told, None, limit, ready_in))
    }

    /// Says what a caller waited for in vain.
    pub(super) fn timed_out(&mut self, now: Millis, waiter: &Waiter) -> Error {
        Error::AcquireTimeout(Box::new(self.shortage(now, waiter, None, NEVER)))
    }

    /// Refuses a wait that is expected to be longer than its caller accepts.
    pub(super) fn expect_within(&mut self, now: Millis, waiter: &Waiter, most: Millis) -> Result<(), Error> {
        if most == NEVER {
            return Ok(());
        }
        let Some(expected) = self.expected_wait(now, waiter, true).filter(|expected| *expected > most) else {
            return Ok(());
        };
        let mut shortage = self.shortage(now, waiter, None, NEVER);
        // The caller itself is in line at this instant.
        shortage.ahead = shortage.ahead.saturating_sub(1);
        shortage.retry_after = Duration::from_millis(expected - most);
        let (expected, most) = (Duration::from_millis(expected), Duration::from_millis(most));
        Err(Error::ExpectedWait { expected, most, shortage: Box::new(shortage) })
    }

    /// Warns of the waits that are due for it, and returns them as events.
    pub(super) fn long_waits(&mut self, now: Millis) -> Vec<Event> {
        let State { line, ledger, seats, .. } = self;
        let mut events = Vec::new();
        for waiter in line.long_waits(now) {
            let Some(seat) = seats.get(waiter.slot) else { continue };
            let explanation = ledger.explain(now, seat.id, waiter.lane.as_deref(), &waiter.demand);
            let waited = Duration::from_millis(now.saturating_sub(waiter.since));
            let binding = explanation.as_ref().and_then(binding);
            log::warn!("{}: {}", seat.name, long_wait(waited, waiter.lane.as_deref(), explanation.as_ref()));
            events.push(Event::LongWait {
                resource: seat.name.clone(),
                waited,
                limit: binding.map(|binding| binding.limit.clone()),
            });
        }
        events
    }

    /// Returns after how many milliseconds a demand can be expected to go.
    pub(super) fn expected_wait(&mut self, now: Millis, waiter: &Waiter, in_line: bool) -> Option<Millis> {
        let State { seats, pace, ledger, .. } = self;
        let seat = seats.get(waiter.slot)?;
        let place = Place { seat, lane: waiter.lane.as_deref(), demand: &waiter.demand, in_line };
        pace.expected_wait(now, ledger, seats, &place)
    }

    /// The same of a ledger that is elsewhere, as it was when it was looked at.
    #[cfg(feature = "shared")]
    pub(super) fn expected_by(
        &mut self,
        now: Millis,
        snapshot: &paceline_core::Snapshot,
        (slot, lane, demand): (usize, Option<&str>, &paceline_core::Amounts),
        in_line: bool,
    ) -> Option<Millis> {
        let State { seats, pace, ledger, .. } = self;
        let place = Place { seat: seats.get(slot)?, lane, demand, in_line };
        pace.expected_by(now, snapshot, ledger, seats, &place)
    }

    /// Gathers what is short: the limit that was named, or the one that takes longest.
    fn shortage(&mut self, now: Millis, waiter: &Waiter, limit: Option<&Name>, ready_in: Millis) -> Shortage {
        let id = self.seats.get(waiter.slot).map(|seat| seat.id);
        let lane = waiter.lane.as_deref();
        let explanation = id.and_then(|id| self.ledger.explain(now, id, lane, &waiter.demand));
        let expected = self.expected_wait(now, waiter, false);
        self.short(now, waiter, explanation.as_ref(), expected, limit, ready_in)
    }

    /// Gathers what is short by an explanation, as far as there is one.
    pub(super) fn short(
        &self,
        now: Millis,
        waiter: &Waiter,
        explanation: Option<&Explanation>,
        expected: Option<Millis>,
        limit: Option<&Name>,
        ready_in: Millis,
    ) -> Shortage {
        let named = |binding: &&Binding| limit.is_none_or(|limit| binding.limit == *limit);
        let binding = explanation.and_then(|told| match limit {
            Some(_) => told.limits.iter().find(named),
            None => binding(told),
        });
        let ready_in = [Some(ready_in), binding.map(|binding| binding.ready_in)];
        let ready_in = ready_in.into_iter().flatten().filter(|ready_in| *ready_in != NEVER).max();
        let retry_after = ready_in.max(expected).unwrap_or(UNTOLD).max(1);
        Shortage {
            resource: self.name_of(waiter.slot),
            limit: limit.or(binding.map(|binding| &binding.limit)).cloned(),
            wanted: binding.map_or(0, |binding| binding.wanted),
            left: binding.map_or(0, |binding| binding.left),
            ahead: explanation.map_or(0, |told| told.ahead),
            head_waited: explanation.and_then(|told| told.head_waited).map(Duration::from_millis),
            waited: Duration::from_millis(now.saturating_sub(waiter.since)),
            retry_after: Duration::from_millis(retry_after),
        }
    }
}

/// Says why a ledger refused, with what is short where something is.
fn error(resource: Name, refusal: Refusal, short: impl FnOnce(Option<&Name>, Millis) -> Shortage) -> Error {
    match refusal {
        Refusal::Impossible { limit, wanted, most } => Error::Impossible { resource, limit, wanted, most },
        Refusal::TooLate { limit, ready_in } => Error::TooLate(Box::new(short(Some(&limit), ready_in))),
        Refusal::Busy { limit, ready_in } => Error::Busy(Box::new(short(limit.as_ref(), ready_in))),
        Refusal::LineFull { waiting, most } => {
            let retry_after = short(None, NEVER).retry_after;
            Error::LineFull { resource, waiting, most, retry_after }
        }
        Refusal::Paused { ends_in } => Error::Paused { resource, ends_in: finite(ends_in) },
        Refusal::UnknownLane { lane } => Error::UnknownLane { resource, lane },
        Refusal::NoResource => Error::UnknownResource { name: resource.to_string(), nearest: None },
        Refusal::Purged => Error::Purged { resource },
    }
}

/// Returns the limit that takes longest, if any has too little.
pub(super) fn binding(explanation: &Explanation) -> Option<&Binding> {
    explanation.limits.first().filter(|binding| binding.ready_in > 0)
}

pub(super) fn long_wait(waited: Duration, lane: Option<&str>, explanation: Option<&Explanation>) -> String {
    let lane = lane.map(|lane| format!(" in lane {lane}")).unwrap_or_default();
    let ahead = explanation.map_or(0, |told| told.ahead);
    let line = format!("the first of {ahead} callers{lane} has waited {} s", waited.as_secs());
    match explanation.and_then(binding) {
        // The explanation is of one who would come last: that those ahead go on waiting says nothing of the first of them.
        Some(Binding { limit, wanted, left, ready_in: NEVER, .. }) => {
            format!("{line} for limit {limit}: {wanted} wanted, {left} left")
        }
        Some(Binding { limit, wanted, left, ready_in, .. }) => {
            format!(
                "{line} for limit {limit}: {wanted} wanted, {left} left, ready in {} s",
                ready_in.div_ceil(1_000)
            )
        }
        None => format!("{line}; no limit binds, others go first or it is paused"),
    }
}

fn finite(ms: Millis) -> Option<Duration> {
    (ms != NEVER).then(|| Duration::from_millis(ms))
}
