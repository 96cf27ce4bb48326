//! The one place of these benchmarks that reads a clock.
#![expect(clippy::disallowed_methods, reason = "what is measured is time that passes")]

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Returns the time in microseconds, which processes of one machine can compare.
pub(crate) fn unix_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(0)
}

pub(crate) fn pause(length: Duration) {
    std::thread::sleep(length);
}
