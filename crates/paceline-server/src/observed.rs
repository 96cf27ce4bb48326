//! What passes in sessions of SDKs: counted and told of as what comes by plain HTTP is.

use std::collections::HashMap;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use paceline::core::{Refusal, SessionId, TicketId};
use paceline::remote::Observer;
use paceline::wire::{Answer, Asked, Batch, Decided, Entry, On, Push, Reply, Status};
use paceline::{Name, PermitId};
use serde_json::json;

use crate::app::App;
use crate::kind::Kind;
use crate::meters::{Moved, ResourceMeters};

/// How many tickets and sessions are remembered at least.
const KEPT: usize = 65_536;

/// What was seen of late, and what was before that. The oldest is forgotten when there is too much.
struct Recent<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
}

impl<K: std::hash::Hash + Eq, V> Recent<K, V> {
    fn put(&mut self, key: K, value: V) {
        if self.young.len() >= KEPT {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }

    fn get(&self, key: &K) -> Option<&V> {
        self.young.get(key).or_else(|| self.old.get(key))
    }

    fn take(&mut self, key: &K) -> Option<V> {
        self.young.remove(key).or_else(|| self.old.remove(key))
    }
}

impl<K, V> Default for Recent<K, V> {
    fn default() -> Self {
        Self { young: HashMap::new(), old: HashMap::new() }
    }
}

/// What is remembered of sessions, whichever connection they come by.
#[derive(Default)]
pub(crate) struct Sessions {
    /// The tickets that wait.
    waiting: Recent<TicketId, Waits>,
    /// The number of the last batch: one that comes again is counted once.
    batches: Recent<SessionId, u64>,
}

struct Waits {
    resource: Name,
    meters: Arc<ResourceMeters>,
}

/// Counts what passes.
pub(crate) struct Observed(pub(crate) Arc<App>);

impl Observer for Observed {
    fn answered(&self, ledger: &str, batch: &Batch<'_>, reply: &Reply) {
        let Some(session) = batch.header.session.filter(|_| reply.status == Status::Ok) else { return };
        {
            let mut sessions = self.sessions();
            if sessions.batches.get(&session).is_some_and(|last| batch.header.n <= *last) {
                return;
            }
            sessions.batches.put(session, batch.header.n);
        }
        for (asked, answer) in batch.commands.iter().zip(&reply.outcomes) {
            self.command(ledger, session, asked, answer);
        }
        self.decided(ledger, session, &reply.outbox);
    }

    fn pushed(&self, ledger: &str, push: &Push) {
        self.decided(ledger, push.session, &push.outbox);
    }
}

impl Observed {
    fn sessions(&self) -> std::sync::MutexGuard<'_, Sessions> {
        self.0.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn command(&self, ledger: &str, session: SessionId, asked: &Asked<'_>, answer: &Answer) {
        match asked {
            Asked::Acquire { session: of, number, resource, .. } => {
                let ticket = TicketId { session: of.unwrap_or(session), number: *number };
                self.acquire(ledger, ticket, resource, answer);
            }
            Asked::Settle { session: of, number, .. } | Asked::Cancel { session: of, number } => {
                self.ended(ledger, TicketId { session: of.unwrap_or(session), number: *number }, answer);
            }
            Asked::Amend { .. } => self.moved(ledger, answer),
            Asked::Pause { on, lasting, refuse } if *answer == Answer::Done => {
                if lasting.is_some() && !refuse {
                    self.0.meters.provider_refusals.fetch_add(1, Relaxed);
                }
                let lasting = lasting.map(|ms| Duration::from_millis(ms).as_secs_f64());
                let target = target(on);
                self.0.feed.offer("paused", || {
                    (Some(target.into()), json!({"target": target, "lasting_seconds": lasting}))
                });
            }
            Asked::Resume { on } if *answer == Answer::Done => {
                let target = target(on);
                self.0.feed.offer("resumed", || (Some(target.into()), json!({"target": target})));
            }
            _ => {}
        }
    }

