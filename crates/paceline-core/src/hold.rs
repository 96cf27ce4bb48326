//! Holds: what a permit reserved, where it was counted, and what its settlement returns or charges.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::Name;
use crate::command::{SessionId, TicketId, Usage};
use crate::demand::{Amounts, Metric};
use crate::limit::Limit;
use crate::meter::{Note, signed};
use crate::time::{Millis, Now};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hold {
    pub(crate) id: TicketId,
    pub(crate) owner: SessionId,
    pub(crate) resource: u32,
    pub(crate) lane: Option<Name>,
    pub(crate) since: Millis,
    /// What was reserved at the grant, as far as it was not given back: the most that can return.
    pub(crate) reserved: Amounts,
    /// What was raised later: charged, and never returned. Few permits ever are.
    pub(crate) extra: Option<Box<Amounts>>,
    pub(crate) entries: Vec<Entry>,
}

/// Where a hold was counted on one limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) limit: u32,
    pub(crate) generation: u64,
    pub(crate) note: Note,
}

/// What went back and what was charged, by metric.
#[derive(Debug, Default)]
pub(crate) struct Difference {
    pub(crate) returned: Amounts,
    pub(crate) charged: Amounts,
}

impl Difference {
    #[inline]
    fn add(&mut self, metric: Metric, returned: i64, charged: i64) {
        if returned > 0 {
            self.returned.raise(metric, returned.unsigned_abs());
        }
        if charged > 0 {
            self.charged.raise(metric, charged.unsigned_abs());
        }
    }
}

/// A hold's reservation and extra of one metric.
#[derive(Debug, Clone, Copy)]
struct Share {
    reserved: i64,
    extra: i64,
}

impl Hold {
    /// Ends the hold by the table of settlement.
    pub(crate) fn settle(&self, limits: &mut [Limit], now: Now, usage: &Usage) -> Difference {
        let mut difference = Difference::default();
        for entry in &self.entries {
            let Some(limit) = limits.get_mut(entry.limit as usize).filter(|limit| limit.is_known()) else {
                continue;
            };
            let share = self.share(limit.metric);
            let total = share.reserved + share.extra;
            let used = match usage {
                Usage::Of(used) => used.get(limit.metric).map_or(total, signed),
                Usage::Nothing => 0,
            };
            limit.bring(now);
            let (returned, charged) = limit.settle(*entry, share, used, now);
            difference.add(limit.metric, returned, charged);
        }
        difference
    }

    /// Lowers or raises what the hold reserves of one metric.
    pub(crate) fn amend(
        &mut self,
        limits: &mut [Limit],
        now: Now,
        metric: Metric,
        amount: i64,
        difference: &mut Difference,
    ) {
        let share = self.share(metric);
        let change = amount - share.reserved - share.extra;
        for entry in &self.entries {
            let limit = limits.get_mut(entry.limit as usize).filter(|limit| limit.is_known());
            let Some(limit) = limit.filter(|limit| limit.metric == metric) else { continue };
            limit.bring(now);
            let (returned, charged) = limit.amend(*entry, share, change, now);
            difference.add(metric, returned, charged);
        }
        let reserved = share.reserved - (-change).clamp(0, share.reserved);
        self.reserved.set(metric, reserved.unsigned_abs());
        let extra = (amount - reserved).unsigned_abs();
        let raised = self.extra.as_ref().is_some_and(|extra| extra.get(metric).is_some());
        if extra > 0 || raised {
            self.extra.get_or_insert_default().set(metric, extra);
        }
    }

    #[inline]
    fn share(&self, metric: Metric) -> Share {
        let extra = self.extra.as_ref().map_or(0, |extra| extra.amount(metric));
        Share { reserved: signed(self.reserved.amount(metric)), extra: signed(extra) }
    }
}

impl Limit {
    /// Replaces a share by what was used, and returns what went back and what was charged.
    #[inline]
    fn settle(&mut self, entry: Entry, share: Share, used: i64, now: Now) -> (i64, i64) {
        let total = share.reserved + share.extra;
        let over = (used - total).max(0);
        if self.is_concurrency() {
            let back = if self.generation == entry.generation { share.reserved } else { 0 };
            return (self.meter.give_back(&self.terms, entry.note, back), 0);
        }
        if self.generation != entry.generation {
            self.charge(now, over);
            return (0, over);
        }
        if self.terms.until_settled {
            self.held = (self.held - total).max(0);
            self.charge(now, used);
            return ((total - used).max(0), over);
        }
        if over > 0 {
            self.charge(now, over);
            return (0, over);
        }
        (self.meter.give_back(&self.terms, entry.note, (total - used).min(share.reserved)), 0)
    }

    /// Changes a share by so much, and returns what went back and what was charged.
    fn amend(&mut self, entry: Entry, share: Share, change: i64, now: Now) -> (i64, i64) {
        let lowered = (-change).clamp(0, share.reserved);
        if self.generation != entry.generation {
            let raised = if self.is_concurrency() { 0 } else { change.max(0) };
            self.charge(now, raised);
            return (0, raised);
        }
        if self.is_concurrency() {
            return (self.meter.give_back(&self.terms, entry.note, lowered), 0);
        }
        if self.terms.until_settled {
            self.held = (self.held + change).max(0);
            return ((-change).max(0), change.max(0));
        }
        if change > 0 {
            self.charge(now, change);
            return (0, change);
        }
        (self.meter.give_back(&self.terms, entry.note, lowered), 0)
    }
}
