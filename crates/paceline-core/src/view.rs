//! What people and programs read of a ledger: snapshots, explanations, permits, and the canonical text of its state.

use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::fmt::Write;

use crate::command::{ResourceId, SessionId, TicketId};
use crate::demand::Amounts;
use crate::lane::{Lane, Resource};
use crate::ledger::{Ledger, Spot};
use crate::limit::{Limit, Pause};
use crate::meter::{Meter, signed};
use crate::snapshot::{Binding, Explanation, LaneView, LimitView, PermitView, ResourceView, Snapshot};
use crate::time::{Millis, NEVER};
use crate::{LimitId, Name};

impl Ledger {
    /// Returns a view for people, as of `now`. Changes nothing: what is due by then stays due.
    pub fn snapshot(&mut self, now: Millis) -> Snapshot {
        self.looking(now, |ledger| ledger.view())
    }

    fn view(&self) -> Snapshot {
        let limits = self
            .limit_names
            .values()
            .filter_map(|number| Some((*number, self.limits.get(*number as usize)?)));
        let limits = limits.filter(|(_, limit)| !limit.spec.members.is_empty());
        let resources = self
            .resource_names
            .values()
            .filter_map(|number| Some((*number, self.resources.get(*number as usize)?)));
        let resources = resources.filter(|(_, resource)| !resource.gone || resource.in_flight > 0);
        Snapshot {
            limits: limits.map(|(number, limit)| self.view_limit(number, limit)).collect(),
            resources: resources.map(|(number, resource)| self.view_resource(number, resource)).collect(),
        }
    }

    /// Looks at the ledger as it is at `now`, and leaves it as it was.
    fn looking<T>(&mut self, now: Millis, look: impl FnOnce(&mut Self) -> T) -> T {
        let kept = (self.now, self.limits.clone());
        self.now = self.reading(now);
        self.bring_all();
        let seen = look(self);
        (self.now, self.limits) = kept;
        seen
    }

    /// Brings every limit up to the last step's time.
    pub(crate) fn bring_all(&mut self) {
        for limit in &mut self.limits {
            limit.bring(self.now);
        }
    }

    fn view_limit(&self, number: u32, limit: &Limit) -> LimitView {
        let left = limit.left(self.now);
        let pause = Pause::left(limit.pause, self.now.clock);
        LimitView {
            id: LimitId(number),
            name: limit.spec.id.clone(),
            metric: limit.spec.metric.clone(),
            most: limit.most().unsigned_abs(),
            amount: limit.terms.amount.unsigned_abs(),
            window: limit.window(),
            used: u64::try_from(limit.most() - left - limit.held).unwrap_or(0),
            held: limit.held.unsigned_abs(),
            left,
            full_in: if limit.held > 0 { NEVER } else { limit.ready(self.now, limit.most()) },
            paused_for: (pause > 0).then_some(pause),
            shadow: limit.spec.shadow,
            came_back: limit.came_back,
        }
    }

    fn view_resource(&self, number: u32, resource: &Resource) -> ResourceView {
        let pause = Pause::left(resource.pause, self.now.clock);
        let limits = resource.limits.iter().filter_map(|number| self.limits.get(*number as usize));
        ResourceView {
            id: ResourceId(number),
            name: resource.spec.name.clone(),
            limits: limits.map(|limit| limit.spec.id.clone()).collect(),
            waiting: u64::from(resource.waiting),
            in_flight: resource.in_flight,
            paused_for: (pause > 0).then_some(pause),
            lanes: resource.lanes().filter_map(|lane| Some(self.view_lane(self.lanes.get(lane)?))).collect(),
        }
    }

    fn view_lane(&self, lane: &Lane) -> LaneView {
        let head = lane.head().and_then(|(_, ticket)| self.tickets.get(ticket));
        let demand =
            lane.demand.iter().map(|(metric, sum)| (*metric, u64::try_from(*sum).unwrap_or(u64::MAX)));
        LaneView {
            name: lane.name.clone(),
            waiting: lane.queue.len() as u64,
            demand: Amounts::of(demand),
            oldest: head.map(|head| self.now.clock.saturating_sub(head.since)),
            granted: lane.granted,
        }
    }

    /// Says whether a demand would go at `now`, and if not, why. `None` where there is no such resource. Changes nothing.
    pub fn explain(
        &mut self,
        now: Millis,
        resource: ResourceId,
        lane: Option<&str>,
        demand: &Amounts,
    ) -> Option<Explanation> {
        self.looking(now, |ledger| ledger.explain_now(resource, lane, demand))
    }

