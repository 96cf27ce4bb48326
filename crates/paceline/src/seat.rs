//! A resource as its account knows it.

use std::sync::Arc;

use paceline_core::{LaneSpec, Name, ResourceId};

use crate::provider::Profile;

/// What handles of one resource share: they know its place, and find here what a configuration last said of it.
pub(crate) struct Seat {
    pub(crate) id: ResourceId,
    pub(crate) name: Name,
    pub(crate) profile: Arc<Profile>,
    pub(crate) lanes: Vec<LaneSpec>,
    /// Whether somebody was told that permits are dropped without being settled.
    pub(crate) warned: bool,
}

impl Seat {
    /// Returns the priority and the weight of a lane.
    pub(crate) fn standing(&self, lane: Option<&str>) -> (i32, u32) {
        let Some(lane) = lane else { return (0, 1) };
        let exact = self.lanes.iter().find(|spec| &*spec.name == lane);
        let meant =
            |spec: &&LaneSpec| spec.name.strip_suffix('*').is_some_and(|start| lane.starts_with(start));
        let spec = exact.or_else(|| self.lanes.iter().find(meant));
        spec.map_or((0, 1), |spec| (spec.priority, spec.weight))
    }
}
