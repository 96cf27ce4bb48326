//! What is done when a shared store cannot be reached.

use std::time::Duration;

use paceline_core::Millis;

use crate::clock::whole_ms;

/// What becomes of callers while the store cannot be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnStoreFailure {
    /// They are refused with [`Error::StoreUnavailable`](crate::Error::StoreUnavailable).
    #[default]
    Refuse,
    /// They are granted, and counted nowhere.
    Allow,
    /// They are granted out of this process's share of the limits, and reported when the store is back.
    Local,
}

/// How limits restart whose state the store lost and that nothing tells of, where they take longer than a minute to
/// fill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnLostState {
    /// With the share of the period spent that has elapsed.
    #[default]
    Elapsed,
    /// With nothing left.
    Empty,
    /// With nothing spent.
    Full,
}

/// What one limiter does in an outage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outage {
    pub(crate) policy: OnStoreFailure,
    pub(crate) store_timeout: Millis,
}

/// What is said of a shared store when it is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sharing {
    pub(crate) session_timeout: Millis,
    pub(crate) store_timeout: Millis,
    pub(crate) key_prefix: String,
    pub(crate) on_lost: OnLostState,
    /// What people see of this process there.
    pub(crate) name: Option<String>,
}

impl Default for Outage {
    fn default() -> Self {
        Self { policy: OnStoreFailure::Refuse, store_timeout: STORE_TIMEOUT }
    }
}

const STORE_TIMEOUT: Millis = 5_000;

impl Default for Sharing {
    fn default() -> Self {
        Self {
            session_timeout: 10_000,
            store_timeout: STORE_TIMEOUT,
            key_prefix: "paceline:".to_owned(),
            on_lost: OnLostState::Elapsed,
            name: None,
        }
    }
}

impl OnLostState {
    /// Returns its name on the wire.
    #[cfg(feature = "shared")]
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Elapsed => "elapsed",
            Self::Empty => "empty",
            Self::Full => "full",
        }
    }
}

impl Outage {
    pub(crate) fn timeout(&mut self, timeout: Duration) {
        self.store_timeout = whole_ms(timeout).max(1);
    }
}
