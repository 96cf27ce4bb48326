//! How long a wait will be, as far as the line and the pace of the limits tell. Estimates decide nothing in a ledger.

use std::collections::BTreeMap;

use paceline_core::{Amounts, LaneView, Ledger, LimitView, Metric, Millis, Name, ResourceView, Snapshot};

use crate::seat::Seat;

/// How fast limits came back lately.
#[derive(Default)]
pub(crate) struct Pace(BTreeMap<Name, Sample>);

struct Sample {
    at: Millis,
    came_back: u64,
    per_ms: f64,
}

/// A demand in its place.
pub(crate) struct Place<'a> {
    pub(crate) seat: &'a Seat,
    pub(crate) lane: Option<&'a str>,
    pub(crate) demand: &'a Amounts,
    /// Whether the demand is counted among those that wait.
    pub(crate) in_line: bool,
}

/// Over how many milliseconds a pace is measured at the least.
const SPAN: Millis = 1_000;

impl Pace {
    /// Returns after how many milliseconds a demand can be expected to go; `None` where nothing tells.
    pub(crate) fn expected_wait(
        &mut self,
        now: Millis,
        ledger: &mut Ledger,
        seats: &[Seat],
        place: &Place<'_>,
    ) -> Option<Millis> {
        let snapshot = ledger.snapshot(now);
        self.expected_by(now, &snapshot, ledger, seats, place)
    }

    /// The same of a ledger that was looked at already; `ledger` knows the names of its metrics.
    pub(crate) fn expected_by(
        &mut self,
        now: Millis,
        snapshot: &Snapshot,
        ledger: &mut Ledger,
        seats: &[Seat],
        place: &Place<'_>,
    ) -> Option<Millis> {
        let own = snapshot.resources.iter().find(|resource| resource.id == place.seat.id)?;
        let mut expected = own.paused_for.unwrap_or(0);
        for limit in snapshot.limits.iter().filter(|limit| !limit.shadow && own.limits.contains(&limit.name))
        {
            let Some(metric) = ledger.metric(&limit.metric) else { continue };
            let before = backlog(snapshot, limit, metric, seats, place);
            let wanted = if place.in_line { 0 } else { place.demand.amount(metric) };
            let owed = as_f64(limit.left.unsigned_abs()).copysign(if limit.left < 0 { 1.0 } else { -1.0 });
            let missing = before + as_f64(wanted) + owed;
            let pace = self.of(limit, now);
            if missing <= 0.0 {
                continue;
            }
            if pace <= 0.0 {
                return None;
            }
            expected = expected.max(as_millis(missing / pace)).max(limit.paused_for.unwrap_or(0));
        }
        Some(expected)
    }

    /// Returns how much of a limit comes back in a millisecond: what it promises, or what lately came if that is more.
    fn of(&mut self, limit: &LimitView, now: Millis) -> f64 {
        let promised = if limit.window == 0 { 0.0 } else { as_f64(limit.amount) / as_f64(limit.window) };
        let first = Sample { at: now, came_back: limit.came_back, per_ms: 0.0 };
        let sample = self.0.entry(limit.name.clone()).or_insert(first);
        let span = now.saturating_sub(sample.at);
        if span >= SPAN {
            let came = limit.came_back.saturating_sub(sample.came_back);
            *sample = Sample { at: now, came_back: limit.came_back, per_ms: as_f64(came) / as_f64(span) };
        }
        promised.max(sample.per_ms)
    }
}

/// What of a limit goes to those who wait before a newcomer to this lane.
fn backlog(snapshot: &Snapshot, limit: &LimitView, metric: Metric, seats: &[Seat], place: &Place<'_>) -> f64 {
    let drawing = |resource: &&ResourceView| resource.limits.contains(&limit.name);
    let standing = place.seat.standing(place.lane);
    let mut own = 0.0;
    let mut higher = 0.0;
    let mut equal = Vec::new();
    for resource in snapshot.resources.iter().filter(drawing) {
        let seat = seats.iter().find(|seat| seat.id == resource.id);
        for lane in &resource.lanes {
            let demand = as_f64(lane.demand.amount(metric));
            let (priority, weight) = seat.map_or((0, 1), |seat| seat.standing(lane.name.as_deref()));
            if resource.id == place.seat.id && is(lane, place.lane) {
                own += demand;
            } else if priority > standing.0 {
                higher += demand;
            } else if priority == standing.0 {
                equal.push((demand, f64::from(weight) / f64::from(standing.1.max(1))));
            }
        }
    }
    let ours = own + if place.in_line { 0.0 } else { as_f64(place.demand.amount(metric)) };
    let shared: f64 = equal.iter().map(|(demand, share)| demand.min(ours * share)).sum();
    own + higher + shared
}

fn is(lane: &LaneView, name: Option<&str>) -> bool {
    lane.name.as_deref() == name
}

#[expect(clippy::cast_precision_loss, reason = "amounts are below 2^50, times below 2^53")]
fn as_f64(amount: u64) -> f64 {
    amount as f64
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "above 0, and a cast saturates")]
fn as_millis(ms: f64) -> Millis {
    ms.ceil() as Millis
}
