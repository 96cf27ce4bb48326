//! Asking for a permit: what is said at once, and who joins the line.

use crate::Name;
use crate::command::{Acquire, Outcome, Refusal};
use crate::lane::{Draw, Lane, Place, Resource};
use crate::ledger::{Ledger, Spot};
use crate::limit::Pause;
use crate::line::{Fit, Ticket, fit, paused, ready_at};
use crate::meter::signed;
use crate::time::{Millis, NEVER};

/// How many tickets are counted that are before one in the middle of its lane.
const COUNTED: usize = 1_024;

impl Ledger {
    pub(crate) fn acquire(&mut self, acquire: &mut Acquire) -> Outcome {
        let Some(session) = self.sessions.alive(acquire.ticket.session) else {
            self.walk(None);
            return Outcome::Expired;
        };
        let restated = session.restated.is_some();
        if acquire.ticket.number <= session.highest || restated && self.spots.contains_key(&acquire.ticket) {
            self.walk(None);
            return self.repeated(acquire);
        }
        session.highest = acquire.ticket.number;
        match self.fits(acquire) {
            Err(refusal) => {
                self.walk(None);
                Outcome::Refused(refusal)
            }
            Ok(true) if self.waiting.is_empty() && self.grants_left > 0 => self.answer_at_once(acquire),
            Ok(_) => self.join(acquire),
        }
    }

    fn repeated(&self, acquire: &Acquire) -> Outcome {
        match self.spots.get(&acquire.ticket) {
            Some(Spot::Waits(ticket)) => Outcome::Queued { ahead: self.ahead(*ticket) },
            Some(Spot::Held(_)) => Outcome::Granted,
            None => Outcome::Over,
        }
    }

    /// Returns whether the limits cover a request, or why it is refused whoever waits.
    fn fits(&mut self, acquire: &Acquire) -> Result<bool, Refusal> {
        let lane = acquire.lane.as_deref();
        let at = self.resources.get(acquire.resource.0 as usize).filter(|resource| !resource.gone);
        let at = at.ok_or(Refusal::NoResource)?;
        if !at.allows(lane) {
            return Err(acquire
                .lane
                .clone()
                .map_or(Refusal::NoResource, |lane| Refusal::UnknownLane { lane }));
        }
        if let Some(refusal) = paused(at.pause, self.now) {
            return Err(refusal);
        }
        let pause = Pause::left(at.pause, self.now.clock);
        self.walks += 1;
        let unknown;
        let draws = if let Some(lane) = at.lane(lane).and_then(|lane| self.lanes.get(lane)) {
            &lane.draws
        } else {
            unknown = self.draws_of(acquire.resource.0, lane);
            &unknown
        };
        let covered = match fit(&mut self.limits, draws, &acquire.demand, self.now, self.walks) {
            Fit::Never(refusal) => return Err(refusal),
            Fit::Covered => pause == 0,
            Fit::Short => false,
        };
        if acquire.within == NEVER || covered {
            return Ok(covered);
        }
        let ready_in = ready_at(&self.limits, draws, &acquire.demand, self.now);
        if pause.max(ready_in) <= acquire.within {
            return Ok(false);
        }
        match self.slowest(draws, acquire, false) {
            (Some(limit), ready_in) if ready_in > pause => Err(Refusal::TooLate { limit, ready_in }),
            _ => Err(Refusal::Paused { ends_in: pause }),
        }
    }

    /// Grants where nobody waits.
    fn answer_at_once(&mut self, acquire: &mut Acquire) -> Outcome {
        let resource = acquire.resource.0;
        let lane = self.lane_of(resource, acquire.lane.as_ref());
        self.arrivals += 1;
        self.grant(acquire.ticket, lane, acquire.lane.take(), None, core::mem::take(&mut acquire.demand));
        self.forget_lanes(resource);
        Outcome::Granted
    }

