//! Waiting for what another process does. The one clock of this crate.
#![expect(clippy::disallowed_methods, reason = "other processes know no clock that is told the time")]

use std::time::{Duration, Instant};

/// Waits until something is there; panics with what it waited for after 20 seconds.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "waited for 20 s in vain: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Lets time pass, where a fault has to last.
pub fn pause(length: Duration) {
    std::thread::sleep(length);
}
