//! Why a demand is refused, and which limits lie within others.

use paceline_core::{Lanes, LimitSpec, Millis, Refusal};

use super::Model;
use crate::exam::ask::{On, Wants};

impl Model {
    /// What the limits say to a demand that can never go, or not while one of them is paused and refuses.
    pub(super) fn refused_by_limits(
        &self,
        resource: &str,
        lane: Option<&str>,
        demand: &Wants,
    ) -> Option<Refusal> {
        let drawn = self.drawn(resource, lane, demand).into_iter().filter(|(_, limit, _)| !limit.spec.shadow);
        let mut refusals = drawn.filter_map(|(name, limit, wanted)| {
            if wanted > limit.most() {
                let wanted = u64::try_from(wanted).unwrap_or(0);
                let most = u64::try_from(limit.most()).unwrap_or(0);
                return Some(Refusal::Impossible { limit: name.as_str().into(), wanted, most });
            }
            self.refused_by_pause(&On::Limit(name.clone()))
        });
        refusals.next()
    }

    pub(super) fn refused_by_pause(&self, on: &On) -> Option<Refusal> {
        self.pauses.get(on).filter(|pause| pause.refuse)?;
        let left = self.pause_left(on)?;
        Some(Refusal::Paused { ends_in: Millis::try_from(left).unwrap_or(Millis::MAX) })
    }
}

/// Whether all that draw on `inner` draw on `outer` too; of two with the same members the first by name is the inner.
pub(super) fn within(inner: &LimitSpec, outer: &LimitSpec) -> bool {
    covers(outer, inner) && (!covers(inner, outer) || inner.id < outer.id)
}

fn covers(outer: &LimitSpec, inner: &LimitSpec) -> bool {
    inner.members.iter().all(|member| {
        let mut others = outer.members.iter().filter(|other| other.resource == member.resource);
        others.any(|other| match (&other.lanes, &member.lanes) {
            (Lanes::All, _) => true,
            (Lanes::Only(_), Lanes::Only(lanes)) => lanes.iter().all(|lane| other.lanes.contain(Some(lane))),
            (other, lanes) => other == lanes,
        })
    })
}
