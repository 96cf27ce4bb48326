//! Recovery: what a ledger that was lost, or is older than its sessions know, restarts with, so that nothing is granted
//! twice. Only a ledger that several processes share needs it.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use crate::Name;
use crate::command::{Outcome, Refusal, ResourceId, SessionId, TicketId, Usage};
use crate::demand::Amounts;
use crate::hold::{Entry, Hold};
use crate::ledger::{Ledger, Spot};
use crate::limit::Limit;
use crate::meter::{Meter, signed};
use crate::time::{Millis, NEVER, Now};

const MINUTE: Millis = 60_000;
const DAY: Millis = 86_400_000;

/// How long what was assumed and reported of a loss is remembered: longer than any period.
const REMEMBERED: Millis = 62 * DAY;

/// How limits restart whose past is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnLost {
    /// Windows and periods with their elapsed share spent, all else with nothing left.
    #[default]
    Elapsed,
    /// With nothing left.
    Empty,
    /// With nothing spent.
    Full,
}

/// What was taken for sessions that have not spoken, and what they have reported since.
#[derive(Debug, Clone, Default)]
pub(crate) struct Owed {
    /// When what was taken of concurrency is given back, by the ledger's clock.
    ends: Millis,
    since: Millis,
    /// Nothing was restored: of limits that appear later nothing is known either.
    whole: bool,
    /// What is taken of concurrency, by limit.
    slots: BTreeMap<u32, i64>,
    /// What is assumed to have been spent of longer limits.
    shares: BTreeMap<u32, i64>,
    reported: BTreeMap<u32, i64>,
}

/// What a session says of a permit that it holds.
pub(crate) struct Restored {
    pub(crate) permit: TicketId,
    pub(crate) resource: ResourceId,
    pub(crate) lane: Option<Name>,
    pub(crate) reserved: Amounts,
    pub(crate) extra: Amounts,
    pub(crate) age: Millis,
}

impl Ledger {
    /// Lets time pass to a reading of the store's clock, and does nothing else.
    pub fn reach(&mut self, now: Millis) {
        if now < self.now.wall {
            // What was reached stays reached.
            self.bring_all();
        }
        self.now = self.reading(now);
        self.started = true;
        self.planned = false;
    }

    /// Chooses how limits restart whose past is not known.
    pub fn set_on_lost(&mut self, on_lost: OnLost) {
        self.on_lost = on_lost;
    }

    /// Takes what a session knows for forgotten, as of the time that was reached: limits are brought to where they
    /// cannot be over, and for `time_out` milliseconds, at least ten seconds, slots stay taken for sessions that have
    /// not spoken. `whole` where nothing was restored at all.
    pub fn lose(&mut self, whole: bool, time_out: Millis) {
        let clock = self.now.clock;
        let ends = clock.saturating_add(time_out.max(10_000));
        let mut owed = Box::new(Owed { ends, since: clock, whole, ..Owed::default() });
        for (number, limit) in (0..).zip(&mut self.limits) {
            owed.distrust(number, limit, self.now, self.on_lost, whole);
        }
        self.owed = Some(owed);
        self.planned = false;
        self.sessions.refresh(clock);
    }

    /// Lets nothing be granted for so many milliseconds from `now` on, so that sessions can speak.
    pub fn hold_off(&mut self, now: Millis, lasting: Millis) {
        self.held_off = self.reading(now).clock.saturating_add(lasting);
    }

    /// Returns for how many milliseconds more nothing is granted, so that sessions can speak.
    pub fn held_off_for(&self) -> Millis {
        self.held_off.saturating_sub(self.now.clock)
    }

    /// Has a session begin anew, which goes on after a loss: its tickets may be asked for again.
    pub fn readmit(&mut self, session: SessionId) {
        if let Some(session) = self.sessions.alive(session) {
            session.highest = 0;
            session.restated = Some(BTreeSet::new());
        }
    }

    /// What begins a step where something was lost not long ago.
    pub(crate) fn recover(&mut self) {
        let clock = self.now.clock;
        if let Some(owed) = &mut self.owed {
            if clock >= owed.ends {
                for (number, amount) in core::mem::take(&mut owed.slots) {
                    if let Some(limit) = self.limits.get_mut(number as usize) {
                        limit.pay_back(amount);
                    }
                }
            }
            if clock >= owed.since.saturating_add(REMEMBERED) {
                self.owed = None;
            }
        }
        if clock < self.held_off {
            self.grants_left = 0;
        }
    }

    /// Returns after how many milliseconds slots come back that were taken for sessions that have not spoken.
    pub(crate) fn owed_slots_in(&self) -> Option<Millis> {
        let owed = self.owed.as_ref().filter(|owed| !owed.slots.is_empty())?;
        Some(owed.ends.saturating_sub(self.now.clock))
    }

    /// Has a limit that appears where nothing was restored begin like those that were there.
    pub(crate) fn distrust_new(&mut self, number: u32) {
        let limit = self.limits.get_mut(number as usize);
        if let (Some(owed), Some(limit)) = (self.owed.as_mut().filter(|owed| owed.whole), limit) {
            owed.distrust(number, limit, self.now, self.on_lost, true);
        }
    }

