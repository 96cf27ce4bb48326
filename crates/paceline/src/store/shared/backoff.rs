//! When a connection is tried again.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use tokio::time::Instant;

/// Failed attempts in a row, and when the next may be made.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
    next: Option<Instant>,
}

const SHORTEST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(2);

impl Backoff {
    /// Waits until the next attempt may be made.
    pub(crate) async fn wait(&self) {
        if let Some(next) = self.next {
            tokio::time::sleep_until(next).await;
        }
    }

    pub(crate) fn succeeded(&mut self) {
        *self = Self::default();
    }

    pub(crate) fn failed(&mut self) {
        let pause = pause(self.failures, RandomState::new().hash_one(self.failures));
        self.failures = self.failures.saturating_add(1);
        self.next = Some(Instant::now() + pause);
    }
}

/// Between half of a bound and the bound, which doubles: many clients do not come back at one instant.
fn pause(failures: u32, random: u64) -> Duration {
    let bound = SHORTEST.saturating_mul(1 << failures.min(10)).min(LONGEST);
    let part = u32::try_from(random % 1_000).unwrap_or(0);
    bound / 2 + bound / 2 * part / 1_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_their_bound() {
        assert_eq!(pause(0, 0), SHORTEST / 2);
        assert!(pause(0, 999) < SHORTEST);
        assert_eq!(pause(2, 0), SHORTEST * 2);
        assert!(pause(40, 999) < LONGEST && pause(40, 0) == LONGEST / 2);
    }
}