    /// Joins the line, and leaves it again at once where the ticket may not wait.
    fn join(&mut self, acquire: &Acquire) -> Outcome {
        let resource = acquire.resource.0;
        let lane = self.lane_of(resource, acquire.lane.as_ref());
        let busy = self.lanes.get(lane).is_some_and(|lane| !lane.queue.is_empty());
        if !acquire.wait && busy {
            self.walk(None);
            return self.busy(acquire);
        }
        self.arrivals += 1;
        let place = Place { rank: self.rank(acquire), arrival: self.arrivals };
        let ticket = Ticket {
            id: acquire.ticket,
            lane,
            named: acquire.lane.clone(),
            draws: None,
            demand: acquire.demand.clone(),
            place,
            since: self.now.clock,
        };
        let ticket = self.enqueue(resource, ticket);
        self.walk(Some(ticket));
        if let Some(Spot::Held(_)) = self.spots.get(&acquire.ticket) {
            return Outcome::Granted;
        }
        let at = self.resources.get(resource as usize);
        let (waiting, most) = at.map_or((0, 0), |at| (at.waiting, at.spec.line_max));
        if acquire.wait && waiting <= most {
            return Outcome::Queued { ahead: self.ahead(ticket) };
        }
        self.dequeue(ticket);
        self.forget_lanes(resource);
        // What it had set aside is free again.
        self.walk(None);
        if acquire.wait {
            return Outcome::Refused(Refusal::LineFull { waiting: waiting - 1, most });
        }
        self.busy(acquire)
    }

    fn rank(&self, acquire: &Acquire) -> i64 {
        let resource = self.resources.get(acquire.resource.0 as usize);
        let declared =
            |resource: &Resource| Some(resource.declared(acquire.lane.as_deref()?)?.max_head_start);
        let most = resource.and_then(declared).unwrap_or(0);
        signed(self.now.clock) - signed(acquire.head_start.min(most))
    }

    fn busy(&self, acquire: &Acquire) -> Outcome {
        let draws = self.draws_of(acquire.resource.0, acquire.lane.as_deref());
        let (limit, ready_in) = self.slowest(&draws, acquire, true);
        Outcome::Refused(Refusal::Busy { limit, ready_in })
    }

    /// Returns which limit lets a demand wait longest, and how long. Where `releases` count, one that takes a
    /// settlement takes for ever.
    fn slowest(&self, draws: &[Draw], acquire: &Acquire, releases: bool) -> (Option<Name>, Millis) {
        let mut slowest = (None, 0);
        for draw in draws {
            let Some(limit) = self.limits.get(draw.limit as usize).filter(|limit| !limit.spec.shadow) else {
                continue;
            };
            let demand = signed(acquire.demand.amount(limit.metric));
            let ready = if demand == 0 { 0 } else { limit.ready(self.now, demand) };
            let ready = if ready == NEVER && !releases { 0 } else { ready };
            let ready = ready.max(if demand == 0 { 0 } else { Pause::left(limit.pause, self.now.clock) });
            if ready > slowest.1 {
                slowest = (Some(limit.spec.id.clone()), ready);
            }
        }
        let pause = self.resources.get(acquire.resource.0 as usize).and_then(|resource| resource.pause);
        (slowest.0, slowest.1.max(Pause::left(pause, self.now.clock)))
    }

    /// Returns how many tickets of its lane are before a ticket.
    pub(crate) fn ahead(&self, ticket: u32) -> u64 {
        let ticket = self.tickets.get(ticket);
        let lane = ticket.and_then(|ticket| self.lanes.get(ticket.lane));
        let count = |(ticket, lane): (&Ticket, &Lane)| {
            let last = lane.queue.last_key_value().is_some_and(|(place, _)| *place == ticket.place);
            let before = || lane.queue.range(..ticket.place).take(COUNTED).count();
            if last { lane.queue.len() - 1 } else { before() }
        };
        ticket.zip(lane).map_or(0, count) as u64
    }
}