    pub(crate) fn restore(&mut self, restored: Restored) -> Outcome {
        let Restored { permit, resource, lane, reserved, extra, age } = restored;
        let Some(session) = self.sessions.alive(permit.session) else { return Outcome::Expired };
        // It does not count as the highest: a ticket that waited longer may have a lower number, and is asked for again.
        session.restated.get_or_insert_default().insert(permit.number);
        if self.resources.get(resource.0 as usize).is_none() {
            return Outcome::Refused(Refusal::NoResource);
        }
        match self.spots.get(&permit).copied() {
            Some(Spot::Held(_)) => return Outcome::Done,
            Some(Spot::Waits(ticket)) => {
                self.dequeue(ticket);
            }
            None => {}
        }
        let mut entries = Vec::new();
        for draw in self.draws_of(resource.0, lane.as_deref()) {
            let Some(limit) = self.limits.get_mut(draw.limit as usize) else { continue };
            limit.bring(self.now);
            let amount = signed(reserved.amount(limit.metric));
            let note = if limit.is_concurrency() {
                let taken = self.owed.as_mut().map_or(0, |owed| owed.free(draw.limit, amount));
                limit.reserve(self.now, amount - taken)
            } else if limit.terms.until_settled {
                limit.reserve(self.now, amount)
            } else {
                limit.reserve(self.now, 0)
            };
            entries.push(Entry { limit: draw.limit, generation: limit.generation, note });
        }
        if let Some(at) = self.resources.get_mut(resource.0 as usize) {
            at.in_flight += 1;
        }
        let since = self.now.clock.saturating_sub(age);
        let extra = (!extra.is_empty()).then(|| Box::new(extra));
        let (id, owner, resource) = (permit, permit.session, resource.0);
        let hold = Hold { id, owner, resource, lane, since, reserved, extra, entries };
        let hold = self.holds.insert(hold);
        self.spots.insert(permit, Spot::Held(hold));
        Outcome::Done
    }

    /// Charges what a session was granted since the state that was restored, as far as it is above what was assumed.
    pub(crate) fn spent(&mut self, resource: ResourceId, lane: Option<&str>, amounts: &Amounts) -> Outcome {
        let draws = self.draws_of(resource.0, lane);
        let Some(owed) = &mut self.owed else { return Outcome::Done };
        if self.on_lost == OnLost::Full {
            return Outcome::Done;
        }
        for draw in draws {
            let limit = self.limits.get_mut(draw.limit as usize);
            let Some(limit) = limit.filter(|limit| limit.fills_in() > MINUTE) else { continue };
            limit.bring(self.now);
            let share = owed.shares.get(&draw.limit).copied().unwrap_or(0);
            let told = owed.reported.entry(draw.limit).or_default();
            let before = told.saturating_sub(share).max(0);
            *told = told.saturating_add(signed(amounts.amount(limit.metric)));
            limit.charge(self.now, told.saturating_sub(share).max(0) - before);
        }
        Outcome::Done
    }

    /// Ends the permits of a session that it did not restore.
    pub(crate) fn recovered(&mut self, session: SessionId) -> Outcome {
        let Some(at) = self.sessions.alive(session) else { return Outcome::Expired };
        let restated = at.restated.replace(BTreeSet::new()).unwrap_or_default();
        let (from, to) = (TicketId { session, number: 0 }, TicketId { session, number: u64::MAX });
        let own = self.spots.range(from..=to);
        let forgotten: Vec<u32> = own
            .filter_map(|(id, spot)| match spot {
                Spot::Held(hold) if !restated.contains(&id.number) => Some(*hold),
                _ => None,
            })
            .filter(|hold| self.holds.get(*hold).is_some_and(|hold| hold.owner == session))
            .collect();
        for hold in forgotten {
            self.end_hold(hold, &Usage::Of(Amounts::new()));
        }
        Outcome::Done
    }
}

impl Owed {
    /// Brings a limit whose past is not known to where it cannot be over: `whole` where nothing of it was restored.
    fn distrust(&mut self, number: u32, limit: &mut Limit, now: Now, on_lost: OnLost, whole: bool) {
        if on_lost == OnLost::Full {
            return;
        }
        limit.bring(now);
        let (room, length) = (limit.left(now), limit.fills_in());
        if limit.is_concurrency() {
            if room > 0 {
                self.slots.insert(number, room);
                limit.charge(now, room);
            }
            return;
        }
        if length > MINUTE && !whole {
            return;
        }
        let elapsed = length > MINUTE && on_lost == OnLost::Elapsed;
        match &mut limit.meter {
            Meter::Fixed(fixed) if elapsed && length < NEVER => {
                let part = i128::from(limit.terms.amount) * i128::from(signed(now.wall) - fixed.start);
                let share = i64::try_from(part / i128::from(length)).unwrap_or(room).min(room.max(0));
                self.shares.insert(number, share);
                limit.charge(now, share);
            }
            Meter::Sliding(sliding) if elapsed && sliding.total == 0 => {
                self.shares.insert(number, limit.terms.amount);
                sliding.spread(&limit.terms, now.clock);
            }
            _ if room > 0 => {
                if length > MINUTE {
                    self.shares.insert(number, room);
                }
                limit.charge(now, room);
            }
            _ => {}
        }
    }

