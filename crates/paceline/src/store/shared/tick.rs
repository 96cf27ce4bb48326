//! What happens to an account by time alone.

use std::time::Duration;

use paceline_core::{Amounts, Explanation, Millis};

use super::account::{About, Life};
use super::desk::{After, Desk, Stage};
use super::job::{Tell, What};
use crate::driver::{Alarm, Duty};
use crate::events::Event;
use crate::store::desk::{binding, long_wait};

/// For how many milliseconds a caller whose time-out passed waits to be told why.
const EXPLAIN: Millis = 250;

/// How many tickets end at once while the lock is held.
const ENDED: usize = 256;

impl Duty for Life {
    fn alarm(&self) -> &Alarm {
        &self.alarm
    }

    fn fall_due(&self, now: Millis) -> Option<Millis> {
        let about = &self.about;
        let session_timeout = about.sharing.session_timeout;
        self.step(now, |desk, now, after| {
            about.end_time_outs(desk, now, after);
            about.end_unanswered(desk, now, after);
            about.end_long_outage(desk, now, session_timeout, after);
            About::tick_local(desk, now, after);
            about.end_leases(desk, now, after);
            for number in desk.book.line.long_waiting(now) {
                about.look_at_long_wait(desk, number, now, after);
            }
            if desk.flight.is_none() && desk.wants_batch(now, session_timeout) {
                desk.ring(after);
            }
            desk.next_due(session_timeout).map(|due| due.max(now + 1))
        })
    }
}

impl About {
    fn end_time_outs(&self, desk: &mut Desk, now: Millis, after: &mut After) {
        for _ in 0..ENDED {
            let Some(number) = desk.book.line.overdue(now) else { return };
            let stage = desk.tickets.get(&number).map(|ticket| ticket.stage);
            if desk.down.is_some() || matches!(stage, None | Some(Stage::Leaves | Stage::Gone)) {
                if stage != Some(Stage::Leaves) {
                    desk.let_go(number);
                }
                self.timed_out(desk, number, None, now, after);
                continue;
            }
            let Some(waiter) = desk.book.line.waiter(number) else { return };
            let (slot, lane, demand) = (waiter.slot, waiter.lane.clone(), waiter.demand.clone());
            if stage != Some(Stage::Here) {
                desk.push(What::Cancel(number), Tell::Nobody, now, after);
            }
            desk.push(What::Explain { slot, lane, demand }, Tell::TimedOut(number), now, after);
            if let Some(ticket) = desk.tickets.get_mut(&number) {
                ticket.stage = Stage::Leaves;
            }
            desk.book.line.postpone(number, now.saturating_add(EXPLAIN));
        }
    }

    /// Does what the policies say to callers whom the store has not answered in time.
    fn end_unanswered(&self, desk: &mut Desk, now: Millis, after: &mut After) {
        while let Some((by, number)) = desk.unanswered.first().copied() {
            if by > now {
                break;
            }
            desk.unanswered.remove(&(by, number));
            self.unreachable(desk, number, now, after);
        }
    }

    fn end_leases(&self, desk: &mut Desk, now: Millis, after: &mut After) {
        if desk.next_lease > now {
            return;
        }
        let due = desk.permits.iter().filter(|(_, held)| held.until <= now && !held.ending);
        let due: Vec<_> = due.map(|(number, held)| (*number, held.permit)).collect();
        for (number, permit) in due {
            let id = self.id_of(permit);
            log::warn!(
                "permit {id} outlived its lease without being settled, and is ended with its reservation spent"
            );
            self.hub.tell(&mut after.wakers, || Event::LeaseEnded { permit: id });
            let Some(held) = desk.permits.get_mut(&number) else { continue };
            held.ending = true;
            if held.local {
                if let Some(held) = desk.permits.remove(&number) {
                    desk.end_local(&held, Some(&Amounts::new()), now);
                }
                continue;
            }
            let usage = Some(Amounts::new());
            desk.push(What::Settle { permit, usage }, Tell::Nobody, now, after);
        }
        let left = desk.permits.values().filter(|held| !held.ending).map(|held| held.until);
        desk.next_lease = left.min().unwrap_or(Millis::MAX);
    }

    /// Asks why a caller waits for so long, or says what is known.
    fn look_at_long_wait(&self, desk: &mut Desk, number: u64, now: Millis, after: &mut After) {
        if desk.down.is_some() {
            self.long_wait(desk, number, None, now, after);
            return;
        }
        let Some(waiter) = desk.book.line.waiter(number) else { return };
        let (slot, lane, demand) = (waiter.slot, waiter.lane.clone(), waiter.demand.clone());
        desk.push(What::Explain { slot, lane, demand }, Tell::LongWait(number), now, after);
    }

    pub(super) fn long_wait(
        &self,
        desk: &Desk,
        number: u64,
        told: Option<&Explanation>,
        now: Millis,
        after: &mut After,
    ) {
        let waiting = desk.book.line.waiter(number).filter(|waiter| waiter.is_waiting());
        let Some(waiter) = waiting else { return };
        let resource = desk.book.name_of(waiter.slot);
        let waited = Duration::from_millis(now.saturating_sub(waiter.since));
        log::warn!("{resource}: {}", long_wait(waited, waiter.lane.as_deref(), told));
        let limit = told.and_then(binding).map(|binding| binding.limit.clone());
        self.hub.tell(&mut after.wakers, || Event::LongWait { resource, waited, limit });
    }
}
