//! Views of a ledger for people: what is used, who waits, and why.

use alloc::vec::Vec;

use crate::command::TicketId;
use crate::demand::Amounts;
use crate::time::Millis;
use crate::{LimitId, Name, ResourceId};

/// A ledger at one instant. Durations are in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Snapshot {
    /// All limits, by name.
    pub limits: Vec<LimitView>,
    /// All resources, by name.
    pub resources: Vec<ResourceView>,
}

/// A limit at one instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitView {
    /// The limit.
    pub id: LimitId,
    /// Its name.
    pub name: Name,
    /// The name of its metric.
    pub metric: Name,
    /// The most that it can grant at once: the burst of a bucket, else the amount.
    pub most: u64,
    /// The amount per window, as it is in force.
    pub amount: u64,
    /// The window or period in milliseconds, 0 for concurrency.
    pub window: Millis,
    /// What is used: spent and not yet back, or in flight.
    pub used: u64,
    /// What is held apart for permits that have not settled (`until_settled`).
    pub held: u64,
    /// What is left; below zero is debt.
    pub left: i64,
    /// When all of it would be there again if nothing more were granted; [`NEVER`](crate::NEVER) where that takes releases.
    pub full_in: Millis,
    /// What is left of its pause, `None` where it is not paused.
    pub paused_for: Option<Millis>,
    /// Charged and never asked.
    pub shadow: bool,
    /// What has come back since it was configured, in all.
    pub came_back: u64,
}

/// A resource at one instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceView {
    /// The resource.
    pub id: ResourceId,
    /// Its name.
    pub name: Name,
    /// The names of the limits on which all or some of its lanes draw.
    pub limits: Vec<Name>,
    /// How many tickets wait.
    pub waiting: u64,
    /// How many permits are out.
    pub in_flight: u64,
    /// What is left of its pause, `None` where it is not paused.
    pub paused_for: Option<Millis>,
    /// Its lanes that wait or are remembered, by name.
    pub lanes: Vec<LaneView>,
}

/// A lane at one instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneView {
    /// The name, `None` for callers that name no lane.
    pub name: Option<Name>,
    /// How many tickets wait.
    pub waiting: u64,
    /// What they want in all.
    pub demand: Amounts,
    /// How long the ticket that came first has waited.
    pub oldest: Option<Millis>,
    /// How many permits it was granted since it was last forgotten.
    pub granted: u64,
}

/// The answer to "would it go now, and if not, why".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// Whether an `Acquire` at this instant would be granted at once.
    pub goes: bool,
    /// After what time the limits and pauses alone would let it go; [`NEVER`](crate::NEVER) where that takes a release or a resume.
    pub ready_in: Millis,
    /// Every enforced limit that it draws on, the one that takes longest first.
    pub limits: Vec<Binding>,
    /// How many tickets of its lane are before it.
    pub ahead: u64,
    /// The ticket at the head of its lane, if anybody waits there.
    pub head: Option<TicketId>,
    /// How long that ticket has waited.
    pub head_waited: Option<Millis>,
    /// What is left of a pause of the resource, `None` where it is not paused.
    pub paused_for: Option<Millis>,
}

/// What one limit says to a demand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// The limit.
    pub limit: Name,
    /// What is wanted of it.
    pub wanted: u64,
    /// What is left; below zero is debt.
    pub left: i64,
    /// What is set aside there for heads that come first.
    pub set_aside: u64,
    /// The most that it can ever grant at once.
    pub most: u64,
    /// After what time it covers the demand with what is set aside; [`NEVER`](crate::NEVER) where that takes a release.
    pub ready_in: Millis,
}

/// A permit that is out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PermitView {
    /// The permit.
    pub id: TicketId,
    /// The session that owns it.
    pub owner: crate::SessionId,
    /// The resource.
    pub resource: ResourceId,
    /// The lane that the caller named.
    pub lane: Option<Name>,
    /// How long ago it was granted, in milliseconds.
    pub age: Millis,
    /// What it reserves.
    pub reserved: Amounts,
}