    /// Takes whatever is reported of these limits for known.
    pub(crate) fn cover(&mut self, limits: Vec<u32>) {
        self.shares = limits.into_iter().map(|number| (number, i64::MAX)).collect();
    }

    /// Takes so much of what is taken of a concurrency limit for a permit that it was taken for.
    fn free(&mut self, number: u32, amount: i64) -> i64 {
        let Some(slots) = self.slots.get_mut(&number) else { return 0 };
        let taken = amount.min(*slots);
        *slots -= taken;
        taken
    }
}

impl Limit {
    /// Returns in what time it fills from nothing, 0 for concurrency.
    pub(crate) fn fills_in(&self) -> Millis {
        match &self.meter {
            Meter::Bucket(_) => crate::meter::Bucket::fills_in(&self.terms),
            _ => self.window(),
        }
    }

    /// Gives back what was taken for sessions that might have held it.
    fn pay_back(&mut self, amount: i64) {
        if let Meter::Bucket(bucket) = &mut self.meter
            && self.terms.is_concurrency
            && !self.spec.members.is_empty()
        {
            bucket.level = (bucket.level + amount).min(self.terms.most);
        }
    }
}

/// A restored hold counts nothing of what was granted before it was restored.
#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Acquire, Algorithm, Command, Configuration, LimitSpec, Metric, ResourceSpec};

    fn ledger(algorithm: Algorithm) -> Ledger {
        let mut ledger = Ledger::new();
        ledger.reach(1_000_000);
        ledger.lose(true, 10_000);
        let limit = LimitSpec::new("l", "requests", 100, algorithm).member("m");
        ledger.apply(1_000_000, Command::configure(Configuration::new([limit], [ResourceSpec::new("m")])));
        ledger
    }

    fn left(ledger: &mut Ledger, now: Millis) -> i64 {
        ledger.snapshot(now).limits.first().map_or(i64::MIN, |limit| limit.left)
    }

    #[test]
    fn short_buckets_restart_empty_and_are_not_reported() {
        let mut ledger = ledger(Algorithm::TokenBucket { window: 60_000, burst: 100 });
        assert_eq!(left(&mut ledger, 1_000_000), 0);
        let resource = ledger.resource("m").unwrap();
        let amounts = Amounts::of([(Metric::REQUESTS, 500)]);
        ledger.apply(1_000_000, Command::Spent { resource, lane: None, amounts });
        assert_eq!(left(&mut ledger, 1_000_600), 1);
    }

    #[test]
    fn a_long_window_is_spent_evenly_and_a_report_counts_above_that() {
        let mut ledger = ledger(Algorithm::SlidingWindow { window: 600_000, slots: 10 });
        assert_eq!(left(&mut ledger, 1_000_000), 0);
        let resource = ledger.resource("m").unwrap();
        let amounts = Amounts::of([(Metric::REQUESTS, 130)]);
        ledger.apply(1_000_000, Command::Spent { resource, lane: None, amounts });
        assert_eq!(left(&mut ledger, 1_000_000), -30);
    }

    #[test]
    fn slots_are_freed_by_who_restores_them_and_by_time() {
        let mut ledger = ledger(Algorithm::Concurrency);
        let (resource, session) = (ledger.resource("m").unwrap(), SessionId(7));
        ledger.apply(1_000_000, Command::Touch { session, time_out: Some(10_000) });
        let permit = TicketId { session, number: 3 };
        let reserved = Amounts::of([(Metric::REQUESTS, 40)]);
        let restore =
            Command::Restore { permit, resource, lane: None, reserved, extra: Amounts::new(), age: 5 };
        assert_eq!(ledger.apply(1_000_000, restore), Outcome::Done);
        assert_eq!(left(&mut ledger, 1_000_000), 0);
        let ask =
            Acquire::new(TicketId { session, number: 1 }, resource, Amounts::of([(Metric::REQUESTS, 1)]));
        assert_eq!(ledger.apply(1_004_000, Command::Acquire(ask)), Outcome::Queued { ahead: 0 });
        ledger.apply(1_010_000, Command::Touch { session, time_out: Some(10_000) });
        assert_eq!(left(&mut ledger, 1_010_000), 59, "all that nobody restored, less the one that waited");
        ledger.apply(1_010_000, Command::Recovered { session });
        assert_eq!(ledger.permits().count(), 1, "what it did not restore has ended");
        ledger.readmit(session);
        ledger.apply(1_010_000, Command::Recovered { session });
        let settled = ledger.apply(1_010_000, Command::Settle { permit, usage: Usage::Nothing });
        assert_eq!(settled, Outcome::Over, "its report says that it has no permit");
    }
}
