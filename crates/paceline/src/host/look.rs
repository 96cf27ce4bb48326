//! What people and programs read of a ledger. It changes nothing.

use paceline_core::{Amounts, Explanation, Millis, PermitView, SessionId, TicketId};

use super::book::Book;
use crate::wire::{Asked, Out};

/// How many tickets and permits of a session are counted.
const COUNTED: usize = 1_000;

impl Book {
    /// Answers one look as of `now`.
    pub(super) fn look_once(&mut self, asked: &Asked<'_>, now: Millis, out: &mut Out<'_>) {
        match asked {
            Asked::View => {
                let snapshot = self.ledger.snapshot(now);
                out.viewed(&snapshot, &self.ledger);
            }
            Asked::Explain { resource, lane, amounts } => {
                let demand = self.amounts(amounts);
                let resource = self.ledger.resource(resource);
                match resource.and_then(|resource| self.ledger.explain(now, resource, *lane, &demand)) {
                    Some(told) => out.explained(&told),
                    None => out.text("unknown"),
                }
            }
            Asked::Permits { session, number, most } => {
                let (mut rows, more) = self.permits(*session, *number, *most);
                let later = self.later(now);
                for row in &mut rows {
                    row.age += later;
                }
                out.permitted(&rows, more, &self.ledger);
            }
            Asked::Status => self.status(now, out),
            _ => {
                let text = self.ledger.dump();
                out.array(2);
                out.text("dumped");
                out.text(&text);
            }
        }
    }

    /// Explains what would become of a call that wants one of everything.
    pub(super) fn explain_least(
        &mut self,
        now: Millis,
        resource: &str,
        lane: Option<&str>,
    ) -> Option<Explanation> {
        let resource = self.ledger.resource(resource)?;
        let metrics: Vec<String> = self.ledger.metrics_of(resource).map(str::to_owned).collect();
        let one = metrics.iter().filter_map(|metric| Some((self.ledger.metric(metric)?, 1)));
        let least = Amounts::of(one.collect::<Vec<_>>());
        self.ledger.explain(now, resource, lane, &least)
    }

    /// How much later than the last step it is.
    fn later(&self, now: Millis) -> Millis {
        now.saturating_sub(self.ledger.wall())
    }

    /// The permit of an id; those that a session owns, where the number is 0; or all, by owner, after so many, where
    /// no session is named. Says as well whether there may be more.
    fn permits(&self, session: Option<SessionId>, number: u64, most: u64) -> (Vec<PermitView>, bool) {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        match session {
            Some(session) if number > 0 => {
                let permit = self.ledger.permit(TicketId { session, number });
                (permit.into_iter().collect(), false)
            }
            Some(session) => self.ledger.permits_owned(session, most),
            None => self.ledger.permits_by_owner(usize::try_from(number).unwrap_or(usize::MAX), most),
        }
    }

    fn status(&self, now: Millis, out: &mut Out<'_>) {
        let later = self.later(now);
        let (waiting, tickets) = self.ledger.counts();
        out.array(2);
        out.text("told");
        out.map(10);
        let number = |out: &mut Out<'_>, name: &str, value: u64| {
            out.text(name);
            out.uint(value);
        };
        out.text("epoch");
        out.text(&self.epoch);
        number(out, "seq", self.seq);
        out.text("run_id");
        out.text(&self.run_id);
        number(out, "clock", self.ledger.clock() + later);
        number(out, "wall", now);
        number(out, "kept_until", self.kept_until);
        number(out, "tickets", tickets as u64);
        number(out, "waiting", waiting as u64);
        number(out, "held_off", self.ledger.held_off_for().saturating_sub(later));
        out.text("sessions");
        out.array(self.ledger.sessions().count());
        for session in self.ledger.sessions() {
            let seat = self.seats.get(&session.id);
            out.array(8);
            out.session(Some(session.id));
            out.uint_or_none(session.time_out);
            out.uint_or_none(session.expires_in.map(|expires_in| expires_in.saturating_sub(later)));
            out.flag(session.dead);
            out.uint(seat.map_or(0, |seat| seat.last));
            out.uint(seat.map_or(0, |seat| seat.sent));
            out.uint(self.ledger.belongings_of(session.id, COUNTED) as u64);
            out.text(seat.map_or("", |seat| &seat.inbox));
        }
    }
}
