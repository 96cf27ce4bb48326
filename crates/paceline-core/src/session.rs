//! Sessions: whose tickets and permits they are, and until when they are alive.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;

use crate::command::{SessionId, TicketId};
use crate::time::Millis;

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Session {
    /// The highest number of a ticket so far: at or below it nothing is new.
    pub(crate) highest: u64,
    pub(crate) time_out: Option<Millis>,
    /// When it is dead unless touched, by the ledger's clock.
    pub(crate) expires: Millis,
    /// Dead, and not yet swept.
    pub(crate) dead: bool,
    /// Permits that other sessions were granted and handed to this one.
    pub(crate) adopted: BTreeSet<TicketId>,
    /// The numbers of the permits that it restored, where it went on after a loss.
    pub(crate) restated: Option<BTreeSet<u64>>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Sessions {
    pub(crate) all: BTreeMap<SessionId, Session>,
    /// Those that have a time-out and are alive, by when they expire.
    pub(crate) due: BTreeSet<(Millis, SessionId)>,
    /// Those that are dead and not yet swept, in the order of their deaths.
    pub(crate) dead: VecDeque<SessionId>,
    /// How many that are alive have which time-out.
    pub(crate) time_outs: BTreeMap<Millis, u32>,
    /// Those whose end was swept, where somebody asked to be told.
    pub(crate) ended: Option<Vec<SessionId>>,
}

impl Sessions {
    /// Opens a session or renews it, and returns whether it is alive.
    pub(crate) fn touch(&mut self, clock: Millis, id: SessionId, time_out: Option<Millis>) -> bool {
        let session = self.all.entry(id).or_default();
        if session.dead {
            return false;
        }
        if session.time_out.is_none() && time_out.is_none() {
            return true;
        }
        let old = core::mem::replace(&mut session.time_out, time_out);
        let expired = core::mem::replace(&mut session.expires, clock.saturating_add(time_out.unwrap_or(0)));
        let expires = session.expires;
        self.uncount(id, old, expired);
        if let Some(time_out) = time_out {
            self.due.insert((expires, id));
            *self.time_outs.entry(time_out).or_default() += 1;
        }
        true
    }

    fn uncount(&mut self, id: SessionId, time_out: Option<Millis>, expires: Millis) {
        let Some(time_out) = time_out else { return };
        self.due.remove(&(expires, id));
        if let Some(count) = self.time_outs.get_mut(&time_out) {
            *count -= 1;
            if *count == 0 {
                self.time_outs.remove(&time_out);
            }
        }
    }

    /// Returns the shortest time-out of those that are alive.
    fn shortest(&self) -> Option<Millis> {
        self.time_outs.first_key_value().map(|(time_out, _)| *time_out)
    }

    /// Returns whether any has a time-out.
    pub(crate) fn are_timed(&self) -> bool {
        !self.time_outs.is_empty()
    }

    pub(crate) fn alive(&mut self, id: SessionId) -> Option<&mut Session> {
        self.all.get_mut(&id).filter(|session| !session.dead)
    }

    pub(crate) fn is_dead(&self, id: SessionId) -> bool {
        !self.dead.is_empty() && self.all.get(&id).is_none_or(|session| session.dead)
    }

    /// Works out anew when sessions expire.
    pub(crate) fn rebuild(&mut self) {
        let timed = self.all.iter().filter(|(_, session)| session.time_out.is_some() && !session.dead);
        self.due = timed.map(|(id, session)| (session.expires, *id)).collect();
        for time_out in
            self.all.values().filter(|session| !session.dead).filter_map(|session| session.time_out)
        {
            *self.time_outs.entry(time_out).or_default() += 1;
        }
    }

    /// Marks a session dead, and returns whether it was alive.
    pub(crate) fn kill(&mut self, id: SessionId) -> bool {
        let Some(session) = self.all.get_mut(&id).filter(|session| !session.dead) else { return false };
        session.dead = true;
        let (time_out, expires) = (session.time_out, session.expires);
        self.uncount(id, time_out, expires);
        self.dead.push_back(id);
        true
    }

    /// Gives every session a fresh time-out for which nothing was applied for more than half of it.
    pub(crate) fn forgive(&mut self, clock: Millis, gap: Millis) {
        let stalled =
            |time_out: Option<Millis>| time_out.is_some_and(|time_out| gap.saturating_mul(2) > time_out);
        if !stalled(self.shortest()) {
            return;
        }
        for (id, session) in &mut self.all {
            if stalled(session.time_out) && !session.dead {
                self.due.remove(&(session.expires, *id));
                session.expires = clock.saturating_add(session.time_out.unwrap_or(0));
                self.due.insert((session.expires, *id));
            }
        }
    }

    /// Gives every session a fresh time-out.
    pub(crate) fn refresh(&mut self, clock: Millis) {
        for (id, session) in &mut self.all {
            if let Some(time_out) = session.time_out.filter(|_| !session.dead) {
                self.due.remove(&(session.expires, *id));
                session.expires = clock.saturating_add(time_out);
                self.due.insert((session.expires, *id));
            }
        }
    }

    /// Returns the session that has been dead for longest by this time and is not yet marked so.
    pub(crate) fn overdue(&self, clock: Millis) -> Option<SessionId> {
        self.due.first().filter(|(expires, _)| *expires <= clock).map(|(_, id)| *id)
    }

    /// Returns after what time somebody must look: at the next expiry, and before so much time has passed that the
    /// store seems to have been down.
    pub(crate) fn wakeup(&self, clock: Millis) -> Option<Millis> {
        let (expires, _) = self.due.first()?;
        let half = self.shortest().unwrap_or(0) / 2;
        Some(expires.saturating_sub(clock).min(half.max(1)))
    }
}