    fn acquire(&self, ledger: &str, ticket: TicketId, resource: &str, answer: &Answer) {
        // Names that mean nothing are not counted: there is no end of them.
        let meters = match answer {
            Answer::Refused(Refusal::NoResource, _) => return,
            Answer::Granted | Answer::Queued { .. } | Answer::Refused(..) => {
                self.0.meters.of_resource(resource)
            }
            _ => return,
        };
        match answer {
            Answer::Granted => self.granted(ledger, ticket, &meters, resource.into(), Duration::ZERO),
            Answer::Queued { ahead } => {
                let waits = Waits { resource: resource.into(), meters };
                self.sessions().waiting.put(ticket, waits);
                self.0.feed.offer("queued", || {
                    let ticket = id(ledger, ticket);
                    (Some(resource.into()), json!({"ticket": ticket, "resource": resource, "ahead": ahead}))
                });
            }
            Answer::Refused(refusal, _) => self.refused(&meters, resource.into(), refusal),
            _ => {}
        }
    }

    fn ended(&self, ledger: &str, ticket: TicketId, answer: &Answer) {
        match answer {
            Answer::Settled { returned, charged } => {
                self.0.meters.settles.fetch_add(1, Relaxed);
                self.moved(ledger, answer);
                self.0.feed.offer("settled", || {
                    let permit = id(ledger, ticket);
                    let (returned, charged) = (crate::feed::amounts(returned), crate::feed::amounts(charged));
                    (None, json!({"permit": permit, "returned": returned, "charged": charged}))
                });
            }
            Answer::Cancelled => {
                let resource = self.sessions().waiting.take(&ticket).map(|waits| waits.resource);
                self.0.feed.offer("cancelled", || (resource, json!({"ticket": id(ledger, ticket)})));
            }
            _ => {}
        }
    }

    fn moved(&self, ledger: &str, answer: &Answer) {
        let (Answer::Settled { returned, charged } | Answer::Amended { returned, charged }) = answer else {
            return;
        };
        for (metric, amount) in returned {
            self.0.meters.moved(Moved::Returned, ledger, metric, *amount);
        }
        for (metric, amount) in charged {
            self.0.meters.moved(Moved::Charged, ledger, metric, *amount);
        }
    }

    /// Takes in what an outbox tells, each once: what it tells again waits no longer.
    fn decided(&self, ledger: &str, session: SessionId, outbox: &[Entry]) {
        for entry in outbox {
            let (Decided::Granted { number, .. } | Decided::Refused { number, .. }) = &entry.decided else {
                continue;
            };
            let ticket = TicketId { session, number: *number };
            let Some(Waits { resource, meters }) = self.sessions().waiting.take(&ticket) else { continue };
            match &entry.decided {
                Decided::Granted { waited, .. } => {
                    self.granted(ledger, ticket, &meters, resource, Duration::from_millis(*waited));
                }
                Decided::Refused { refusal, .. } => self.refused(&meters, resource, refusal),
                _ => {}
            }
        }
    }

    fn granted(
        &self,
        ledger: &str,
        ticket: TicketId,
        meters: &ResourceMeters,
        resource: Name,
        waited: Duration,
    ) {
        meters.granted(waited);
        self.0.feed.offer("granted", || {
            let permit = id(ledger, ticket);
            let data =
                json!({"permit": permit, "resource": &*resource, "waited_seconds": waited.as_secs_f64()});
            (Some(resource), data)
        });
    }

    fn refused(&self, meters: &ResourceMeters, resource: Name, refusal: &Refusal) {
        let kind = Kind::of(refusal);
        meters.refused(kind);
        self.0.feed.offer("refused", || {
            let data = json!({"resource": &*resource, "reason": kind.title()});
            (Some(resource), data)
        });
    }
}

fn id(ledger: &str, ticket: TicketId) -> String {
    PermitId::new(ledger, ticket).to_string()
}

fn target<'a>(on: &On<'a>) -> &'a str {
    let (On::Resource(name) | On::Limit(name)) = *on;
    name
}
