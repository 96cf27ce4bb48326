//! Everything that can be said no to, with the facts behind it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use paceline_core::{Name, SpecError};

use crate::PermitId;
use crate::config::ConfigError;

/// Why there is no permit, or why something could not be done.
///
/// ```
/// # use paceline::{Demand, Error, Limiter, core::*};
/// # let limit = LimitSpec::new("rpm", "requests", 1, Algorithm::TokenBucket { window: 60_000, burst: 1 }).member("gpt");
/// # let limiter = Limiter::builder().private().limits([limit], [ResourceSpec::new("gpt")]).build()?;
/// let resource = limiter.resource("gpt")?;
/// let _first = resource.try_acquire(Demand::new()).wait()?;
/// let error = resource.try_acquire(Demand::new()).wait().unwrap_err();
/// assert!(error.is_busy());
/// assert_eq!(error.retry_after().unwrap().as_secs(), 60);
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Error {
    /// An immediate answer was asked for, and there is no room.
    Busy(Box<Shortage>),
    /// The time-out passed in line.
    AcquireTimeout(Box<Shortage>),
    /// The time-out could not be met even if nobody else waited.
    TooLate(Box<Shortage>),
    /// The wait is expected to be longer than the caller accepts.
    ExpectedWait {
        /// How long it would be.
        expected: Duration,
        /// The longest that the caller accepts.
        most: Duration,
        /// What there is too little of.
        shortage: Box<Shortage>,
    },
    /// The limit can never grant this much at once.
    Impossible {
        /// The resource.
        resource: Name,
        /// The limit.
        limit: Name,
        /// How much of its metric was wanted.
        wanted: u64,
        /// The most that it can ever grant at once.
        most: u64,
    },
    /// As many wait as may.
    LineFull {
        /// The resource.
        resource: Name,
        /// How many wait.
        waiting: u32,
        /// How many may.
        most: u32,
        /// After what time it is worth asking again.
        retry_after: Duration,
    },
    /// The resource, or a limit that it draws on, is paused and refuses.
    Paused {
        /// The resource.
        resource: Name,
        /// What is left of the pause; `None` where it has no end.
        ends_in: Option<Duration>,
    },
    /// No configuration names this resource.
    UnknownResource {
        /// The resource.
        name: String,
        /// The nearest name that is known.
        nearest: Option<String>,
    },
    /// Lanes are declared, and this is not one of them.
    UnknownLane {
        /// The resource.
        resource: Name,
        /// The lane.
        lane: Name,
    },
    /// There is no such limit.
    UnknownLimit {
        /// The limit.
        name: String,
        /// The nearest name that is known.
        nearest: Option<String>,
    },
    /// The line was purged.
    Purged {
        /// The resource.
        resource: Name,
    },
    /// The permit has ended before, or never was.
    PermitOver(PermitId),
    /// The limiter is closed, or the answer was taken already.
    Closed,
    /// The store belongs to the process that this one was forked from.
    Forked,
    /// The store cannot be reached.
    StoreUnavailable {
        /// Where it should be.
        url: String,
        /// What went wrong.
        reason: String,
    },
    /// The URL names no store.
    StoreUrl {
        /// The URL.
        url: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The store is open in this process with another value of this option.
    StoreConflict {
        /// The store.
        url: String,
        /// The option.
        option: &'static str,
    },
    /// The process cannot be published under this name.
    Publish {
        /// The name.
        name: String,
        /// What is wrong with it, or with the socket.
        reason: String,
    },
    /// `PACELINE_MODE` says something that is not a mode.
    UnknownMode(String),
    /// The configuration cannot be read.
    Config(Arc<ConfigError>),
    /// The configuration says something that no ledger can do.
    Spec(SpecError),
    /// A ledger counts 1,000 metrics, and this would be one more.
    TooManyMetrics(String),
}

/// What there is too little of, and who is ahead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shortage {
    /// The resource.
    pub resource: Name,
    /// The limit that binds; `None` where only others in line do.
    pub limit: Option<Name>,
    /// How much of its metric was wanted.
    pub wanted: u64,
    /// How much was left; below zero is debt.
    pub left: i64,
    /// How many others wait in the same lane.
    pub ahead: u64,
    /// How long the first of them has waited.
    pub head_waited: Option<Duration>,
    /// How long this caller waited.
    pub waited: Duration,
    /// After what time it is worth asking again.
    pub retry_after: Duration,
}

impl Error {
    /// Returns whether the same call may succeed later: there is no room at the moment, and that is all.
    pub fn is_busy(&self) -> bool {
        self.retry_after().is_some() || matches!(self, Self::Paused { .. })
    }

