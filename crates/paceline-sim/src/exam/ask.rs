//! Commands and answers by name, as every store can be asked and as traces write them.

use std::collections::BTreeMap;

use paceline_core::{
    Configuration, Decision, Millis, Outcome, Refusal, SessionId, Snapshot, SpecError, TicketId,
};

/// Amounts by the name of their metric.
pub type Wants = BTreeMap<String, u64>;

/// A command, with names where a ledger has numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are those of `paceline_core::Command`")]
pub enum Ask {
    /// Opens a session, or gives it a fresh time-out.
    Touch { session: SessionId, time_out: Option<Millis> },
    /// Asks for a permit.
    Acquire(Want),
    /// Leaves the line, or gives a permit back in full.
    Cancel { ticket: TicketId },
    /// Ends a permit; without a usage nothing was used.
    Settle { permit: TicketId, usage: Option<Wants> },
    /// Lowers or raises what a permit reserves.
    Amend { permit: TicketId, reserve: Wants },
    /// Charges use that nobody asked for.
    Record { resource: String, lane: Option<String>, usage: Wants },
    /// Hands a permit to another session.
    Transfer { permit: TicketId, to: SessionId, time_out: Option<Millis> },
    /// Takes over what a provider reported of a limit.
    Observe { limit: String, remaining: Option<u64>, amount: Option<u64> },
    /// Lets callers wait, or refuses them.
    Pause { on: On, lasting: Option<Millis>, refuse: bool },
    /// Ends a pause.
    Resume { on: On },
    /// Refuses all that wait for a resource, or in one lane of it.
    Purge { resource: String, lane: Option<String> },
    /// Changes limits and resources.
    Configure(Configuration),
    /// Ends a session.
    Close { session: SessionId },
}

/// A request for a permit.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are those of `paceline_core::Acquire`")]
pub struct Want {
    pub ticket: TicketId,
    pub resource: String,
    pub lane: Option<String>,
    pub demand: Wants,
    pub head_start: Millis,
    pub within: Millis,
    pub wait: bool,
}

/// What is paused.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum On {
    /// All callers of a resource.
    Resource(String),
    /// All callers that draw on a limit.
    Limit(String),
}

/// An outcome, with names where a ledger has numbers. Amounts of zero are left out.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "the variants are those of `paceline_core::Outcome`")]
pub enum Answer {
    Granted,
    Queued(u64),
    Refused(Refusal),
    Settled { returned: Wants, charged: Wants },
    Amended { returned: Wants, charged: Wants },
    Cancelled,
    Done,
    Over,
    Expired,
    Invalid(SpecError),
}

/// What can be seen of a store, by name: enough to tell two of them apart.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct View {
    /// The limits.
    pub limits: BTreeMap<String, LimitFacts>,
    /// The resources.
    pub resources: BTreeMap<String, ResourceFacts>,
}

/// What can be seen of a limit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LimitFacts {
    /// What is left, below zero in debt.
    pub left: i64,
    /// What is held apart until it settles.
    pub held: u64,
    /// The amount in force.
    pub amount: u64,
    /// The most that it can grant at once.
    pub most: u64,
    /// What is left of its pause.
    pub paused: Option<Millis>,
}

/// What can be seen of a resource.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ResourceFacts {
    /// How many tickets wait.
    pub waiting: u64,
    /// How many permits are out.
    pub in_flight: u64,
    /// What is left of its pause.
    pub paused: Option<Millis>,
    /// Its lanes that wait: how many tickets do.
    pub lanes: BTreeMap<Option<String>, u64>,
}

/// A store under examination: a ledger, its twin, or the reference model.
pub trait Subject {
    /// Applies a batch as one step; an empty one does what is due.
    fn batch(&mut self, now: Millis, asks: &[Ask]) -> Vec<Answer>;
    /// Returns after how many milliseconds from the last step something changes without a command.
    fn next_wakeup(&mut self) -> Option<Millis>;
    /// Takes the decisions on waiting tickets since the last call, oldest first.
    fn drain(&mut self) -> Vec<Decision>;
    /// Returns what can be seen at `now`.
    fn view(&mut self, now: Millis) -> View;
    /// Returns the whole state as canonical text, where the store has one.
    fn dump(&mut self) -> Option<String>;

    /// Applies one command as a step of its own.
    fn apply(&mut self, now: Millis, ask: Ask) -> Answer {
        self.batch(now, &[ask]).pop().unwrap_or(Answer::Done)
    }
}

impl Answer {
    /// Returns an outcome by names; `name` tells those of metrics.
    pub fn of(outcome: Outcome, name: impl Fn(paceline_core::Metric) -> String) -> Self {
        let named = |amounts: &paceline_core::Amounts| {
            let named = amounts.iter().map(|(metric, amount)| (name(metric), amount));
            named.filter(|(_, amount)| *amount > 0).collect::<Wants>()
        };
        match outcome {
            Outcome::Granted => Self::Granted,
            Outcome::Queued { ahead } => Self::Queued(ahead),
            Outcome::Refused(refusal) => Self::Refused(refusal),
            Outcome::Settled { returned, charged } => {
                Self::Settled { returned: named(&returned), charged: named(&charged) }
            }
            Outcome::Amended { returned, charged } => {
                Self::Amended { returned: named(&returned), charged: named(&charged) }
            }
            Outcome::Cancelled => Self::Cancelled,
            Outcome::Done => Self::Done,
            Outcome::Over => Self::Over,
            Outcome::Expired => Self::Expired,
            Outcome::Invalid(error) => Self::Invalid(error),
        }
    }

    /// Returns whether a story that says nothing about the outcome expects this one.
    pub fn is_plain(&self) -> bool {
        !matches!(self, Self::Queued(_) | Self::Refused(_) | Self::Over | Self::Expired | Self::Invalid(_))
    }
}

impl View {
    /// Returns the part of a ledger's snapshot that the exam compares.
    pub fn of(snapshot: &Snapshot) -> Self {
        let limits = snapshot.limits.iter().map(|limit| {
            let facts = LimitFacts {
                left: limit.left,
                held: limit.held,
                amount: limit.amount,
                most: limit.most,
                paused: limit.paused_for,
            };
            (limit.name.to_string(), facts)
        });
        let resources = snapshot.resources.iter().map(|resource| {
            let lanes = resource.lanes.iter().filter(|lane| lane.waiting > 0);
            let facts = ResourceFacts {
                waiting: resource.waiting,
                in_flight: resource.in_flight,
                paused: resource.paused_for,
                lanes: lanes.map(|lane| (lane.name.as_deref().map(String::from), lane.waiting)).collect(),
            };
            (resource.name.to_string(), facts)
        });
        Self { limits: limits.collect(), resources: resources.collect() }
    }
}
