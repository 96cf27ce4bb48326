//! A store on Redis, looked at from outside.

use paceline::core::NEVER;
use paceline::inspect::{LaneRow, LedgerState, LimitRow, ResourceRow, Store};
use paceline::manage::Target;
use paceline::{Name, Pause};
use std::time::Duration;

use super::{Follow, Order, Source};
use crate::clock;
use crate::failure::Failure;
use crate::top::sample::{Lane, Ledger, Limit, Resource, Sample};

/// Returns a source on Redis, under a prefix of its keys.
pub(super) fn open(url: &str, prefix: &str) -> Result<Box<dyn Source>, Failure> {
    let store = Store::open(url, prefix)?;
    Ok(Box::new(Redis { store, prefix: prefix.to_owned(), ledgers: Vec::new(), looks: 0 }))
}

struct Redis {
    store: Store,
    prefix: String,
    ledgers: Vec<Name>,
    looks: u64,
}

/// After how many looks the names of ledgers are looked for again, which goes through all keys of the server.
const ANEW: u64 = 30;

impl Source for Redis {
    fn place(&self) -> String {
        let usual = self.prefix == "paceline:";
        if usual { self.store.url().to_owned() } else { format!("{} {}", self.store.url(), self.prefix) }
    }

    fn look(&mut self) -> Result<Sample, Failure> {
        if self.ledgers.is_empty() || self.looks.is_multiple_of(ANEW) {
            self.ledgers = self.store.ledgers().wait()?;
        }
        self.looks += 1;
        let mut ledgers = Vec::new();
        for name in &self.ledgers {
            ledgers.extend(self.store.glance(name).wait()?.map(|state| ledger(&state)));
        }
        if ledgers.len() < self.ledgers.len() {
            self.ledgers.clear();
        }
        Ok(Sample { at: clock::written(clock::unix_ms()), ledgers })
    }

    fn order(&mut self, order: &Order) -> Result<(), Failure> {
        let target = Target::Resource(order.resource());
        let ledger = self.store.ledger_of(target)?;
        match order {
            Order::Pause { .. } => self.store.pause(&ledger, target, Pause::until_resumed()).wait()?,
            Order::Resume { .. } => self.store.resume(&ledger, target).wait()?,
        }
        Ok(())
    }

    fn follow(&self) -> Result<Option<Box<dyn Follow>>, Failure> {
        Ok(None)
    }
}

fn ledger(state: &LedgerState) -> Ledger {
    let held_off = state.held_off.as_secs_f64();
    Ledger {
        name: state.name.to_string(),
        resources: state.resources.iter().map(|row| resource(row, &state.limits)).collect(),
        held_off_seconds: (held_off > 0.0).then_some(held_off),
    }
}

fn resource(row: &ResourceRow, limits: &[LimitRow]) -> Resource {
    Resource {
        name: row.name.to_string(),
        waiting: row.waiting,
        in_flight: row.in_flight,
        paused: row.paused_for.is_some(),
        paused_for_seconds: row.paused_for.and_then(seconds),
        limits: limits.iter().filter(|limit| row.limits.contains(&limit.name)).map(limit).collect(),
        lanes: row.lanes.iter().map(lane).collect(),
    }
}

fn limit(row: &LimitRow) -> Limit {
    Limit {
        name: row.name.to_string(),
        metric: row.metric.to_string(),
        amount: row.amount,
        window_seconds: seconds(row.window).filter(|window| *window > 0.0),
        most: row.most,
        used: row.used,
        held: row.held,
        left: row.left,
        full_in_seconds: seconds(row.full_in),
        paused: row.paused_for.is_some(),
        paused_for_seconds: row.paused_for.and_then(seconds),
        shadow: row.shadow,
        came_back: Some(row.came_back),
    }
}

fn lane(row: &LaneRow) -> Lane {
    Lane {
        name: row.name.as_deref().map(str::to_owned),
        waiting: row.waiting,
        oldest_seconds: row.oldest.and_then(seconds),
        granted: row.granted,
        demand: row.demand.iter().map(|(metric, sum)| (metric.to_string(), *sum)).collect(),
    }
}

fn seconds(ms: u64) -> Option<f64> {
    (ms != NEVER).then(|| Duration::from_millis(ms).as_secs_f64())
}
