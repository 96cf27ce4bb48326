//! What each command does.

use paceline_core::{Millis, NEVER, Refusal, SessionId};

use super::{Lane, Model, Session, Ticket};
use crate::exam::ask::{Answer, Ask, On, Want};

impl Model {
    /// Carries out one command and the walk that follows it.
    pub(super) fn obey(&mut self, ask: &Ask) -> Answer {
        if let Ask::Acquire(want) = ask {
            return self.acquire(want);
        }
        let answer = match ask {
            Ask::Acquire(_) => Answer::Done,
            Ask::Touch { session, time_out } => self.touch(*session, *time_out),
            Ask::Cancel { ticket } => {
                if self.tickets.iter().any(|waiting| waiting.id == *ticket) {
                    self.tickets.retain(|waiting| waiting.id != *ticket);
                    Answer::Cancelled
                } else {
                    self.settle(*ticket, None)
                }
            }
            Ask::Settle { permit, usage } => self.settle(*permit, usage.as_ref()),
            Ask::Amend { permit, reserve } => self.amend(*permit, reserve),
            Ask::Record { resource, lane, usage } => self.record(resource, lane.as_deref(), usage),
            Ask::Transfer { permit, to, time_out } => {
                if !self.holds.iter().any(|hold| hold.id == *permit) {
                    Answer::Over
                } else if self.sessions.get(to).is_some_and(|session| session.dead) {
                    Answer::Expired
                } else {
                    if !self.sessions.contains_key(to) {
                        self.touch(*to, *time_out);
                    }
                    let mut holds = self.holds.iter_mut();
                    if let Some(hold) = holds.find(|hold| hold.id == *permit) {
                        hold.owner = *to;
                    }
                    Answer::Done
                }
            }
            Ask::Observe { limit, remaining, amount } => self.observe(limit, *remaining, *amount),
            Ask::Pause { on, lasting, refuse } => self.pause(on, *lasting, *refuse),
            Ask::Resume { on } => self.resume(on),
            Ask::Purge { resource, lane } => self.purge(resource, lane.as_deref()),
            Ask::Configure(configuration) => self.configure(configuration),
            Ask::Close { session } => self.close(*session),
        };
        self.walk(None);
        answer
    }

    fn touch(&mut self, id: SessionId, time_out: Option<Millis>) -> Answer {
        let time_out = time_out.map(i128::from);
        let deadline = time_out.map(|time_out| self.now.clock + time_out);
        let unknown = Session { time_out, deadline, highest: 0, dead: false };
        let session = self.sessions.entry(id).or_insert(unknown);
        if session.dead {
            return Answer::Expired;
        }
        (session.time_out, session.deadline) = (time_out, deadline);
        Answer::Done
    }

    fn close(&mut self, id: SessionId) -> Answer {
        if self.is_dead(id) {
            return Answer::Expired;
        }
        self.kill(id);
        Answer::Done
    }

    fn purge(&mut self, resource: &str, lane: Option<&str>) -> Answer {
        if !self.known.contains(&On::Resource(resource.into())) {
            return Answer::Refused(Refusal::NoResource);
        }
        for ticket in self.tickets.iter_mut().filter(|ticket| ticket.resource == resource) {
            ticket.purged |= lane.is_none() || ticket.lane.1.as_deref() == lane;
        }
        self.mark();
        Answer::Done
    }

    fn acquire(&mut self, want: &Want) -> Answer {
        let answer = self.admit(want);
        if matches!(answer, Answer::Granted | Answer::Queued(_)) {
            return answer;
        }
        self.walk(None);
        answer
    }

