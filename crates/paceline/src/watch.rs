//! A configuration file that is read again when it changes.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, Weak};
use std::time::SystemTime;

use paceline_core::Millis;

use crate::Error;
use crate::clock::Clock;
use crate::config::Config;
use crate::driver::{Alarm, Duty};
use crate::events::Event;
use crate::limiter::{Limiter, Shared};
use crate::sync::{Wakers, lock};

/// A file, and the limiter that it configures.
pub(crate) struct Watch {
    path: PathBuf,
    limiter: Weak<Shared>,
    alarm: Alarm,
    seen: Mutex<Option<Stamp>>,
}

/// What tells one version of a file from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
}

/// How often the file is looked at, in milliseconds.
const INTERVAL: Millis = 1_000;

impl Watch {
    pub(crate) fn start(path: PathBuf, limiter: Weak<Shared>, clock: &Clock) -> Arc<Self> {
        let watch = Self { path, limiter, alarm: Alarm::new(), seen: Mutex::default() };
        *lock(&watch.seen) = watch.stamp();
        let watch = Arc::new(watch);
        let duty = Arc::downgrade(&watch);
        watch.alarm.set(clock.now_ms() + INTERVAL, clock, || duty);
        watch
    }

    fn stamp(&self) -> Option<Stamp> {
        let metadata = std::fs::metadata(&self.path).ok()?;
        Some(Stamp { modified: metadata.modified().ok(), length: metadata.len() })
    }

    fn reload(&self, limiter: &Arc<Shared>) {
        let loaded = Config::load(&self.path).map_err(Error::from);
        let Err(error) = loaded.and_then(|config| Limiter::over(Arc::clone(limiter)).configure(&config))
        else {
            log::info!("{} is in force", self.path.display());
            return;
        };
        log::warn!("{} changed and is refused, what was in force stays: {error}", self.path.display());
        let mut wakers = Wakers::default();
        limiter.store.hub.tell(&mut wakers, || Event::ConfigurationRefused { error });
        wakers.release();
    }
}

impl Duty for Watch {
    fn alarm(&self) -> &Alarm {
        &self.alarm
    }

    fn fall_due(&self, now: Millis) -> Option<Millis> {
        let limiter = self.limiter.upgrade()?;
        let stamp = self.stamp();
        // A file that is gone for a moment is being replaced.
        if stamp.is_some() && *lock(&self.seen) != stamp {
            *lock(&self.seen) = stamp;
            self.reload(&limiter);
        }
        Some(now + INTERVAL)
    }
}
