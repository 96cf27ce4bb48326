//! Time: the only place that reads a clock.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use paceline_core::{Millis, NEVER};

use crate::driver::{self, Agenda, Entry};
use crate::sync::lock;

/// Where a store reads the time.
///
/// The system's clock is read once against the calendar and from then on never goes back.
#[derive(Debug, Clone, Default)]
pub enum Clock {
    /// The clock of this machine.
    #[default]
    System,
    /// A clock that is told the time.
    Manual(ManualClock),
}

/// A clock that stands still until it is told to go on, and does everything that falls due on the way.
///
/// ```
/// use std::time::Duration;
/// use paceline::ManualClock;
///
/// let clock = ManualClock::at(1_700_000_000_000);
/// clock.advance(Duration::from_secs(30));
/// assert_eq!(clock.now_ms(), 1_700_000_030_000);
/// ```
#[derive(Clone, Default)]
pub struct ManualClock(Arc<Manual>);

#[derive(Default)]
struct Manual {
    now: AtomicU64,
    agenda: Mutex<Agenda>,
}

impl Clock {
    /// Returns the time in milliseconds since the Unix epoch.
    pub fn now_ms(&self) -> Millis {
        match self {
            Self::System => system_now_ms(),
            Self::Manual(clock) => clock.now_ms(),
        }
    }

    pub(crate) fn arm(&self, entry: Entry) {
        match self {
            Self::System => driver::arm(entry),
            Self::Manual(clock) => lock(&clock.0.agenda).push(entry),
        }
    }

    /// Whether both are told the time by the same hand.
    pub(crate) fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::System, Self::System) => true,
            (Self::Manual(one), Self::Manual(another)) => Arc::ptr_eq(&one.0, &another.0),
            _ => false,
        }
    }
}

impl From<ManualClock> for Clock {
    fn from(clock: ManualClock) -> Self {
        Self::Manual(clock)
    }
}

impl ManualClock {
    /// Returns a clock that stands at this time, in milliseconds since the Unix epoch.
    pub fn at(unix_ms: Millis) -> Self {
        let clock = Self::default();
        clock.0.now.store(unix_ms, Ordering::Relaxed);
        clock
    }

    /// Returns the time in milliseconds since the Unix epoch.
    pub fn now_ms(&self) -> Millis {
        self.0.now.load(Ordering::Acquire)
    }

    /// Goes on by a duration, and does on this thread what falls due on the way, each thing at its time.
    pub fn advance(&self, by: Duration) {
        let target = self.now_ms().saturating_add(whole_ms(by));
        while let Some(entry) = self.next_until(target) {
            self.0.now.fetch_max(entry.due, Ordering::AcqRel);
            driver::run(entry, &Clock::Manual(self.clone()));
        }
        self.0.now.fetch_max(target, Ordering::AcqRel);
    }

    /// Jumps to a time, back or forward, as a clock does that was set wrong; everything pending is looked at anew.
    pub fn jump_to(&self, unix_ms: Millis) {
        self.0.now.store(unix_ms, Ordering::Release);
        let pending = std::mem::take(&mut *lock(&self.0.agenda));
        for entry in pending.into_entries() {
            driver::run(entry, &Clock::Manual(self.clone()));
        }
    }

    /// Returns the time at which something falls due next, if anything does.
    pub fn next_due_ms(&self) -> Option<Millis> {
        lock(&self.0.agenda).next_due()
    }

    fn next_until(&self, target: Millis) -> Option<Entry> {
        lock(&self.0.agenda).pop_until(target)
    }
}

impl fmt::Debug for ManualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ManualClock").field(&self.now_ms()).finish()
    }
}

/// Returns a duration in whole milliseconds, rounded up, at most [`NEVER`].
pub(crate) fn whole_ms(duration: Duration) -> Millis {
    let ms = duration.as_nanos().div_ceil(1_000_000);
    Millis::try_from(ms).unwrap_or(NEVER)
}

/// Returns the system's time in milliseconds since the Unix epoch.
pub(crate) fn system_now_ms() -> Millis {
    static ANCHOR: OnceLock<Anchor> = OnceLock::new();
    ANCHOR.get_or_init(Anchor::drop_here).now_ms()
}

/// One reading of both clocks: from it on, the steady one alone counts.
struct Anchor {
    steady: Instant,
    unix_ms: Millis,
}

impl Anchor {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn drop_here() -> Self {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { steady: Instant::now(), unix_ms: Millis::try_from(unix.as_millis()).unwrap_or(0) }
    }

    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn now_ms(&self) -> Millis {
        let since = Instant::now().duration_since(self.steady);
        self.unix_ms + since.as_secs() * 1_000 + u64::from(since.subsec_millis())
    }
}