    fn explain_now(
        &mut self,
        resource: ResourceId,
        lane: Option<&str>,
        demand: &Amounts,
    ) -> Option<Explanation> {
        let at = self.resources.get(resource.0 as usize).filter(|resource| !resource.gone)?;
        let found = at.lane(lane).and_then(|lane| self.lanes.get(lane));
        let declared = lane.and_then(|lane| at.declared(lane));
        let priority = declared.map_or(0, |declared| declared.priority);
        let virtual_time = found.map_or(0, |lane| lane.virtual_time).max(self.virtual_time);
        let pause = Pause::left(at.pause, self.now.clock);
        let draws = self.draws_of(resource.0, lane);
        let ahead = found.map_or(0, |lane| lane.queue.len() as u64);
        let head = found.and_then(Lane::head).and_then(|(_, ticket)| self.tickets.get(ticket));
        let head = head.map(|head| (head.id, self.now.clock.saturating_sub(head.since)));
        self.set_aside_before((Reverse(priority), virtual_time, signed(self.now.clock), u64::MAX));
        let mut limits: Vec<Binding> = draws
            .iter()
            .filter_map(|draw| self.binding(self.limits.get(draw.limit as usize)?, demand))
            .collect();
        limits.sort_by_key(|binding| Reverse(binding.ready_in));
        let fits = limits.iter().all(|binding| binding.ready_in == 0 && binding.wanted <= binding.most);
        let ready_in = limits.iter().map(|binding| binding.ready_in).max().unwrap_or(0).max(pause);
        Some(Explanation {
            goes: fits && pause == 0 && ahead == 0,
            ready_in,
            limits,
            ahead,
            head: head.map(|(id, _)| id),
            head_waited: head.map(|(_, waited)| waited),
            paused_for: (pause > 0).then_some(pause),
        })
    }

    fn binding(&self, limit: &Limit, demand: &Amounts) -> Option<Binding> {
        let wanted = demand.amount(limit.metric);
        if limit.spec.shadow || wanted == 0 {
            return None;
        }
        let aside = limit.aside(self.walks);
        let ready = limit.ready(self.now, signed(wanted) + aside);
        Some(Binding {
            limit: limit.spec.id.clone(),
            wanted,
            left: limit.left(self.now),
            set_aside: aside.unsigned_abs(),
            most: limit.most().unsigned_abs(),
            ready_in: ready.max(Pause::left(limit.pause, self.now.clock)),
        })
    }

