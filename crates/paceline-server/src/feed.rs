//! What happened, for those who look on: a ring of events with ascending ids, from which a reader goes on where it was.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use paceline::{Event, Events, Name};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::clock;

/// An event as readers get it.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) number: u64,
    pub(crate) name: &'static str,
    /// The resource that it is about, if it is about one.
    pub(crate) resource: Option<Name>,
    pub(crate) data: String,
}

/// The last events, and how readers learn of more.
pub(crate) struct Feed {
    /// What tells the ids of this process from those of another.
    run: u64,
    ring: Mutex<VecDeque<Arc<Item>>>,
    last: watch::Sender<u64>,
    offered: Mutex<Offered>,
}

/// How many events of callers there were in this second, and how many of them were too many.
#[derive(Default)]
struct Offered {
    second: u64,
    taken: u64,
    left_out: u64,
}

/// How many events are kept for readers who come back.
pub(crate) const KEPT: usize = 4_096;

/// How many events of callers are told in a second at most.
const MOST_A_SECOND: u64 = 2_000;

impl Feed {
    pub(crate) fn new() -> Self {
        Self {
            run: clock::unix_ms(),
            ring: Mutex::default(),
            last: watch::Sender::new(0),
            offered: Mutex::default(),
        }
    }

    /// Adds an event.
    pub(crate) fn put(&self, name: &'static str, resource: Option<Name>, mut data: Value) {
        if let Some(data) = data.as_object_mut() {
            data.insert("at".to_owned(), json!(clock::written(clock::unix_ms())));
        }
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let number = *self.last.borrow() + 1;
        if ring.len() == KEPT {
            ring.pop_front();
        }
        ring.push_back(Arc::new(Item { number, name, resource, data: data.to_string() }));
        drop(ring);
        self.last.send_replace(number);
    }

    /// Adds an event that is one of very many, of which so many a second are told; then how many were left out.
    pub(crate) fn offer(&self, name: &'static str, told: impl FnOnce() -> (Option<Name>, Value)) {
        if self.has_room() {
            let (resource, data) = told();
            self.put(name, resource, data);
        }
    }

    /// Whether one more of very many may be added in this second.
    fn has_room(&self) -> bool {
        let left_out = {
            let mut offered = self.offered.lock().unwrap_or_else(PoisonError::into_inner);
            let second = clock::unix_ms() / 1_000;
            let mut left_out = 0;
            if offered.second != second {
                left_out = std::mem::take(&mut *offered).left_out;
                offered.second = second;
            }
            offered.taken += 1;
            if offered.taken > MOST_A_SECOND {
                offered.left_out += 1;
                return false;
            }
            left_out
        };
        if left_out > 0 {
            self.put("lost", None, json!({"events": left_out}));
        }
        true
    }

    /// Returns the id of an event.
    pub(crate) fn id(&self, number: u64) -> String {
        format!("{:x}-{number}", self.run)
    }

    /// Returns after which event a reader goes on who knows this id: from the oldest kept where it is of another run.
    pub(crate) fn after(&self, id: &str) -> u64 {
        let known = id.split_once('-').filter(|(run, _)| *run == format!("{:x}", self.run));
        known.and_then(|(_, number)| number.parse().ok()).unwrap_or(0)
    }

    /// Returns the number of the last event, and word of those that follow.
    pub(crate) fn last(&self) -> watch::Receiver<u64> {
        self.last.subscribe()
    }

    /// Returns the events after this one, some at a time, and how many were lost in between.
    pub(crate) fn since(&self, number: u64) -> (Vec<Arc<Item>>, u64) {
        const AT_ONCE: usize = 256;
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let first = ring.front().map_or(number + 1, |item| item.number);
        let lost = first.saturating_sub(number + 1);
        let skipped = usize::try_from((number + 1).saturating_sub(first)).unwrap_or(usize::MAX);
        (ring.iter().skip(skipped).take(AT_ONCE).cloned().collect(), lost)
    }

    /// Takes in what a limiter tells, until it is closed, and lets `hear` know as well. It reads in gulps, so that telling stays cheap.
    pub(crate) async fn follow(&self, mut events: Events, hear: impl Fn(&Event)) {
        while let Some(event) = events.next().await {
            hear(&event);
            self.tell(&event);
            while let Some(event) = events.try_next() {
                hear(&event);
                self.tell(&event);
            }
            tokio::time::sleep(GULP).await;
        }
    }

