//! The one place of these benchmarks that reads a clock.
#![expect(clippy::disallowed_methods, reason = "what is measured is time that passes")]

use std::time::{Duration, Instant};

pub(crate) fn now() -> Instant {
    Instant::now()
}

pub(crate) fn pause(length: Duration) {
    std::thread::sleep(length);
}