    /// Iterates over the permits that are out, by session and number. Their ages are those of the last step.
    pub fn permits(&self) -> impl Iterator<Item = PermitView> + '_ {
        self.permits_from(TicketId::default())
    }

    /// Iterates over the permits that are out from an id on, by session and number.
    pub fn permits_from(&self, from: TicketId) -> impl Iterator<Item = PermitView> + '_ {
        self.spots.range(from..).filter_map(|(_, spot)| self.view_hold(*spot))
    }

    /// Iterates over the names of the metrics that the limits of a resource count.
    pub fn metrics_of(&self, resource: ResourceId) -> impl Iterator<Item = &str> {
        let limits =
            self.resources.get(resource.0 as usize).into_iter().flat_map(|resource| &resource.limits);
        limits.filter_map(|number| self.limits.get(*number as usize)).map(|limit| &*limit.spec.metric)
    }

    /// Returns a permit that is out. Its age is that of the last step.
    pub fn permit(&self, id: TicketId) -> Option<PermitView> {
        self.view_hold(*self.spots.get(&id)?)
    }

    fn view_hold(&self, spot: Spot) -> Option<PermitView> {
        let Spot::Held(hold) = spot else { return None };
        let hold = self.holds.get(hold)?;
        let extra = hold.extra.as_deref().into_iter().flat_map(Amounts::iter);
        let reserved = extra.fold(hold.reserved.clone(), |sum, (metric, extra)| {
            let amount = sum.amount(metric) + extra;
            sum.with(metric, amount)
        });
        Some(PermitView {
            id: hold.id,
            owner: hold.owner,
            resource: ResourceId(hold.resource),
            lane: hold.lane.clone(),
            age: self.now.clock.saturating_sub(hold.since),
            reserved,
        })
    }

    /// Returns the whole state as canonical text, an entity a line, sorted. Limits are shown as of the last step.
    pub fn dump(&mut self) -> String {
        self.bring_all();
        let mut lines: Vec<String> = Vec::new();
        lines.push(line(format_args!(
            "ledger clock={} wall={} arrivals={} generations={} virtual={}",
            self.now.clock, self.now.wall, self.arrivals, self.generations, self.virtual_time
        )));
        lines.extend(
            self.limits
                .iter()
                .filter(|limit| !limit.spec.members.is_empty())
                .map(|limit| self.dump_limit(limit)),
        );
        lines.extend(self.resources.iter().map(dump_resource));
        for (_, lane) in self.lanes.iter() {
            if !lane.queue.is_empty() || lane.virtual_time > self.virtual_time {
                lines.push(self.dump_lane(lane));
            }
        }
        lines.extend(self.tickets.iter().map(|(_, ticket)| {
            let lane = self.lanes.get(ticket.lane);
            line(format_args!(
                "ticket {} {} lane={} named={} rank={} arrival={} since={}{}",
                id(ticket.id),
                self.resource_name(lane.map_or(u32::MAX, |lane| lane.resource)),
                named(lane.and_then(|lane| lane.name.as_ref())),
                named(ticket.named.as_ref()),
                ticket.place.rank,
                ticket.place.arrival,
                ticket.since,
                self.dump_amounts(&ticket.demand)
            ))
        }));
        lines.extend(self.holds.iter().map(|(_, hold)| self.dump_hold(hold)));
        lines.extend(self.sessions.all.iter().map(|(session, state)| {
            line(format_args!(
                "session {} highest={} time_out={} expires={} dead={}",
                hex(*session),
                state.highest,
                duration(state.time_out.unwrap_or(NEVER)),
                if state.time_out.is_some() { state.expires } else { 0 },
                state.dead
            ))
        }));
        lines.sort_unstable();
        lines.join("\n")
    }

    fn dump_limit(&self, limit: &Limit) -> String {
        let mut text = line(format_args!(
            "limit {} generation={} amount={} most={} held={} back={} pause={} empty_at={} observed={}",
            limit.spec.id,
            limit.generation,
            limit.terms.amount,
            limit.terms.most,
            limit.held,
            limit.came_back,
            pause(limit.pause, self.now.clock),
            limit.empty_at.map(duration).join("/"),
            limit.observed.map_or(0, |(_, until)| until),
        ));
        let _ = match &limit.meter {
            Meter::Bucket(bucket) => {
                write!(text, " level={} rest={} fills={}", bucket.level, bucket.rest, bucket.fills)
            }
            Meter::Sliding(sliding) => {
                let slots = sliding.slots.iter().filter(|(_, count)| *count > 0);
                slots.into_iter().try_for_each(|(start, count)| write!(text, " {start}:{count}"))
            }
            Meter::Fixed(fixed) => write!(
                text,
                " start={} previous={} current={} next={}",
                fixed.start, fixed.previous, fixed.current, fixed.next
            ),
        };
        text
    }

    fn dump_lane(&self, lane: &Lane) -> String {
        line(format_args!(
            "lane {} {} priority={} weight={} virtual={} waiting={}",
            self.resource_name(lane.resource),
            named(lane.name.as_ref()),
            lane.priority,
            lane.weight,
            lane.virtual_time.max(self.virtual_time),
            lane.queue.len()
        ))
    }

    fn dump_hold(&self, hold: &crate::hold::Hold) -> String {
        let mut text = line(format_args!(
            "hold {} {} lane={} owner={} since={}{}",
            id(hold.id),
            self.resource_name(hold.resource),
            named(hold.lane.as_ref()),
            hex(hold.owner),
            hold.since,
            self.dump_amounts(&hold.reserved)
        ));
        if let Some(extra) = &hold.extra {
            let _ = write!(text, " extra{}", self.dump_amounts(extra));
        }
        let mut entries: Vec<_> = hold
            .entries
            .iter()
            .filter_map(|entry| {
                Some((&self.limits.get(entry.limit as usize)?.spec.id, entry.generation, entry.note))
            })
            .collect();
        entries.sort_unstable_by(|a, b| a.0.cmp(b.0));
        for (limit, generation, note) in entries {
            let (before, after) = (u8::from(note.before), u8::from(note.after));
            let _ = write!(text, " {limit}@{generation}:{}:{before}{after}", note.at);
        }
        text
    }

    fn dump_amounts(&self, amounts: &Amounts) -> String {
        let mut named: Vec<_> =
            amounts.iter().map(|(metric, amount)| (self.metric_name(metric), amount)).collect();
        named.sort_unstable();
        let mut text = String::new();
        for (metric, amount) in named {
            let _ = write!(text, " {metric}={amount}");
        }
        text
    }

    fn resource_name(&self, number: u32) -> &str {
        self.resources.get(number as usize).map_or("", |resource| &resource.spec.name)
    }
}

fn dump_resource(resource: &Resource) -> String {
    line(format_args!(
        "resource {} gone={} waiting={} in_flight={} pause={}",
        resource.spec.name,
        resource.gone,
        resource.waiting,
        resource.in_flight,
        resource.pause.map_or(0, |pause| if pause.until == NEVER { 0 } else { pause.until })
    ))
}

fn line(arguments: core::fmt::Arguments<'_>) -> String {
    alloc::fmt::format(arguments)
}

fn pause(pause: Option<Pause>, clock: Millis) -> String {
    match Pause::left(pause, clock) {
        0 => String::from("no"),
        left => duration(left),
    }
}

fn duration(millis: Millis) -> String {
    if millis == NEVER { String::from("never") } else { line(format_args!("{millis}")) }
}

fn id(ticket: TicketId) -> String {
    line(format_args!("{}/{}", hex(ticket.session), ticket.number))
}

fn hex(session: SessionId) -> String {
    line(format_args!("{:x}", session.0))
}

fn named(name: Option<&Name>) -> &str {
    name.map_or("-", |name| name)
}