    /// Returns whether a time-out of the caller's led to the error.
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::AcquireTimeout(_) | Self::TooLate(_))
    }

    /// Returns after what time it is worth asking again, where time alone helps.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Busy(shortage) | Self::AcquireTimeout(shortage) | Self::TooLate(shortage) => {
                Some(shortage.retry_after)
            }
            Self::ExpectedWait { shortage, .. } => Some(shortage.retry_after),
            Self::LineFull { retry_after, .. } => Some(*retry_after),
            Self::Paused { ends_in, .. } => *ends_in,
            _ => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy(shortage) => write!(f, "busy: {shortage}"),
            Self::AcquireTimeout(shortage) => {
                write!(f, "timed out after {}: {shortage}", Spoken(shortage.waited))
            }
            Self::TooLate(shortage) => write!(f, "the time-out cannot be met: {shortage}"),
            Self::ExpectedWait { expected, most, shortage } => {
                let (expected, most) = (Spoken(*expected), Spoken(*most));
                write!(f, "the expected wait is {expected}, above the {most} accepted: {shortage}")
            }
            Self::Impossible { resource, limit, wanted, most } => {
                write!(
                    f,
                    "{resource}: {wanted} wanted of limit {limit}, which can never grant more than {most}"
                )
            }
            Self::LineFull { resource, waiting, most, .. } => {
                write!(f, "{resource}: the line is full, {waiting} wait and {most} may")
            }
            Self::Paused { resource, ends_in: Some(left) } => {
                write!(f, "{resource}: paused for {}", Spoken(*left))
            }
            Self::Paused { resource, ends_in: None } => write!(f, "{resource}: paused until resumed"),
            Self::UnknownResource { name, nearest } => unknown(f, "resource", name, nearest.as_deref()),
            Self::UnknownLane { resource, lane } => write!(f, "{resource}: there is no lane {lane}"),
            Self::UnknownLimit { name, nearest } => unknown(f, "limit", name, nearest.as_deref()),
            Self::Purged { resource } => write!(f, "{resource}: the line was purged"),
            Self::PermitOver(id) => write!(f, "permit {id} has ended, or never was"),
            Self::Closed => f.write_str("the limiter is closed"),
            Self::Forked => f.write_str(FORKED),
            other => other.fmt_setting_up(f),
        }
    }
}

const FORKED: &str = "a memory store does not outlive a fork: each child would grant the whole limit; build the \
                      limiter in the child, or share a store that several processes can reach";

impl Error {
    fn fmt_setting_up(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StoreUnavailable { url, reason } => write!(f, "store {url} cannot be reached: {reason}"),
            Self::StoreUrl { url, reason } => write!(f, "{url} names no store: {reason}"),
            Self::StoreConflict { url, option } => {
                write!(f, "store {url} is open in this process with another {option}")
            }
            Self::Publish { name, reason } => write!(f, "it cannot be published as {name:?}: {reason}"),
            Self::UnknownMode(mode) => write!(f, "PACELINE_MODE is {mode}; it can be enforce, shadow or off"),
            Self::Config(error) => fmt::Display::fmt(error, f),
            Self::Spec(error) => fmt::Display::fmt(error, f),
            Self::TooManyMetrics(name) => {
                write!(f, "a ledger counts at most 1,000 metrics, no room for {name}")
            }
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.resource)?;
        match &self.limit {
            Some(limit) => {
                write!(f, "{} wanted of limit {limit}, {} left", self.wanted, self.left)?;
                if i64::try_from(self.wanted).is_ok_and(|wanted| wanted <= self.left) {
                    f.write_str(" and set aside for those ahead")?;
                }
            }
            None => f.write_str("no limit binds")?,
        }
        if self.ahead > 0 {
            write!(f, ", {} ahead", self.ahead)?;
        }
        if let Some(waited) = self.head_waited.filter(|waited| !waited.is_zero()) {
            write!(f, ", the first for {}", Spoken(waited))?;
        }
        write!(f, "; ask again in {}", Spoken(self.retry_after))
    }
}

/// A time as people say it.
struct Spoken(Duration);

impl fmt::Display for Spoken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.0.as_millis();
        match ms {
            0..1_000 => write!(f, "{ms} ms"),
            _ if ms.is_multiple_of(1_000) => write!(f, "{} s", ms / 1_000),
            1_000..60_000 => write!(f, "{}.{} s", ms / 1_000, ms % 1_000 / 100),
            _ => write!(f, "{} s", ms.div_ceil(1_000)),
        }
    }
}

fn unknown(f: &mut fmt::Formatter<'_>, what: &str, name: &str, nearest: Option<&str>) -> fmt::Result {
    write!(f, "there is no {what} {name}")?;
    nearest.map_or(Ok(()), |nearest| write!(f, ", did you mean {nearest}?"))
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Config(error) => Some(error.as_ref()),
            Self::Spec(error) => Some(error),
            _ => None,
        }
    }
}

impl From<SpecError> for Error {
    fn from(error: SpecError) -> Self {
        Self::Spec(error)
    }
}

impl From<ConfigError> for Error {
    fn from(error: ConfigError) -> Self {
        Self::Config(Arc::new(error))
    }
}
