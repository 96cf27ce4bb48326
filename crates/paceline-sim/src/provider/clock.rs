//! The one place where the provider reads a clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// Time since the provider started, and the wall-clock time that belongs to it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    start: Instant,
    unix_start: Duration,
}

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "the provider's only reading of the wall clock")]
    pub(super) fn start() -> Self {
        let unix_start = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { start: Instant::now(), unix_start }
    }

    /// Returns the microseconds since the start.
    pub(super) fn now_us(&self) -> u64 {
        micros(self.start.elapsed())
    }

    /// Returns the Unix time, in microseconds, of an instant given in microseconds since the start.
    pub(super) fn unix_us(&self, at_us: u64) -> u64 {
        micros(self.unix_start).saturating_add(at_us)
    }

    /// Sleeps until an instant given in microseconds since the start; not at all if it has passed.
    pub(super) async fn sleep_until(&self, at_us: u64) {
        if at_us > self.now_us() {
            tokio::time::sleep_until(self.start + Duration::from_micros(at_us)).await;
        }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
