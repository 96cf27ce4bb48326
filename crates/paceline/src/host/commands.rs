//! Commands of a batch: names become the ledger's own on the way in, and outcomes are written on the way out.

use paceline_core::{
    Acquire, Amounts, Command, Explanation, Name, Outcome, Refusal, ResourceId, SessionId, Target, TicketId,
    Usage,
};

use super::book::{Book, Told};
use crate::wire::{Asked, On, Wanted, Written};

/// Why something asked can be no command.
enum Never {
    /// It is of the caller's session, and nobody calls.
    Expired,
    /// It names what was never configured.
    NoResource,
    /// It only looks.
    Look,
}

impl Never {
    fn outcome(self) -> Outcome {
        match self {
            Self::Expired => Outcome::Expired,
            Self::NoResource => Outcome::Refused(Refusal::NoResource),
            Self::Look => Outcome::Done,
        }
    }
}

impl Book {
    /// Carries out one command and writes its outcome.
    pub(super) fn carry_out(
        &mut self,
        asked: &Asked<'_>,
        caller: Option<SessionId>,
        told: &mut Vec<Told>,
        outcomes: &mut Written,
    ) {
        if asked.is_look() {
            let now = self.ledger.wall();
            return outcomes.one(|out| self.look_once(asked, now, out));
        }
        if let Asked::Configure { configuration, revision: Some(revision), digests } = asked {
            told.extend(self.ledger.drain().map(Told::Decided));
            return outcomes.one(|out| self.configure(configuration, *revision, digests, caller, told, out));
        }
        self.tallies.settles(asked, caller, &self.ledger);
        let outcome = self.command(asked, caller).map(|command| self.ledger.carry_out_next(command));
        let outcome = outcome.unwrap_or_else(|never| {
            self.ledger.walk_on();
            never.outcome()
        });
        self.tallies.answered(asked, &outcome, &self.ledger);
        let why = match (asked, &outcome) {
            (Asked::Acquire { why: true, resource, lane, amounts, .. }, Outcome::Refused(refusal)) => {
                self.why(resource, *lane, amounts, refusal)
            }
            _ => None,
        };
        outcomes.one(|out| out.outcome(&outcome, why.as_ref(), &self.ledger));
        match (asked, &outcome) {
            (Asked::Configure { .. }, Outcome::Done) => self.configured(),
            (Asked::Pause { .. } | Asked::Resume { .. }, Outcome::Done) => self.marks.is_outline_new = true,
            _ => self.note_opened(asked, &outcome),
        }
    }

    /// What explains a refusal for want of room or time.
    fn why(
        &mut self,
        resource: &str,
        lane: Option<&str>,
        amounts: &Wanted<'_>,
        refusal: &Refusal,
    ) -> Option<Explanation> {
        let short =
            matches!(refusal, Refusal::Busy { .. } | Refusal::TooLate { .. } | Refusal::LineFull { .. });
        let resource = self.ledger.resource(resource).filter(|_| short)?;
        let demand = self.amounts(amounts);
        self.ledger.explain(self.ledger.wall(), resource, lane, &demand)
    }

    /// Has pushes for a session that somebody else opened go where that one said.
    fn note_opened(&mut self, asked: &Asked<'_>, outcome: &Outcome) {
        if let (Asked::Touch { session, inbox: Some(inbox), .. }, Outcome::Done) = (asked, outcome) {
            (*inbox).clone_into(&mut self.seats.entry(*session).or_default().inbox);
        }
    }

    pub(super) fn amounts(&mut self, wanted: &Wanted<'_>) -> Amounts {
        let ledger = &mut self.ledger;
        Amounts::of(wanted.iter().filter_map(|(name, amount)| Some((ledger.metric(name)?, *amount))))
    }

    /// Returns the resource of this name, also one that was removed: what asks for it is told so.
    fn resource(&self, name: &str) -> ResourceId {
        self.ledger.any_resource(name).unwrap_or(ResourceId::UNKNOWN)
    }

