//! Commands and outcomes: everything that can be asked of a ledger, and everything that it answers.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::Name;
use crate::demand::Amounts;
use crate::lane::ResourceSpec;
use crate::limit::{LimitSpec, SpecError};
use crate::time::{Millis, NEVER};

/// A process on a ledger: 128 random bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct SessionId(pub u128);

/// A ticket, and the permit that it becomes: the session that asked, and its ascending number there (from 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct TicketId {
    /// The session that asked.
    pub session: SessionId,
    /// The number of the ticket, larger than all before it in this session.
    pub number: u64,
}

/// A resource of this ledger. A name keeps its number for the life of the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceId(pub(crate) u32);

/// A limit of this ledger. A name keeps its number for the life of the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LimitId(pub(crate) u32);

impl ResourceId {
    /// A resource that this ledger does not know: a name that only another home of the same account has.
    pub const UNKNOWN: Self = Self(u32::MAX);
}

impl LimitId {
    /// A limit that this ledger does not know: a name that only another home of the same account has.
    pub const UNKNOWN: Self = Self(u32::MAX);
}

/// What is paused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// All callers of a resource.
    Resource(ResourceId),
    /// All callers that draw on a limit.
    Limit(LimitId),
}

/// Something that is asked of a ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Opens a session, or gives it a fresh time-out (`None`: it lives until closed).
    Touch {
        /// The session.
        session: SessionId,
        /// After how many milliseconds without a touch it is dead.
        time_out: Option<Millis>,
    },
    /// Asks for a permit.
    Acquire(Acquire),
    /// Leaves the line, or gives a permit back in full.
    Cancel {
        /// The ticket.
        ticket: TicketId,
    },
    /// Ends a permit: replaces what it reserved by what was used.
    Settle {
        /// The permit.
        permit: TicketId,
        /// What the call used.
        usage: Usage,
    },
    /// Lowers or raises what a permit reserves. Never waits.
    Amend {
        /// The permit.
        permit: TicketId,
        /// What it reserves from now on; metrics not named stay.
        reserve: Amounts,
    },
    /// Charges use that nobody asked for.
    Record {
        /// The resource.
        resource: ResourceId,
        /// The lane that used it.
        lane: Option<Name>,
        /// What was used.
        usage: Amounts,
    },
    /// Hands a permit to another session, opening that if need be. The permit keeps its id.
    Transfer {
        /// The permit.
        permit: TicketId,
        /// Its next owner.
        to: SessionId,
        /// That session's time-out, in milliseconds.
        time_out: Option<Millis>,
    },
    /// Takes over what a provider reported of a limit. Only lowers.
    Observe {
        /// The limit.
        limit: LimitId,
        /// What the provider says is left.
        remaining: Option<u64>,
        /// What the provider says the amount is: a smaller one holds for an hour, or until it says otherwise.
        amount: Option<u64>,
    },
    /// Lets callers wait, or refuses them. A pause that ends earlier than one in force changes nothing.
    Pause {
        /// What is paused.
        target: Target,
        /// For how many milliseconds; `None` until resumed.
        lasting: Option<Millis>,
        /// Refuse callers, waiting ones included, rather than let them wait.
        refuse: bool,
    },
    /// Ends a pause. Buckets under it restart empty.
    Resume {
        /// What goes on.
        target: Target,
    },
    /// Refuses all that wait for a resource, or in one lane of it.
    Purge {
        /// The resource.
        resource: ResourceId,
        /// The lane; `None` for all.
        lane: Option<Name>,
    },
    /// Changes limits and resources.
    Configure(Box<Configuration>),
    /// Ends a session: its tickets leave the line, its permits end with their reservations spent.
    Close {
        /// The session.
        session: SessionId,
    },
    /// Puts a permit back that its session holds, into a ledger that lost it.
    Restore {
        /// The permit.
        permit: TicketId,
        /// The resource that it was granted for.
        resource: ResourceId,
        /// The lane that the caller named.
        lane: Option<Name>,
        /// What was reserved at the grant, as far as it was not given back.
        reserved: Amounts,
        /// What was raised later.
        extra: Amounts,
        /// How long ago it was granted, in milliseconds.
        age: Millis,
    },
    /// Reports what a session was granted since the state that was restored.
    Spent {
        /// The resource.
        resource: ResourceId,
        /// The lane that used it.
        lane: Option<Name>,
        /// What was granted.
        amounts: Amounts,
    },
    /// Ends the report of a session: permits of it that it did not restore end as reserved.
    Recovered {
        /// The session.
        session: SessionId,
    },
}

/// A request for a permit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acquire {
    /// The ticket's id, chosen by the session.
    pub ticket: TicketId,
    /// What is acquired.
    pub resource: ResourceId,
    /// The lane; `None` for callers that name none.
    pub lane: Option<Name>,
    /// How much of each metric the call wants.
    pub demand: Amounts,
    /// How much earlier than it did the ticket counts as having arrived, in milliseconds, as far as its lane allows.
    pub head_start: Millis,
    /// The time within which a grant is of use, in milliseconds: refused at once where even an empty line could not
    /// keep it. The waiting itself is bounded by the waiter, who cancels.
    pub within: Millis,
    /// Whether to wait in line; otherwise the answer is at once, and no where anybody waits in the lane.
    pub wait: bool,
}