    fn admit(&mut self, want: &Want) -> Answer {
        let id = want.ticket;
        let Some(session) = self.sessions.get_mut(&id.session).filter(|session| !session.dead) else {
            return Answer::Expired;
        };
        if id.number <= session.highest {
            self.walk(None);
            if let Some(ticket) = self.tickets.iter().find(|ticket| ticket.id == id) {
                return Answer::Queued(self.ahead(ticket));
            }
            let held = self.holds.iter().any(|hold| hold.id == id);
            return if held { Answer::Granted } else { Answer::Over };
        }
        session.highest = id.number;
        if let Some(refusal) = self.refused_at_once(want) {
            return Answer::Refused(refusal);
        }
        let ticket = self.ticket(want);
        let alone = !self.tickets.iter().any(|waiting| waiting.lane == ticket.lane);
        let room = self.resources.get(&want.resource).map_or(0, |resource| resource.line_max);
        if want.wait && self.tickets.len() < room as usize {
            self.tickets.push(ticket.clone());
            return if self.walk(Some(id)) { Answer::Granted } else { Answer::Queued(self.ahead(&ticket)) };
        }
        let mut after = self.clone();
        after.tickets.push(ticket.clone());
        let went = (want.wait || alone) && after.grants_left > 0 && after.walk(Some(id));
        if went {
            *self = after;
            return Answer::Granted;
        }
        if !want.wait {
            return Answer::Refused(self.busy(want));
        }
        let others = after.tickets.iter().filter(|other| other.resource == want.resource).count() - 1;
        if others >= room as usize {
            let waiting = u32::try_from(others).unwrap_or(u32::MAX);
            return Answer::Refused(Refusal::LineFull { waiting, most: room });
        }
        *self = after;
        Answer::Queued(self.ahead(&ticket))
    }

    fn refused_at_once(&self, want: &Want) -> Option<Refusal> {
        let (resource, lane, demand) = (want.resource.as_str(), want.lane.as_deref(), &want.demand);
        let Some(spec) = self.resources.get(resource) else { return Some(Refusal::NoResource) };
        if let Some(name) = lane.filter(|_| !spec.lanes.is_empty() && self.declared(resource, lane).is_none())
        {
            return Some(Refusal::UnknownLane { lane: name.into() });
        }
        let paused = self.refused_by_pause(&On::Resource(resource.into()));
        if let Some(refusal) = paused.or_else(|| self.refused_by_limits(resource, lane, demand)) {
            return Some(refusal);
        }
        if i128::from(want.within) >= self.ready_at(resource, lane, demand) {
            return None;
        }
        let pause = self.pause_left(&On::Resource(resource.into())).unwrap_or(0);
        let millis = |time| Millis::try_from(time).unwrap_or(NEVER);
        Some(match self.slowest(resource, lane, demand, 0) {
            (Some(limit), ready) if ready > pause => Refusal::TooLate { limit, ready_in: millis(ready) },
            _ => Refusal::Paused { ends_in: millis(pause) },
        })
    }

    /// Makes a ticket of a request.
    fn ticket(&mut self, want: &Want) -> Ticket {
        self.arrivals += 1;
        let declared = self.declared(&want.resource, want.lane.as_deref());
        let head_start = want.head_start.min(declared.map_or(0, |lane| lane.max_head_start));
        Ticket {
            id: want.ticket,
            resource: want.resource.clone(),
            named: want.lane.clone(),
            lane: self.place(want),
            demand: want.demand.clone(),
            rank: self.now.clock - i128::from(head_start),
            arrival: self.arrivals,
            arrived: self.now.clock,
            purged: false,
        }
    }

    /// The lane in which a request would wait: its own, or `other` where too many lanes wait already.
    fn place(&self, want: &Want) -> Lane {
        let own = (want.resource.clone(), want.lane.clone());
        let tickets = self.tickets.iter().filter(|ticket| ticket.resource == want.resource);
        let waiting: std::collections::BTreeSet<&Lane> = tickets.map(|ticket| &ticket.lane).collect();
        if waiting.len() >= 256 && !waiting.contains(&own) {
            (want.resource.clone(), Some("other".into()))
        } else {
            own
        }
    }

    fn ahead(&self, ticket: &Ticket) -> u64 {
        let key = |ticket: &Ticket| (ticket.rank, ticket.arrival);
        let before =
            self.tickets.iter().filter(|other| other.lane == ticket.lane && key(other) < key(ticket));
        before.count() as u64
    }

    /// Why a request that does not wait does not go.
    fn busy(&self, want: &Want) -> Refusal {
        let (limit, ready) =
            self.slowest(&want.resource, want.lane.as_deref(), &want.demand, i128::from(NEVER));
        let pause = self.pause_left(&On::Resource(want.resource.clone())).unwrap_or(0);
        Refusal::Busy { limit, ready_in: Millis::try_from(ready.max(pause)).unwrap_or(NEVER) }
    }
}
