//! Limits that are nearly used up: which are to be told of, and which were.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use paceline_core::{LimitView, Name};

use crate::config::Share;
use crate::events::Event;
use crate::sync::{Wakers, lock};
use crate::{Limiter, Reply};

/// A limit that is used beyond its `warn_at`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NearLimit {
    /// Its name.
    pub limit: Name,
    /// What it counts.
    pub metric: Name,
    /// What is used of it, held apart for permits that have not settled included.
    pub used: u64,
    /// The most that it can grant at once.
    pub most: u64,
    /// From which share of that on it is near.
    pub warn_at: Share,
}

/// A limit is near until this share of its threshold is free again, so that one on the edge is not told again and again.
const SLACK: u64 = 20;

/// The thresholds of a limiter, and what is beyond its own.
#[derive(Default)]
pub(crate) struct Near {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    thresholds: BTreeMap<Name, Share>,
    near: BTreeSet<Name>,
}

impl Near {
    /// Forgets the thresholds of the configuration before.
    pub(crate) fn restart(&self) {
        lock(&self.state).thresholds.clear();
    }

    pub(crate) fn watch(&self, warn_at: &[(Name, Share)]) {
        lock(&self.state).thresholds.extend(warn_at.iter().cloned());
    }

    fn is_empty(&self) -> bool {
        let state = lock(&self.state);
        state.thresholds.is_empty() && state.near.is_empty()
    }

    /// Returns those that are near, and what changed since they were looked at.
    fn look<'a>(&self, limits: impl Iterator<Item = &'a LimitView>) -> (Vec<NearLimit>, Vec<Event>) {
        let state = &mut *lock(&self.state);
        let (mut all, mut events) = (Vec::new(), Vec::new());
        let mut before = std::mem::take(&mut state.near);
        for limit in limits {
            let Some(warn_at) = state.thresholds.get(&limit.name).copied() else { continue };
            let used = i128::from(limit.most) - i128::from(limit.left);
            let threshold = warn_at.of(limit.most);
            let known = before.remove(&limit.name);
            let bound = if known { threshold - threshold / SLACK } else { threshold };
            if used >= i128::from(bound) {
                let used = u64::try_from(used).unwrap_or(u64::MAX);
                let (name, metric) = (Name::clone(&limit.name), Name::clone(&limit.metric));
                let near = NearLimit { limit: name, metric, used, most: limit.most, warn_at };
                if !known {
                    events.push(Event::NearLimit(near.clone()));
                }
                state.near.insert(Name::clone(&limit.name));
                all.push(near);
            } else if known {
                events.push(Event::NoLongerNear { limit: Name::clone(&limit.name) });
            }
        }
        // What was removed or is watched no longer.
        events.extend(before.into_iter().map(|limit| Event::NoLongerNear { limit }));
        (all, events)
    }
}

impl Limiter {
    /// Returns whether the configuration names limits that are to be told of when they are near.
    pub fn warns(&self) -> bool {
        !self.0.near.is_empty()
    }

    /// Looks which limits are used beyond their `warn_at`, and tells each change since the last look as an event and in
    /// the log. Nothing looks by itself: the control plane does each second.
    ///
    /// ```
    /// use paceline::{Demand, Limiter, Usage, config::Config};
    ///
    /// let text = "resources: {gpt: {tokens_per_minute: 1_000, warn_at: 80%}}";
    /// let limiter = Limiter::builder().private().config(Config::parse("here", text)?).build()?;
    /// limiter.resource("gpt")?.acquire(Demand::tokens(900)).wait()?.settle(Usage::tokens(900));
    /// let near = limiter.near_limits().wait()?;
    /// assert_eq!((near[0].used / 100, near[0].most), (9, 1_000));
    /// # Ok::<(), paceline::Error>(())
    /// ```
    pub fn near_limits(&self) -> Reply<Vec<NearLimit>> {
        if !self.warns() {
            return Ok(Vec::new()).into();
        }
        let shared = std::sync::Arc::clone(&self.0);
        self.snapshot().map(move |accounts| {
            let (all, events) = shared.near.look(accounts.iter().flat_map(|account| &account.ledger.limits));
            let mut wakers = Wakers::default();
            for event in events {
                match &event {
                    Event::NearLimit(near) => {
                        log::warn!("{}: {} of {} are used", near.limit, near.used, near.most);
                    }
                    Event::NoLongerNear { limit } => log::info!("{limit}: no longer near its limit"),
                    _ => {}
                }
                shared.store.hub.tell(&mut wakers, || event);
            }
            wakers.release();
            all
        })
    }
}
