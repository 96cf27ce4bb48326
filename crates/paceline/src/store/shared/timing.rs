//! How long a connection to a store may take, and an answer.

use std::time::Duration;

use paceline_core::Millis;

/// How long is waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Timing {
    /// For a connection.
    pub(crate) connect: Duration,
    /// For a reply.
    pub(crate) reply: Duration,
}

impl Timing {
    /// Waits for no longer than a store may take.
    pub(crate) fn within(store_timeout: Millis) -> Self {
        let most = Duration::from_millis(store_timeout.clamp(10, 2_000));
        Self { connect: most, reply: most }
    }
}
