//! Resources and their lanes: what the configuration says of them, and who waits in them.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::Name;
use crate::demand::{Amounts, Metric};
use crate::limit::{Pause, matches};
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

/// A place in a lane: smallest rank first, then arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) rank: i64,
    pub(crate) arrival: u64,
}

/// A lane at work.
#[derive(Debug, Clone)]
pub(crate) struct Lane {
    pub(crate) resource: u32,
    pub(crate) name: Option<Name>,
    pub(crate) priority: i32,
    pub(crate) weight: u64,
    pub(crate) virtual_time: u64,
    /// The tickets that wait.
    pub(crate) queue: BTreeMap<Place, u32>,
    /// Where it stands among the lanes that wait.
    pub(crate) waiting_at: usize,
    /// What its tickets want in all.
    pub(crate) demand: Vec<(Metric, u128)>,
    pub(crate) granted: u64,
    /// Lanes are declared, and none of them means this one.
    pub(crate) undeclared: bool,
    pub(crate) draws: Vec<Draw>,
}

/// A limit on which a lane draws.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Draw {
    pub(crate) limit: u32,
    /// Whether a grant is weighed by it against other lanes.
    pub(crate) weighs: bool,
}

/// A resource at work.
#[derive(Debug, Clone)]
pub(crate) struct Resource {
    pub(crate) spec: ResourceSpec,
    pub(crate) gone: bool,
    /// The limits of which it, or some of its lanes, is a member.
    pub(crate) limits: Vec<u32>,
    pub(crate) lanes: BTreeMap<Name, u32>,
    /// The lane of callers that name none.
    pub(crate) unnamed: Option<u32>,
    pub(crate) waiting: u32,
    /// How many lanes wait, the one that others share not counted.
    pub(crate) waiting_lanes: u32,
    pub(crate) idle_lanes: u32,
    pub(crate) in_flight: u64,
    pub(crate) pause: Option<Pause>,
    /// Tickets that arrived no later than this were purged.
    pub(crate) purged: u64,
    /// Tickets of these lanes that arrived no later than this were purged; forgotten once every one was looked at.
    pub(crate) purged_lanes: Vec<(Name, u64)>,
}

/// The lane of those that come when too many wait.
pub(crate) const OTHER: &str = "other";

impl Resource {
    pub(crate) fn new(spec: ResourceSpec) -> Self {
        Self {
            spec,
            gone: false,
            limits: Vec::new(),
            lanes: BTreeMap::new(),
            unnamed: None,
            waiting: 0,
            waiting_lanes: 0,
            idle_lanes: 0,
            in_flight: 0,
            pause: None,
            purged: 0,
            purged_lanes: Vec::new(),
        }
    }

    /// Returns the lane of this name if it waits or is remembered.
    pub(crate) fn lane(&self, name: Option<&str>) -> Option<u32> {
        name.map_or(self.unnamed, |name| self.lanes.get(name).copied())
    }

    /// Returns the declaration that means a lane: of its very name, else the longest beginning.
    pub(crate) fn declared(&self, name: &str) -> Option<&LaneSpec> {
        let exact = self.spec.lanes.iter().find(|lane| *lane.name == *name);
        exact.or_else(|| {
            let means = |lane: &&LaneSpec| matches(&lane.name, name);
            self.spec.lanes.iter().filter(means).max_by_key(|lane| lane.name.len())
        })
    }

    /// Returns whether callers may name this lane.
    pub(crate) fn allows(&self, name: Option<&str>) -> bool {
        self.spec.lanes.is_empty() || name.is_none_or(|name| self.declared(name).is_some())
    }

    /// Iterates over the lanes that wait or are remembered, by name, the unnamed first.
    pub(crate) fn lanes(&self) -> impl Iterator<Item = u32> + '_ {
        self.unnamed.into_iter().chain(self.lanes.values().copied())
    }
}

impl Lane {
    pub(crate) fn new(number: u32, resource: &Resource, name: Option<Name>, draws: Vec<Draw>) -> Self {
        let declared = name.as_deref().and_then(|name| resource.declared(name));
        Self {
            resource: number,
            priority: declared.map_or(0, |lane| lane.priority),
            weight: declared.map_or(1, |lane| u64::from(lane.weight)),
            virtual_time: 0,
            queue: BTreeMap::new(),
            waiting_at: usize::MAX,
            demand: Vec::new(),
            granted: 0,
            undeclared: !resource.allows(name.as_deref()),
            draws,
            name,
        }
    }

    /// Takes over what a configuration says of it.
    pub(crate) fn adopt(&mut self, resource: &Resource, draws: Vec<Draw>) {
        let declared = self.name.as_deref().and_then(|name| resource.declared(name));
        self.priority = declared.map_or(0, |lane| lane.priority);
        self.weight = declared.map_or(1, |lane| u64::from(lane.weight));
        self.undeclared = !resource.allows(self.name.as_deref());
        self.draws = draws;
    }

    /// Counts what a ticket wants in or out of what the lane wants.
    pub(crate) fn count(&mut self, demand: &Amounts, joins: bool) {
        for (metric, amount) in demand.iter() {
            let amount = u128::from(amount);
            let at = self.demand.iter().position(|(counted, _)| *counted == metric);
            match at.and_then(|at| self.demand.get_mut(at)) {
                Some((_, sum)) if joins => *sum += amount,
                Some((_, sum)) => *sum = sum.saturating_sub(amount),
                None => self.demand.push((metric, amount)),
            }
        }
    }

    pub(crate) fn head(&self) -> Option<(Place, u32)> {
        self.queue.first_key_value().map(|(place, ticket)| (*place, *ticket))
    }
}
