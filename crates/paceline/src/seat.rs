//! A resource as its account knows it.

use std::sync::Arc;

use paceline_core::{Amounts, LaneSpec, Metric, Name, ResourceId};

use crate::provider::{Call, Charges, Profile};

/// What handles of one resource share: they know its place, and find here what a configuration last said of it.
pub(crate) struct Seat {
    pub(crate) id: ResourceId,
    pub(crate) name: Name,
    pub(crate) profile: Arc<Profile>,
    pub(crate) lanes: Vec<LaneSpec>,
    /// What its profile makes of a call of which nothing is known.
    bare_call: Charges,
    /// Whether somebody was told that permits are dropped without being settled.
    pub(crate) warned: bool,
}

impl Seat {
    pub(crate) fn new(id: ResourceId, name: &str, profile: Arc<Profile>, lanes: Vec<LaneSpec>) -> Self {
        let bare_call = bare_call(&profile);
        Self { id, name: name.into(), profile, lanes, bare_call, warned: false }
    }

    /// Takes over what a configuration says of the same resource.
    pub(crate) fn refit(&mut self, profile: Arc<Profile>, lanes: Vec<LaneSpec>) {
        self.bare_call = bare_call(&profile);
        (self.profile, self.lanes) = (profile, lanes);
    }

    pub(crate) fn bare_call(&self) -> &Charges {
        &self.bare_call
    }

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

/// What a call reserves of which nothing is known: one request and one concurrent request at the least.
fn bare_call(profile: &Profile) -> Charges {
    let mut charges = profile.reserve(&Call::new());
    count_itself(&mut charges.known);
    charges
}

/// Counts a call as one request and one concurrent request unless it is said otherwise.
pub(crate) fn count_itself(amounts: &mut Amounts) {
    for metric in [Metric::REQUESTS, Metric::CONCURRENT_REQUESTS] {
        if amounts.get(metric).is_none() {
            amounts.set(metric, 1);
        }
    }
}
