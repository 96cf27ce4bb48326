//! Looking at a shared ledger, and at permits of other processes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use paceline_core::{
    Amounts, LaneView, LimitId, LimitView, Millis, NEVER, Name, ResourceId, ResourceView, Snapshot, TicketId,
};
use tokio::sync::oneshot;

use super::account::{About, Life, Shared};
use super::desk::{After, Desk};
use super::job::{Tell, What};
use crate::permit::Settled;
use crate::resource::Outlook;
use crate::store::{Asking, PermitInfo};
use crate::wire::{Answer, PermitRow, View};
use crate::{Error, PermitId, Reply, Usage};

/// How many permits are asked for at once.
const PAGE: u64 = 500;

impl Shared {
    pub(super) fn here(&self) -> Arc<Life> {
        Arc::clone(self.life(self.about.clock.now_ms()))
    }

    pub(crate) fn snapshot(&self) -> Reply<Snapshot> {
        let life = self.here();
        let view = life.raw(What::View);
        Reply::later(async move {
            match view.await? {
                Answer::Viewed(view) => Ok(life.with(|desk, now, _| desk.snapshot(view, now))),
                _ => Err(Error::Closed),
            }
        })
    }

    pub(crate) fn outlook(&self, asking: &Asking<'_>) -> Reply<Option<Outlook>> {
        let life = self.here();
        let asked = life.with(|desk, now, after| {
            let waiter = desk.book.waiter(asking, now)?;
            let (slot, lane, demand) = (waiter.slot, waiter.lane.clone(), waiter.demand.clone());
            let (tell, explained) = oneshot::channel();
            desk.push(What::Explain { slot, lane, demand }, Tell::Raw(tell), now, after);
            let (tell, viewed) = oneshot::channel();
            desk.push(What::View, Tell::Raw(tell), now, after);
            Ok((waiter, explained, viewed))
        });
        let (waiter, explained, viewed) = match asked {
            Ok(asked) => asked,
            Err(error) => return Err(error).into(),
        };
        let place = (waiter.slot, waiter.lane.clone(), waiter.demand.clone());
        Reply::later(async move {
            let explanation = match explained.await.unwrap_or(Err(Error::Closed))? {
                Answer::Explained(told) => *told,
                _ => return Ok(None),
            };
            let Answer::Viewed(view) = viewed.await.unwrap_or(Err(Error::Closed))? else { return Ok(None) };
            let expected = if explanation.goes {
                Some(0)
            } else {
                life.with(|desk, now, _| desk.expected_wait(view, &place, false, now))
            };
            Ok(Some(Outlook { expected_wait: expected.map(Duration::from_millis), explanation }))
        })
    }

    pub(crate) fn permits(&self) -> Reply<Vec<PermitInfo>> {
        let (life, about) = (self.here(), Arc::clone(&self.about));
        Reply::later(async move {
            let (mut all, mut from) = (Vec::new(), TicketId::default());
            loop {
                let answer = life.raw(What::Permits { from, most: PAGE }).await?;
                let Answer::Permitted(rows, more) = answer else { return Err(Error::Closed) };
                all.extend(rows.into_iter().map(|row| about.info(row)));
                if !more {
                    return Ok(all);
                }
                from.number += PAGE;
            }
        })
    }

    /// Ends a permit by its id, whoever owns it.
    pub(crate) fn settle(&self, permit: TicketId, usage: &Usage) -> Reply<Settled> {
        let own = self.step(|desk, _, _| desk.own(permit));
        if let Some(slot) = own {
            return self.settle_own(permit.number, slot, usage);
        }
        let (life, over) = (self.here(), self.about.id_of(permit));
        let usage = usage.clone();
        Reply::later(async move {
            // Only the resource's profile can read what its provider reported.
            let rows = life.raw(What::Permits { from: permit, most: 1 }).await?;
            let row = match rows {
                Answer::Permitted(rows, _) => rows.into_iter().find(|row| row.id == permit),
                _ => None,
            };
            let Some(row) = row else { return Err(Error::PermitOver(over)) };
            let used = life.with(|desk, _, _| {
                let slot = desk.book.seats.iter().position(|seat| seat.name == row.resource);
                slot.map_or(Ok(Amounts::new()), |slot| desk.book.charge(slot, &usage))
            });
            let settled = life.settle(permit, Some(used.clone().unwrap_or_default()));
            used.and(settled.await)
        })
    }

    pub(crate) fn give_back(&self, permit: TicketId) -> Reply<Settled> {
        if self.step(|desk, _, _| desk.own(permit)).is_some() {
            return self.give_back_own(permit.number);
        }
        self.here().settle(permit, None)
    }

    pub(crate) fn renew_own(&self, number: u64, lease: Millis) -> Reply<()> {
        self.step(|desk, now, _| {
            let until = now.saturating_add(lease);
            if let Some(held) = desk.permits.get_mut(&number) {
                held.until = until;
                desk.next_lease = desk.next_lease.min(until);
            }
        });
        Ok(()).into()
    }

