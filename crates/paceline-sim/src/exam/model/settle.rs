//! What happens to a permit: settlement by the table, amendment, and its end without either.

use std::collections::BTreeSet;

use paceline_core::{Refusal, TicketId};

use super::{Hold, Model};
use crate::exam::ask::{Answer, Wants};

impl Model {
    pub(super) fn settle(&mut self, permit: TicketId, usage: Option<&Wants>) -> Answer {
        let Some(at) = self.holds.iter().position(|hold| hold.id == permit) else { return Answer::Over };
        let hold = self.holds.remove(at);
        let (mut returned, mut charged) = (Wants::new(), Wants::new());
        for name in concerned(&hold) {
            let now = self.now;
            let Some(limit) = self.limits.get_mut(&name) else { continue };
            let metric = limit.spec.metric.to_string();
            let total = hold.total(&metric);
            let used = usage.map_or(0, |usage| usage.get(&metric).copied().unwrap_or(total));
            let note = hold.notes.get(&name).filter(|note| note.generation == limit.generation);
            if limit.is_concurrency() {
                let back = if note.is_some() { hold.reserved.get(&metric).copied().unwrap_or(0) } else { 0 };
                most(&mut returned, &metric, back);
                continue;
            }
            if limit.holds() && note.is_some() {
                limit.charge(now, used.into());
                most(&mut returned, &metric, total.saturating_sub(used));
            } else if let (Some(note), true) = (note, used < total) {
                let back = (total - used).min(hold.reserved.get(&metric).copied().unwrap_or(0));
                let back = limit.put_back(now, note, back.into());
                most(&mut returned, &metric, u64::try_from(back).unwrap_or(0));
            } else if used > total {
                limit.charge(now, (used - total).into());
            }
            most(&mut charged, &metric, used.saturating_sub(total));
        }
        Answer::Settled { returned, charged }
    }

    pub(super) fn amend(&mut self, permit: TicketId, reserve: &Wants) -> Answer {
        let Some(at) = self.holds.iter().position(|hold| hold.id == permit) else { return Answer::Over };
        let before = self.holds.remove(at);
        let mut after = before.clone();
        for (metric, amount) in reserve {
            let (total, reserved) = (before.total(metric), before.reserved.get(metric).copied().unwrap_or(0));
            let reserved = reserved - total.saturating_sub(*amount).min(reserved);
            after.reserved.insert(metric.clone(), reserved);
            after.extra.insert(metric.clone(), amount - reserved);
        }
        let (mut returned, mut charged) = (Wants::new(), Wants::new());
        for name in concerned(&before) {
            let now = self.now;
            let Some(limit) = self.limits.get_mut(&name) else { continue };
            let metric = limit.spec.metric.to_string();
            let (old, new) = (before.total(&metric), after.total(&metric));
            let freed =
                before.reserved.get(&metric).unwrap_or(&0) - after.reserved.get(&metric).unwrap_or(&0);
            let note = before.notes.get(&name).filter(|note| note.generation == limit.generation);
            if limit.is_concurrency() {
                most(&mut returned, &metric, if note.is_some() { freed } else { 0 });
                continue;
            }
            most(&mut charged, &metric, new.saturating_sub(old));
            match note {
                Some(_) if limit.holds() => most(&mut returned, &metric, old.saturating_sub(new)),
                Some(note) if new < old => {
                    let back = limit.put_back(now, note, freed.into());
                    most(&mut returned, &metric, u64::try_from(back).unwrap_or(0));
                }
                _ if new > old => {
                    limit.charge(now, (new - old).into());
                }
                _ => {}
            }
        }
        self.holds.insert(at, after);
        Answer::Amended { returned, charged }
    }

    pub(super) fn record(&mut self, resource: &str, lane: Option<&str>, usage: &Wants) -> Answer {
        if !self.resources.contains_key(resource) {
            return Answer::Refused(Refusal::NoResource);
        }
        let drawn = self.drawn(resource, lane, usage).into_iter();
        for (name, used) in drawn.map(|(name, _, used)| (name.clone(), used)).collect::<Vec<_>>() {
            let now = self.now;
            if let Some(limit) = self.limits.get_mut(&name) {
                limit.charge(now, used);
            }
        }
        Answer::Done
    }

    /// Ends a permit that nobody settles: charged as reserved.
    pub(super) fn end_hold(&mut self, permit: TicketId) {
        self.settle(permit, Some(&Wants::new()));
    }
}

/// The limits that a permit was charged to.
fn concerned(hold: &Hold) -> BTreeSet<String> {
    hold.notes.keys().cloned().collect()
}

fn most(wants: &mut Wants, metric: &str, amount: u64) {
    if amount > 0 {
        let named = wants.entry(metric.into()).or_insert(0);
        *named = amount.max(*named);
    }
}
