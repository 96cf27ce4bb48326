//! What a resource and its lanes are, as the configuration says it.

use alloc::vec::Vec;

use crate::Name;
use crate::time::Millis;

/// What callers acquire: a name, how many may wait for it, and the lanes in which they do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceSpec {
    /// The name, which is the identity of the resource in its ledger.
    pub name: Name,
    /// How many tickets may wait; one more is refused. At least 1.
    pub line_max: u32,
    /// The declared lanes. Where there are any, a lane that none of them means is refused.
    pub lanes: Vec<LaneSpec>,
}

/// A class of traffic inside a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneSpec {
    /// The name; one that ends in `*` stands for all lanes that begin so, each a lane of its own.
    pub name: Name,
    /// Higher goes first.
    pub priority: i32,
    /// The share among lanes of equal priority, 1 to 1,000.
    pub weight: u32,
    /// The longest head start that a caller may ask for, in milliseconds.
    pub max_head_start: Millis,
}

impl ResourceSpec {
    /// Returns a resource without declared lanes, whose line holds a million tickets.
    pub fn new(name: &str) -> Self {
        Self { name: name.into(), line_max: 1_000_000, lanes: Vec::new() }
    }

    /// Declares a lane.
    #[must_use]
    pub fn lane(mut self, lane: LaneSpec) -> Self {
        self.lanes.push(lane);
        self
    }

    /// Bounds the line.
    #[must_use]
    pub fn line_max(mut self, tickets: u32) -> Self {
        self.line_max = tickets;
        self
    }
}

impl LaneSpec {
    /// Returns a lane of priority 0 and weight 1 that grants no head start.
    pub fn new(name: &str) -> Self {
        Self { name: name.into(), priority: 0, weight: 1, max_head_start: 0 }
    }

    /// Sets the priority.
    #[must_use]
    pub fn priority(mut self, priority: i32) -> Self {
        self.priority = priority;
        self
    }

    /// Sets the weight.
    #[must_use]
    pub fn weight(mut self, weight: u32) -> Self {
        self.weight = weight;
        self
    }

    /// Sets the longest head start, in milliseconds.
    #[must_use]
    pub fn max_head_start(mut self, head_start: Millis) -> Self {
        self.max_head_start = head_start;
        self
    }
}
