//! What a limit is, as the configuration says it.

mod live;

use alloc::vec::Vec;

use crate::Name;
use crate::time::Millis;

pub(crate) use live::{Limit, OWN, Pause, RESOURCE};

/// One constraint: a metric, an amount, how it comes back, and who draws on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitSpec {
    /// The name of the limit, which is its identity across configurations of one ledger.
    pub id: Name,
    /// The name of the metric that it counts.
    pub metric: Name,
    /// How much of the metric there is: per window, or in flight. 1 to [`MAX_AMOUNT`](crate::MAX_AMOUNT).
    pub amount: u64,
    /// How what was used comes back.
    pub algorithm: Algorithm,
    /// When a call counts.
    pub counting: Counting,
    /// Charged and never asked.
    pub shadow: bool,
    /// The spread between the fastest and the slowest way of a call to the provider, in milliseconds.
    pub transit: Millis,
    /// Who draws on it.
    pub members: Vec<Member>,
}

/// How a limit's amount comes back. Windows and periods are in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Algorithm {
    /// Continuously, at `amount` a `window`, up to `burst` (1 to `MAX_AMOUNT`).
    TokenBucket {
        /// The time in which `amount` comes back.
        window: Millis,
        /// The most that can be saved up.
        burst: u64,
    },
    /// Each of `slots` (1 to 1,000) equal parts of the window as it leaves: at most `amount` in any window.
    SlidingWindow {
        /// The window.
        window: Millis,
        /// Into how many parts it is divided.
        slots: u32,
    },
    /// All at each boundary: `amount` a period.
    FixedWindow {
        /// Where one period ends and the next begins.
        boundaries: Boundaries,
        /// How near a boundary a call counts on both of its sides; at most a quarter of a period.
        margin: Millis,
    },
    /// When the call ends: at most `amount` in flight.
    Concurrency,
}

/// The boundaries of a fixed window, in milliseconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Boundaries {
    /// At `phase`, and every `period` before and after.
    Every {
        /// The distance between boundaries.
        period: Millis,
        /// Any one boundary, less whole periods.
        phase: Millis,
    },
    /// At these instants, ascending. The last period has no end: nothing comes back after it.
    At(Vec<Millis>),
}

/// When a call counts against a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Counting {
    /// At the grant, corrected at settlement: for providers that count a call when it arrives.
    #[default]
    AtGrant,
    /// Held apart from the grant on, the actual amount charged at settlement: safe also where a provider counts
    /// output as it is produced.
    UntilSettled,
}

/// A resource, or some of its lanes, as a member of a limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The name of the resource.
    pub resource: Name,
    /// Which of its lanes draw on the limit.
    pub lanes: Lanes,
}

/// A choice among the lanes of a resource, by the caller's own lane name. A name that ends in `*` stands for all
/// that begin so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lanes {
    /// Every lane, callers without a lane included.
    All,
    /// These alone.
    Only(Vec<Name>),
    /// All but these.
    Except(Vec<Name>),
}

impl LimitSpec {
    /// Returns an enforced limit that counts at the grant, without transit and without members.
    pub fn new(id: &str, metric: &str, amount: u64, algorithm: Algorithm) -> Self {
        Self {
            id: id.into(),
            metric: metric.into(),
            amount,
            algorithm,
            counting: Counting::AtGrant,
            shadow: false,
            transit: 0,
            members: Vec::new(),
        }
    }

    /// Adds a resource, all lanes of it, to those that draw on the limit.
    #[must_use]
    pub fn member(self, resource: &str) -> Self {
        self.member_lanes(resource, Lanes::All)
    }

    /// Adds some lanes of a resource to those that draw on the limit.
    #[must_use]
    pub fn member_lanes(mut self, resource: &str, lanes: Lanes) -> Self {
        self.members.push(Member { resource: resource.into(), lanes });
        self
    }

    /// Counts as reserved until settled.
    #[must_use]
    pub fn until_settled(mut self) -> Self {
        self.counting = Counting::UntilSettled;
        self
    }

    /// Charges the limit without ever asking it.
    #[must_use]
    pub fn shadow(mut self) -> Self {
        self.shadow = true;
        self
    }

    /// Sets the spread of the ways to the provider, in milliseconds.
    #[must_use]
    pub fn transit(mut self, transit: Millis) -> Self {
        self.transit = transit;
        self
    }
}

impl Lanes {
    /// Returns whether a caller of this lane is among them.
    pub fn contain(&self, lane: Option<&str>) -> bool {
        let named = |names: &[Name]| lane.is_some_and(|lane| names.iter().any(|name| matches(name, lane)));
        match self {
            Self::All => true,
            Self::Only(names) => named(names),
            Self::Except(names) => !named(names),
        }
    }
}

/// Returns whether a lane's name is meant by a pattern: the name itself, or a beginning followed by `*`.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == name, |beginning| name.starts_with(beginning))
}

/// What a configuration says that no ledger can do. Nothing of it was taken over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SpecError {
    /// An amount, a burst, a window, a period, a slot count or a weight is zero.
    Zero {
        /// The limit or resource.
        id: Name,
        /// Which of its values.
        field: &'static str,
    },
    /// A value is above the largest that fits.
    TooLarge {
        /// The limit or resource.
        id: Name,
        /// Which of its values.
        field: &'static str,
        /// What was said.
        value: u64,
        /// The largest that fits.
        most: u64,
    },
    /// The burst is gone once the transit's share of the rate is taken off, and the spacing that would have to take
    /// its place makes the window too long.
    BurstTooSmall {
        /// The limit.
        id: Name,
        /// The burst as said.
        burst: u64,
        /// The smallest burst that works.
        least: u64,
    },
    /// Boundaries are not ascending.
    NotAscending {
        /// The limit.
        id: Name,
    },
    /// Two limits or two resources of one configuration have one name, or a limit names a member twice.
    Duplicate {
        /// The limit or resource.
        id: Name,
    },
    /// A member is neither in the configuration nor in the ledger.
    UnknownResource {
        /// The limit.
        id: Name,
        /// The member.
        resource: Name,
    },
    /// A combination that means nothing: concurrency counts until the permit ends, whatever is said.
    Contradiction {
        /// The limit.
        id: Name,
        /// Which of its values.
        field: &'static str,
    },
}

impl core::fmt::Display for SpecError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Zero { id, field } => write!(f, "{id}: {field} must be at least 1"),
            Self::TooLarge { id, field, value, most } => {
                write!(f, "{id}: {field} is {value}, the largest that fits is {most}")
            }
            Self::BurstTooSmall { id, burst, least } => {
                write!(f, "{id}: a burst of {burst} is too small for its rate, it takes at least {least}")
            }
            Self::NotAscending { id } => write!(f, "{id}: boundaries must be ascending"),
            Self::Duplicate { id } => write!(f, "{id}: named twice"),
            Self::UnknownResource { id, resource } => write!(f, "{id}: there is no resource {resource}"),
            Self::Contradiction { id, field } => write!(f, "{id}: {field} means nothing for its algorithm"),
        }
    }
}

impl core::error::Error for SpecError {}