/// A change of limits and resources. It speaks only for what it names: all limits of a resource that it names are
/// those that it gives.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Configuration {
    /// Limits, each with all its members.
    pub limits: Vec<LimitSpec>,
    /// Resources, each with all its lanes.
    pub resources: Vec<ResourceSpec>,
    /// Resources that are no more.
    pub removed: Vec<Name>,
}

/// What a call used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Usage {
    /// These amounts; metrics not named are used as reserved.
    Of(Amounts),
    /// Nothing of anything: the call never left.
    Nothing,
}

/// What a ledger answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The permit is there.
    Granted,
    /// The ticket waits.
    Queued {
        /// How many tickets of its lane are before it.
        ahead: u64,
    },
    /// The answer is no, and why.
    Refused(Refusal),
    /// The permit has ended.
    Settled {
        /// What went back, by metric: the most that went back to any one limit.
        returned: Amounts,
        /// What was charged beyond the reservation, by metric.
        charged: Amounts,
    },
    /// The permit reserves something else.
    Amended {
        /// What went back, by metric: the most that went back to any one limit.
        returned: Amounts,
        /// What was charged more, by metric.
        charged: Amounts,
    },
    /// The ticket has left the line.
    Cancelled,
    /// The command was carried out and has nothing to say.
    Done,
    /// The ticket or permit is over, or never was: nothing was done.
    Over,
    /// The session is dead, or never was: nothing was done.
    Expired,
    /// The configuration cannot be: nothing was changed.
    Invalid(SpecError),
}

/// Why a ticket will not be served. Durations are in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The limit can never hold the demand.
    Impossible {
        /// The limit.
        limit: Name,
        /// How much of its metric was wanted.
        wanted: u64,
        /// The most that it can ever grant at once.
        most: u64,
    },
    /// Even an empty line could not serve it in time.
    TooLate {
        /// The limit that takes longest.
        limit: Name,
        /// After what time it could be served.
        ready_in: Millis,
    },
    /// As many wait as may.
    LineFull {
        /// How many wait.
        waiting: u32,
        /// How many may.
        most: u32,
    },
    /// An immediate answer was asked for, and it is no.
    Busy {
        /// The limit that lacks room, if it is a limit that binds and not the line.
        limit: Option<Name>,
        /// After what time the limits alone would allow it; [`NEVER`] where that takes a release.
        ready_in: Millis,
    },
    /// The resource, or a limit that it draws on, is paused and refuses.
    Paused {
        /// What is left of the pause; [`NEVER`] where it has no end.
        ends_in: Millis,
    },
    /// Lanes are declared, and this is not one of them.
    UnknownLane {
        /// The lane.
        lane: Name,
    },
    /// There is no such resource, or no longer.
    NoResource,
    /// The line was purged.
    Purged,
}

/// What became of a ticket that waited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The ticket.
    pub ticket: TicketId,
    /// What became of it.
    pub verdict: Verdict,
}

/// The end of a wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The permit is there.
    Granted {
        /// How long the ticket waited, in milliseconds.
        waited: Millis,
    },
    /// The answer is no, and why.
    Refused(Refusal),
}

impl Acquire {
    /// Returns a request that waits as long as it takes, in no lane, without a head start.
    pub fn new(ticket: TicketId, resource: ResourceId, demand: Amounts) -> Self {
        Self { ticket, resource, lane: None, demand, head_start: 0, within: NEVER, wait: true }
    }
}

impl Command {
    /// Returns the command that applies a configuration.
    pub fn configure(configuration: Configuration) -> Self {
        Self::Configure(Box::new(configuration))
    }
}

impl Configuration {
    /// Returns a configuration of these limits and resources.
    pub fn new(
        limits: impl IntoIterator<Item = LimitSpec>,
        resources: impl IntoIterator<Item = ResourceSpec>,
    ) -> Self {
        Self {
            limits: limits.into_iter().collect(),
            resources: resources.into_iter().collect(),
            removed: Vec::new(),
        }
    }
}

impl core::fmt::Display for Refusal {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Impossible { limit, wanted, most } => {
                write!(f, "{limit} can never grant {wanted} at once, the most is {most}")
            }
            Self::TooLate { limit, ready_in } => {
                write!(f, "{limit} could serve this in {ready_in} ms at the earliest")
            }
            Self::LineFull { waiting, most } => write!(f, "the line is full: {waiting} wait, {most} may"),
            Self::Busy { limit: Some(limit), ready_in: NEVER } => {
                write!(f, "{limit} has no room until a call ends")
            }
            Self::Busy { limit: Some(limit), ready_in } => write!(f, "{limit} has no room for {ready_in} ms"),
            Self::Busy { limit: None, .. } => f.write_str("others wait in line"),
            Self::Paused { ends_in: NEVER } => f.write_str("paused until resumed"),
            Self::Paused { ends_in } => write!(f, "paused for {ends_in} ms"),
            Self::UnknownLane { lane } => write!(f, "there is no lane {lane}"),
            Self::NoResource => f.write_str("there is no such resource"),
            Self::Purged => f.write_str("the line was purged"),
        }
    }
}