    /// Lets a permit live on that is another process's, or nobody's: in a session of its own that lasts as long.
    pub(crate) fn renew(&self, permit: TicketId, lease: Millis) -> Reply<()> {
        if self.step(|desk, _, _| desk.own(permit)).is_some() {
            return self.renew_own(permit.number, lease);
        }
        let over = self.about.id_of(permit);
        let moved = self.here().raw(transfer(permit, lease));
        Reply::later(async move {
            match moved.await? {
                Answer::Done => Ok(()),
                _ => Err(Error::PermitOver(over)),
            }
        })
    }

    /// Moves a permit to a session of its own, so that it outlives this process.
    pub(crate) fn detach(&self, number: u64) -> PermitId {
        let permit = self.step(|desk, now, after| {
            let permit = desk.ticket_id(number);
            let gone = desk.permits.remove(&number).filter(|held| !held.ending);
            match gone {
                Some(held) if held.local => {
                    desk.permits.insert(number, held);
                }
                Some(_) => {
                    let lease = desk.lease;
                    desk.push(transfer(permit, lease), Tell::Nobody, now, after);
                }
                None => {}
            }
            permit
        });
        self.about.id_of(permit)
    }
}

fn transfer(permit: TicketId, lease: Millis) -> What {
    What::Transfer { permit, to: crate::store::here::random_session(), time_out: lease }
}

impl About {
    fn info(&self, row: PermitRow) -> PermitInfo {
        PermitInfo {
            id: self.id_of(row.id),
            resource: row.resource,
            lane: row.lane,
            age: Duration::from_millis(row.age),
            reserved: row.reserved,
        }
    }
}

impl Life {
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut Desk, Millis, &mut After) -> T) -> T {
        self.step(self.about.clock.now_ms(), work)
    }

    /// Asks something whose outcome is wanted as it is.
    pub(super) fn raw(&self, what: What) -> Reply<Answer> {
        let (tell, answer) = oneshot::channel();
        self.with(|desk, now, after| desk.push(what, Tell::Raw(tell), now, after));
        super::job::reply(answer)
    }

    /// Ends a permit that is not of this process.
    pub(super) fn settle(&self, permit: TicketId, usage: Option<Amounts>) -> Reply<Settled> {
        let (tell, answer) = oneshot::channel();
        let settle = What::Settle { permit, usage };
        self.with(|desk, now, after| desk.push(settle, Tell::Settled(tell), now, after));
        super::job::reply(answer)
    }
}

impl Desk {
    /// Returns the seat of a permit of this process.
    fn own(&self, permit: TicketId) -> Option<usize> {
        self.permits.get(&permit.number).filter(|held| held.permit == permit).map(|held| held.slot)
    }

    pub(super) fn expected_wait(
        &mut self,
        view: View,
        (slot, lane, demand): &(usize, Option<Name>, Amounts),
        in_line: bool,
        now: Millis,
    ) -> Option<Millis> {
        let snapshot = self.snapshot(view, now);
        self.book.expected_by(now, &snapshot, (*slot, lane.as_deref(), demand), in_line)
    }

    /// Returns a view with numbers as the local ledger has them.
    fn snapshot(&mut self, view: View, now: Millis) -> Snapshot {
        let local = self.book.ledger.snapshot(now);
        let limits: BTreeMap<Name, LimitId> =
            local.limits.into_iter().map(|limit| (limit.name, limit.id)).collect();
        let resources: BTreeMap<Name, ResourceId> =
            local.resources.into_iter().map(|resource| (resource.name, resource.id)).collect();
        let limit = |row: crate::wire::LimitRow| LimitView {
            id: limits.get(&row.name).copied().unwrap_or(LimitId::UNKNOWN),
            name: row.name,
            metric: row.metric,
            most: row.most,
            amount: row.amount,
            window: if row.window == NEVER { 0 } else { row.window },
            used: row.used,
            held: row.held,
            left: row.left,
            full_in: row.full_in,
            paused_for: row.paused_for,
            shadow: row.shadow,
            came_back: row.came_back,
        };
        let limits = view.limits.into_iter().map(limit).collect();
        let resource = |row: crate::wire::ResourceRow| ResourceView {
            id: resources.get(&row.name).copied().unwrap_or(ResourceId::UNKNOWN),
            name: row.name,
            limits: row.limits,
            waiting: row.waiting,
            in_flight: row.in_flight,
            paused_for: row.paused_for,
            lanes: row.lanes.into_iter().map(|lane| self.lane(lane)).collect(),
        };
        Snapshot { limits, resources: view.resources.into_iter().map(resource).collect() }
    }

    fn lane(&mut self, row: crate::wire::LaneRow) -> LaneView {
        let demand = self.amounts(&row.demand);
        LaneView { name: row.name, waiting: row.waiting, demand, oldest: row.oldest, granted: row.granted }
    }
}
