//! What a home of several processes needs of a ledger: steps taken apart, who keeps time, and who is alive.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::command::{Command, LimitId, Outcome, ResourceId, SessionId, TicketId};
use crate::ledger::Ledger;
use crate::limit::{Algorithm, Boundaries, LimitSpec};
use crate::snapshot::PermitView;
use crate::time::{Millis, NEVER};

const MINUTE: Millis = 60_000;
const HOUR: Millis = 3_600_000;

/// A session at one instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionView {
    /// The session.
    pub id: SessionId,
    /// Its time-out in milliseconds, `None` where it lives until closed.
    pub time_out: Option<Millis>,
    /// After how many milliseconds it is dead unless it speaks.
    pub expires_in: Option<Millis>,
    /// Dead, and what it left behind is being ended.
    pub dead: bool,
}

impl Ledger {
    /// Begins a step, whose commands follow one by one by [`carry_out_next`](Self::carry_out_next).
    ///
    /// [`batch`](Self::batch) does both; taken apart they let a home look at the ledger between two commands.
    pub fn begin_step(&mut self, now: Millis) {
        self.begin(now);
    }

    /// Carries out the next command of a step.
    pub fn carry_out_next(&mut self, command: Command) -> Outcome {
        self.carry_out(command)
    }

    /// Opens a session or renews it, and returns whether it is alive. Part of a step, and no command of it.
    pub fn renew(&mut self, session: SessionId, time_out: Option<Millis>) -> bool {
        self.planned = false;
        self.sessions.touch(self.now.clock, session, time_out)
    }

    /// Ends a step that had no commands.
    pub fn walk_on(&mut self) {
        self.walk(None);
    }

    /// Returns after how many milliseconds the ledger has to be looked at for a ticket that waits, and which session
    /// should: the owner of the head that is due first. Where something is left to do that is nobody's, the `caller`.
    pub fn keep_time(&mut self, caller: Option<SessionId>) -> Option<(Millis, Option<SessionId>)> {
        let waits = !self.waiting.is_empty();
        let (mut due, mut whose) = if waits { self.plan() } else { (NEVER, None) };
        if self.more || self.sweep.is_some() || !self.sessions.dead.is_empty() {
            (due, whose) = (0, caller.or(whose));
        }
        if let Some(owed) = self.owed_slots_in().filter(|_| waits) {
            (due, whose) = (due.min(owed), whose.or(caller));
        }
        let held_off = self.held_off_for();
        if held_off > 0 && (waits || due == 0) {
            (due, whose) = (held_off, whose.or(caller));
        }
        (due != NEVER).then_some((due, whose))
    }

    /// Returns the ledger's own clock at the last step.
    pub fn clock(&self) -> Millis {
        self.now.clock
    }

    /// Returns the store's clock at the last step.
    pub fn wall(&self) -> Millis {
        self.now.wall
    }

    /// Returns how many tickets wait, and how many tickets and permits there are in all.
    pub fn counts(&self) -> (usize, usize) {
        (self.spots.len() - self.holds.iter().count(), self.spots.len())
    }

    /// Returns the resource of this name, also one that was removed.
    pub fn any_resource(&self, name: &str) -> Option<ResourceId> {
        self.resource_names.get(name).copied().map(ResourceId)
    }

    /// Returns the limit of this name, also one that was removed.
    pub fn any_limit(&self, name: &str) -> Option<LimitId> {
        self.limit_names.get(name).copied().map(LimitId)
    }

    /// Returns the name of a resource, empty where there is none.
    pub fn name_of(&self, resource: ResourceId) -> &str {
        self.resources.get(resource.0 as usize).map_or("", |resource| &resource.spec.name)
    }

    /// Returns what the configuration says of a limit, `None` where it knows none of this name.
    pub fn limit_spec(&self, name: &str) -> Option<&LimitSpec> {
        let limit = self.limits.get(self.limit(name)?.0 as usize)?;
        Some(&limit.spec)
    }

    /// Returns how long a ledger that nobody uses must be kept so that nothing could be forgotten: until everything is
    /// full again. [`NEVER`] where a calendar lists the periods of a limit.
    pub fn keep(&self) -> Millis {
        let keeps = self.limits.iter().map(|limit| {
            let window = match &limit.spec.algorithm {
                Algorithm::FixedWindow { boundaries: Boundaries::At(_), .. } => return NEVER,
                _ => limit.window().saturating_mul(2).saturating_add(MINUTE),
            };
            let ready = if limit.is_concurrency() { 0 } else { limit.ready(self.now, limit.most()) };
            let fills = limit.fills_in().saturating_mul(2);
            let ready = if limit.held > 0 { 0 } else { ready.saturating_mul(2) };
            window.max(fills).max(ready)
        });
        keeps.fold(HOUR, Ord::max)
    }

    /// Returns whether a session is known, and if so, whether it is dead.
    pub fn session_is_dead(&self, id: SessionId) -> Option<bool> {
        self.sessions.all.get(&id).map(|session| session.dead)
    }

    /// Returns whether a session is alive and has a time-out.
    pub fn session_is_timed(&self, id: SessionId) -> bool {
        self.sessions.all.get(&id).is_some_and(|session| session.time_out.is_some() && !session.dead)
    }

    /// Returns how many sessions are alive that have a time-out.
    pub fn sessions_alive(&self) -> u64 {
        self.sessions.due.len() as u64
    }

    /// Iterates over all sessions, by id.
    pub fn sessions(&self) -> impl Iterator<Item = SessionView> + '_ {
        self.sessions.all.iter().map(|(id, session)| SessionView {
            id: *id,
            time_out: session.time_out,
            expires_in: session.time_out.map(|_| session.expires.saturating_sub(self.now.clock)),
            dead: session.dead,
        })
    }

    /// Has the ledger tell from here on which sessions have ended for good.
    pub fn tell_ended(&mut self) {
        self.sessions.ended.get_or_insert_default();
    }

    /// Takes the sessions that have ended for good since the last call, where [`tell_ended`](Self::tell_ended) asked for it.
    pub fn drain_ended(&mut self) -> impl Iterator<Item = SessionId> + '_ {
        self.sessions.ended.iter_mut().flat_map(|ended| ended.drain(..))
    }

    /// Returns how many tickets and permits a session has, counting to `most`.
    pub fn belongings_of(&self, session: SessionId, most: usize) -> usize {
        self.belongings(session, most).len()
    }

    /// Returns as many as `most` of what a session owns, permits alone of it, and whether there may be more.
    pub fn permits_owned(&self, session: SessionId, most: usize) -> (Vec<PermitView>, bool) {
        let rows = self.belongings(session, most);
        let more = rows.len() == most;
        (rows.into_iter().filter_map(|id| self.permit(id)).collect(), more)
    }

    /// Returns permits by owner: of all tickets and permits the `most` behind the first `from`, and whether there may
    /// be more.
    pub fn permits_by_owner(&self, from: usize, most: usize) -> (Vec<PermitView>, bool) {
        let all: Box<dyn Iterator<Item = TicketId>> =
            Box::new(self.sessions.all.keys().flat_map(|session| self.belongings(*session, usize::MAX)));
        let rows: Vec<TicketId> = all.skip(from).take(most).collect();
        let more = rows.len() == most;
        (rows.into_iter().filter_map(|id| self.permit(id)).collect(), more)
    }
}