    fn target(&self, on: On<'_>) -> Result<Target, Never> {
        let target = match on {
            On::Resource(name) => self.ledger.any_resource(name).map(Target::Resource),
            On::Limit(name) => self.ledger.any_limit(name).map(Target::Limit),
        };
        target.ok_or(Never::NoResource)
    }

    /// Returns the command, or what is answered where it can be none.
    fn command(&mut self, asked: &Asked<'_>, caller: Option<SessionId>) -> Result<Command, Never> {
        let of = |session: Option<SessionId>, number: u64| {
            let session = session.or(caller).ok_or(Never::Expired)?;
            Ok::<_, Never>(TicketId { session, number })
        };
        let named = |lane: Option<&str>| lane.map(Name::from);
        Ok(match asked {
            Asked::Acquire { session, number, resource, lane, amounts, within, head_start, wait, .. } => {
                let demand = self.amounts(amounts);
                let asked = Acquire::new(of(*session, *number)?, self.resource(resource), demand);
                let (lane, head_start) = (named(*lane), *head_start);
                Command::Acquire(Acquire { lane, head_start, within: *within, wait: *wait, ..asked })
            }
            Asked::Settle { session, number, usage } => {
                let permit = of(*session, *number)?;
                let usage = usage.as_ref().map_or(Usage::Nothing, |usage| Usage::Of(self.amounts(usage)));
                Command::Settle { permit, usage }
            }
            Asked::Cancel { session, number } => Command::Cancel { ticket: of(*session, *number)? },
            Asked::Amend { session, number, amounts } => {
                Command::Amend { permit: of(*session, *number)?, reserve: self.amounts(amounts) }
            }
            Asked::Touch { session, time_out, .. } => {
                Command::Touch { session: *session, time_out: *time_out }
            }
            Asked::Close { session } => Command::Close { session: session.or(caller).ok_or(Never::Expired)? },
            Asked::Transfer { session, number, to, time_out } => {
                Command::Transfer { permit: of(*session, *number)?, to: *to, time_out: *time_out }
            }
            Asked::Restore { number, resource, lane, reserved, extra, age } => Command::Restore {
                permit: of(None, *number)?,
                resource: self.resource(resource),
                lane: named(*lane),
                reserved: self.amounts(reserved),
                extra: self.amounts(extra),
                age: *age,
            },
            Asked::Recovered => Command::Recovered { session: caller.ok_or(Never::Expired)? },
            other => self.other(other)?,
        })
    }

    /// The commands that concern no ticket.
    fn other(&mut self, asked: &Asked<'_>) -> Result<Command, Never> {
        let named = |lane: Option<&str>| lane.map(Name::from);
        Ok(match asked {
            Asked::Record { resource, lane, amounts } => Command::Record {
                resource: self.resource(resource),
                lane: named(*lane),
                usage: self.amounts(amounts),
            },
            Asked::Spent { resource, lane, amounts } => Command::Spent {
                resource: self.resource(resource),
                lane: named(*lane),
                amounts: self.amounts(amounts),
            },
            Asked::Observe { limit, remaining, amount } => {
                let limit = self.ledger.any_limit(limit).ok_or(Never::NoResource)?;
                Command::Observe { limit, remaining: *remaining, amount: *amount }
            }
            Asked::Pause { on, lasting, refuse } => {
                Command::Pause { target: self.target(*on)?, lasting: *lasting, refuse: *refuse }
            }
            Asked::Resume { on } => Command::Resume { target: self.target(*on)? },
            Asked::Purge { resource, lane } => {
                Command::Purge { resource: self.resource(resource), lane: named(*lane) }
            }
            Asked::Configure { configuration, .. } => Command::Configure(configuration.clone()),
            // Looks, and what `command` knows.
            _ => return Err(Never::Look),
        })
    }
}
