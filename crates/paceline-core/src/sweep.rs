//! The sweep: what an expiry, a purge or a configuration marked is ended some at a time.

use alloc::vec::Vec;
use core::ops::Bound;

use crate::Amounts;
use crate::command::{SessionId, TicketId, Usage};
use crate::lane::Resource;
use crate::ledger::{Ledger, Spot, Standing, Sweep};
use crate::line::Head;

impl Ledger {
    /// Ends tickets and holds of dead sessions, in the order of their deaths and by number.
    pub(crate) fn sweep_sessions(&mut self) {
        while let Some(id) = self.sessions.dead.front().copied() {
            for ticket in self.some_belongings(id) {
                if self.looks_left == 0 {
                    self.more = true;
                    return;
                }
                match self.spots.get(&ticket).copied() {
                    Some(Spot::Waits(waiting)) => self.drop_ticket(waiting, None),
                    Some(Spot::Held(hold)) => {
                        self.looks_left -= 1;
                        self.end_hold(hold, &Usage::Of(Amounts::new()));
                    }
                    None => {}
                }
            }
            if self.some_belongings(id).is_empty() {
                self.sessions.dead.pop_front();
                self.sessions.all.remove(&id);
                if let Some(ended) = &mut self.sessions.ended {
                    ended.push(id);
                }
            }
        }
    }

    /// Returns some of the tickets and holds of a session, by id: one more than a step may end.
    fn some_belongings(&self, id: SessionId) -> Vec<TicketId> {
        self.belongings(id, self.looks_left as usize + 1)
    }

    /// Returns as many as `most` of the tickets and holds of a session, by id.
    pub(crate) fn belongings(&self, id: SessionId, most: usize) -> Vec<TicketId> {
        let from = TicketId { session: id, number: 0 };
        let to = TicketId { session: id, number: u64::MAX };
        let own = self.spots.range(from..=to).filter(|(_, spot)| match spot {
            Spot::Waits(_) => true,
            Spot::Held(hold) => self.holds.get(*hold).is_some_and(|hold| hold.owner == id),
        });
        let adopted = self.sessions.all.get(&id).into_iter().flat_map(|session| &session.adopted);
        let mut belongings: Vec<_> =
            own.map(|(ticket, _)| *ticket).take(most).chain(adopted.take(most).copied()).collect();
        belongings.sort_unstable();
        belongings.truncate(most);
        belongings
    }

    /// Looks at waiting tickets in the order of resources, lanes and places, and ends those that cannot be served.
    #[inline]
    pub(crate) fn sweep_line(&mut self) {
        if let Some(sweep) = self.sweep.take() {
            self.sweep_on(sweep);
        }
    }

    fn sweep_on(&mut self, mut sweep: Sweep) {
        while self.looks_left > 0 {
            let Some((ticket, after)) = self.next_to_look_at(&sweep) else { return self.swept() };
            sweep.after = Some(after);
            let arrived = self.tickets.get(ticket).map_or(0, |ticket| ticket.place.arrival);
            if arrived > sweep.until {
                self.looks_left -= 1;
                continue;
            }
            self.walks += 1;
            match self.look(ticket) {
                Head::Dead => self.drop_ticket(ticket, None),
                Head::Refused(refusal) => self.drop_ticket(ticket, Some(refusal)),
                Head::Goes | Head::Waits => self.looks_left -= 1,
            }
        }
        match self.next_to_look_at(&sweep) {
            Some(_) => self.sweep = Some(sweep),
            None => self.swept(),
        }
    }

    fn swept(&mut self) {
        self.resources.iter_mut().for_each(|resource| resource.purged_lanes.clear());
    }

    fn next_to_look_at(&self, sweep: &Sweep) -> Option<(u32, Standing)> {
        let after = sweep.after.as_ref();
        let from = after.map_or(Bound::Unbounded, |(resource, ..)| Bound::Included(resource));
        for (name, number) in self.resource_names.range::<crate::Name, _>((from, Bound::Unbounded)) {
            let resource = self.resources.get(*number as usize).filter(|resource| resource.waiting > 0);
            let here = after.filter(|(resource, ..)| resource == name);
            let lanes = resource.into_iter().flat_map(Resource::lanes);
            for lane in lanes.filter_map(|lane| self.lanes.get(lane)) {
                let from = match here {
                    Some((_, done, _)) if lane.name < *done => continue,
                    Some((_, done, place)) if lane.name == *done => Bound::Excluded(*place),
                    _ => Bound::Unbounded,
                };
                if let Some((place, ticket)) = lane.queue.range((from, Bound::Unbounded)).next() {
                    return Some((*ticket, (name.clone(), lane.name.clone(), *place)));
                }
            }
        }
        None
    }
}
