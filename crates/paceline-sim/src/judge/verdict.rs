//! What the judge says, and what it has seen.

use serde::{Deserialize, Serialize};

use super::counting::Counts;
use super::limit::Limit;

/// Names an admitted call to the judge that admitted it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub(super) u64);

/// The answer to an arrival.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every limit agreed, and every limit was charged.
    Admitted(CallId),
    /// At least one limit was short, and none was charged for it.
    Refused(Refusal),
}

impl Verdict {
    /// Returns the call's name if it was admitted.
    pub fn admitted(&self) -> Option<CallId> {
        match self {
            Self::Admitted(id) => Some(*id),
            Self::Refused(_) => None,
        }
    }
}

/// Why a call was refused: every limit that was short, in the order of configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The limits that were short; never empty.
    pub violations: Vec<Violation>,
}

impl Refusal {
    /// Returns the violation that a provider's message names: the one that lasts longest.
    pub fn binding(&self) -> Option<&Violation> {
        self.violations.iter().max_by_key(|violation| violation.wait)
    }
}

/// One limit that was short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The limit's position in the list the judge was made with.
    pub index: usize,
    /// The limit.
    pub limit: Limit,
    /// What was left of it in whole units; below zero is debt.
    pub available: i64,
    /// What the call wanted of it.
    pub requested: u64,
    /// How long until it would have been enough.
    pub wait: Wait,
}

impl Violation {
    /// Returns what a message calls "Used": `amount − available`, so that `used + requested − amount` is the shortfall
    /// whatever the bucket's capacity.
    pub fn used(&self) -> u64 {
        let used = i128::from(self.limit.amount) - i128::from(self.available);
        u64::try_from(used).unwrap_or(0)
    }
}

/// How long a limit stays short. The order is that of severity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wait {
    /// Until another call ends.
    Unknown,
    /// So many microseconds.
    Us(u64),
    /// For ever: the call is larger than the limit.
    Never,
}

/// Where a limit stands, for the headers of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The limit.
    pub limit: Limit,
    /// What is left of it in whole units; below zero is debt.
    pub available: i64,
    /// Microseconds until all of it is back if nothing more is charged.
    pub full_in_us: u64,
}

/// What a judge has seen since it was made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Calls that arrived.
    pub arrived: u64,
    /// Calls that were admitted.
    pub admitted: u64,
    /// Calls that were refused.
    pub refused: u64,
    /// Calls that were admitted and have not finished.
    pub in_flight: u64,
    /// The most calls in flight at once.
    pub peak_in_flight: u64,
    /// Everything counted and not returned.
    pub counted: Counts,
    /// One entry per limit, in the order the judge was made with.
    pub limits: Vec<LimitTally>,
}

/// What a judge has seen of one limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitTally {
    /// The limit.
    pub limit: Limit,
    /// Calls that this limit helped to refuse: its violations.
    pub refused: u64,
    /// The most that was in use at once: capacity less what was left.
    pub peak_used: u64,
    /// How far below zero it went.
    pub deepest_debt: u64,
}
