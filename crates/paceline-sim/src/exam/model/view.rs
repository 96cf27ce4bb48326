//! The model as a subject: its steps, and what can be seen of it.

use std::collections::{BTreeMap, BTreeSet};

use paceline_core::{Decision, Millis, NEVER};

use super::Model;
use crate::exam::ask::{Answer, Ask, LimitFacts, On, ResourceFacts, Subject, View};

impl Subject for Model {
    fn batch(&mut self, now: Millis, asks: &[Ask]) -> Vec<Answer> {
        self.begin_step(now);
        if asks.is_empty() {
            self.walk(None);
        }
        let mut answers = Vec::new();
        for ask in asks {
            let answer = self.obey(ask);
            answers.push(answer);
        }
        answers
    }

    fn next_wakeup(&mut self) -> Option<Millis> {
        self.due().map(|due| Millis::try_from(due).unwrap_or(NEVER))
    }

    fn drain(&mut self) -> Vec<Decision> {
        std::mem::take(&mut self.decided)
    }

    fn view(&mut self, _: Millis) -> View {
        let millis = |left: i128| Millis::try_from(left).unwrap_or(NEVER);
        let limits = self.limits.iter().map(|(name, limit)| {
            let held = self.held(name);
            let facts = LimitFacts {
                left: i64::try_from(limit.available(self.now, 0, held)).unwrap_or(i64::MIN),
                held: if limit.is_concurrency() { 0 } else { u64::try_from(held).unwrap_or(0) },
                amount: u64::try_from(limit.amount()).unwrap_or(0),
                most: u64::try_from(limit.most()).unwrap_or(0),
                paused: self.pause_left(&On::Limit(name.clone())).map(millis),
            };
            (name.clone(), facts)
        });
        let seen: BTreeSet<&String> =
            self.resources.keys().chain(self.holds.iter().map(|hold| &hold.resource)).collect();
        let resources = seen.into_iter().map(|name| {
            let mut lanes = BTreeMap::new();
            for ticket in self.tickets.iter().filter(|ticket| ticket.resource == *name) {
                *lanes.entry(ticket.lane.1.clone()).or_insert(0) += 1;
            }
            let facts = ResourceFacts {
                waiting: lanes.values().sum(),
                in_flight: self.holds.iter().filter(|hold| hold.resource == *name).count() as u64,
                paused: self.pause_left(&On::Resource(name.clone())).map(millis),
                lanes,
            };
            (name.clone(), facts)
        });
        View { limits: limits.collect(), resources: resources.collect() }
    }

    fn dump(&mut self) -> Option<String> {
        None
    }
}
