//! Saying resources, lanes and limits in code.

use super::model::{Draw, Lane, Own, Resource};
use super::units::Share;
use crate::config::Limit;
use crate::provider::Reserve;

impl Resource {
    pub(crate) const EMPTY: Self = Self {
        limits: Vec::new(),
        shared: Vec::new(),
        aliases: Vec::new(),
        lanes: Vec::new(),
        max_waiting: None,
        reserve: None,
        warn_at: None,
        unlimited: false,
    };

    /// Returns a resource without limits.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a limit that it alone draws on.
    #[must_use]
    pub fn limit(mut self, limit: Limit) -> Self {
        self.limits.push(limit);
        self
    }

    /// Draws on the shared limits of this name.
    #[must_use]
    pub fn shared(mut self, name: &str) -> Self {
        self.shared.push(Draw { name: name.to_owned(), lanes: Vec::new() });
        self
    }

    /// Lets one lane alone draw on the shared limits of this name.
    #[must_use]
    pub fn shared_lane(mut self, name: &str, lane: &str) -> Self {
        self.shared.push(Draw { name: name.to_owned(), lanes: vec![lane.to_owned()] });
        self
    }

    /// Adds another name, globs allowed.
    #[must_use]
    pub fn alias(mut self, pattern: &str) -> Self {
        self.aliases.push(pattern.to_owned());
        self
    }

    /// Declares a lane.
    #[must_use]
    pub fn lane(mut self, lane: Lane) -> Self {
        self.lanes.push(lane);
        self
    }

    /// Bounds the line.
    #[must_use]
    pub fn max_waiting(mut self, tickets: u64) -> Self {
        self.max_waiting = Some(tickets);
        self
    }

    /// Says how much output a call reserves.
    #[must_use]
    pub fn reserve(mut self, reserve: Reserve) -> Self {
        self.reserve = Some(reserve);
        self
    }

    /// Tells when this share of one of its own limits is used.
    #[must_use]
    pub fn warn_at(mut self, share: Share) -> Self {
        self.warn_at = Some(share);
        self
    }

    /// Has no limit on purpose.
    #[must_use]
    pub fn unlimited(mut self) -> Self {
        self.unlimited = true;
        self
    }
}

impl Own {
    /// Returns a resource in a ledger of its own, counted plainly.
    pub fn new(resource: Resource) -> Self {
        resource.into()
    }

    /// Names the ledger.
    #[must_use]
    pub fn ledger(mut self, ledger: &str) -> Self {
        self.ledger = Some(ledger.to_owned());
        self
    }

    /// Names the profile.
    #[must_use]
    pub fn provider(mut self, provider: &str) -> Self {
        self.provider = Some(provider.to_owned());
        self
    }

    /// Says how much of each limit is ours.
    #[must_use]
    pub fn usable(mut self, share: Share) -> Self {
        self.usable = share;
        self
    }
}

impl From<Resource> for Own {
    fn from(resource: Resource) -> Self {
        Self { resource, ..Self::default() }
    }
}

impl Lane {
    /// Returns a lane of priority 0 and weight 1.
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// Sets the priority; higher goes first.
    #[must_use]
    pub fn priority(mut self, priority: i32) -> Self {
        self.priority = priority;
        self
    }

    /// Sets the weight among lanes of equal priority.
    #[must_use]
    pub fn weight(mut self, weight: u64) -> Self {
        self.weight = Some(weight);
        self
    }

    /// Sets the most that it may use of each limit.
    #[must_use]
    pub fn cap(mut self, share: Share) -> Self {
        self.cap = Some(share);
        self
    }

    /// Sets what lanes without a reserve leave to it.
    #[must_use]
    pub fn reserve(mut self, share: Share) -> Self {
        self.reserve = Some(share);
        self
    }

    /// Sets the longest head start, in milliseconds.
    #[must_use]
    pub fn max_head_start(mut self, milliseconds: u64) -> Self {
        self.max_head_start = milliseconds;
        self
    }
}