    fn tell(&self, event: &Event) {
        let of_callers = matches!(
            event,
            Event::Queued { .. }
                | Event::Granted { .. }
                | Event::Refused { .. }
                | Event::Cancelled { .. }
                | Event::Settled { .. }
        );
        if of_callers && !self.has_room() {
            return;
        }
        if let Some((name, resource, data)) = told(event) {
            self.put(name, resource, data);
        }
    }
}

const GULP: Duration = Duration::from_millis(10);

type Told = (&'static str, Option<Name>, Value);

fn told(event: &Event) -> Option<Told> {
    let of = |resource: &Name| Some(Name::clone(resource));
    Some(match event {
        Event::Queued { permit, resource, ahead } => (
            "queued",
            of(resource),
            json!({"ticket": permit.to_string(), "resource": &**resource, "ahead": ahead}),
        ),
        Event::Granted { permit, resource, waited } => {
            let data = json!({
                "permit": permit.to_string(), "resource": &**resource, "waited_seconds": waited.as_secs_f64(),
            });
            ("granted", of(resource), data)
        }
        Event::Refused { resource, error } => {
            ("refused", of(resource), json!({"resource": &**resource, "reason": error.to_string()}))
        }
        Event::Cancelled { permit } => ("cancelled", None, json!({"ticket": permit.to_string()})),
        Event::Settled { permit, returned, charged } => {
            let data = json!({
                "permit": permit.to_string(), "returned": amounts(returned), "charged": amounts(charged),
            });
            ("settled", None, data)
        }
        Event::LeaseEnded { permit } => ("lease-ended", None, json!({"permit": permit.to_string()})),
        Event::LongWait { resource, waited, limit } => {
            let data = json!({
                "resource": &**resource, "waited_seconds": waited.as_secs_f64(), "limit": limit.as_deref(),
            });
            ("long-wait", of(resource), data)
        }
        Event::NearLimit(near) => {
            let data = json!({
                "limit": &*near.limit, "metric": &*near.metric, "used": near.used, "most": near.most,
                "warn_at": f64::from(near.warn_at.as_hundredths()) / 10_000.0,
            });
            ("near-limit", None, data)
        }
        Event::NoLongerNear { limit } => ("no-longer-near", None, json!({"limit": &**limit})),
        Event::Paused { target, lasting } => {
            let lasting = lasting.map(|lasting| lasting.as_secs_f64());
            ("paused", of(target), json!({"target": &**target, "lasting_seconds": lasting}))
        }
        Event::Resumed { target } => ("resumed", of(target), json!({"target": &**target})),
        other => return told_of_store(other),
    })
}

fn told_of_store(event: &Event) -> Option<Told> {
    Some(match event {
        Event::Configured => ("configured", None, json!({})),
        Event::ConfigurationRefused { error } => {
            ("configuration-refused", None, json!({"reason": error.to_string()}))
        }
        Event::StoreLost { url, reason } => ("store-lost", None, json!({"store": url, "reason": reason})),
        Event::StoreBack { url } => ("store-back", None, json!({"store": url})),
        Event::StateLost { ledger } => ("state-lost", None, json!({"ledger": &**ledger})),
        Event::SessionExpired { ledger } => ("session-expired", None, json!({"ledger": &**ledger})),
        Event::ConfigurationDiffers { ledger, resource } => {
            let data = json!({"ledger": &**ledger, "resource": &**resource});
            ("configuration-differs", Some(Name::clone(resource)), data)
        }
        Event::Lost(count) => ("lost", None, json!({"events": count})),
        _ => return None,
    })
}

pub(crate) fn amounts(amounts: &[(Name, u64)]) -> Value {
    amounts
        .iter()
        .map(|(metric, amount)| (metric.to_string(), json!(amount)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_goes_on_where_it_was_and_learns_what_it_missed() {
        let feed = Feed::new();
        for _ in 0..3 {
            feed.put("granted", None, json!({}));
        }
        let (items, lost) = feed.since(feed.after(&feed.id(1)));
        assert_eq!((items.iter().map(|item| item.number).collect::<Vec<_>>(), lost), (vec![2, 3], 0));
        assert_eq!(feed.after("another-2"), 0);
        for _ in 0..KEPT {
            feed.put("settled", None, json!({}));
        }
        assert_eq!(feed.since(1).1, 2, "the second and third are gone");
        assert_eq!(feed.since(feed.after(&feed.id(4_099))).0.len(), 0);
    }
}
