//! Frames: everything at one instant, written once, with what changed since which frame.

use std::collections::BTreeMap;
use std::sync::Arc;

use paceline::core::{LimitView, ResourceView};
use paceline::{AccountSnapshot, Name};
use serde::Serialize;
use utoipa::ToSchema;

use super::Notes;
use super::held_up::{HeldUp, HeldUpBody};
use super::rates::{Pace, Rates};
use crate::access::Caller;
use crate::api::views::{ResourceBody, seconds};
use crate::app::App;
use crate::clock;

/// Everything at one instant.
#[derive(Debug, Default)]
pub(crate) struct Frame {
    pub(crate) number: u64,
    at_ms: u64,
    /// The frame since which the names are the same.
    shape: u64,
    /// Why what is shown is old.
    trouble: Option<Arc<str>>,
    /// The frame since which that is so.
    troubled: u64,
    resources: BTreeMap<Name, Seen>,
}

/// A resource as it is shown, and since which frame.
#[derive(Debug, Clone)]
struct Seen {
    since: u64,
    json: Arc<str>,
}

/// A resource as those see it who watch.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Watched)]
pub(crate) struct WatchedBody {
    #[serde(flatten)]
    resource: ResourceBody,
    /// Permits granted a second, over the last ten seconds.
    grants_per_second: f64,
    /// Callers refused a second, over the last ten seconds.
    refusals_per_second: f64,
    /// How long half of those waited at most that were granted in the last ten seconds; known to within a fifth.
    wait_p50_seconds: Option<f64>,
    /// How long 95 of 100 of them waited at most.
    wait_p95_seconds: Option<f64>,
    /// How long the longest of them waited.
    wait_max_seconds: Option<f64>,
    /// When this server refused somebody last, and why.
    refused: Option<RefusedBody>,
    /// Why it is paused, where the one who paused it over this server said it.
    pause_reason: Option<String>,
    /// What holds up each lane that waits.
    held_up: Vec<HeldUpBody>,
}

/// A refusal.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Refused)]
struct RefusedBody {
    /// When it was, by RFC 3339.
    at: String,
    /// Why.
    reason: String,
}

/// What an event of the watch says.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Watch)]
pub(crate) struct WatchBody {
    /// When it was, by RFC 3339.
    at: String,
    /// Why what is shown is old: the store cannot be reached.
    trouble: Option<String>,
    /// All resources in an event `snapshot`, those that changed in an event `changes`.
    resources: Vec<WatchedBody>,
}

impl Frame {
    /// Returns the frame after this one.
    pub(super) fn next(
        &self,
        app: &App,
        accounts: &[AccountSnapshot],
        rates: &Rates,
        held_up: &HeldUp,
    ) -> Self {
        let number = self.number + 1;
        let mut resources = BTreeMap::new();
        {
            let notes = app.lookout.notes();
            for account in accounts {
                for resource in &account.ledger.resources {
                    let notes = notes.get(&resource.name);
                    let body = watched(app, resource, &account.ledger.limits, rates, held_up, notes);
                    // Of plain fields, it can always be written.
                    let json = serde_json::to_string(&body).unwrap_or_default();
                    let same = self.resources.get(&resource.name).filter(|seen| *seen.json == json).cloned();
                    let seen = same.unwrap_or_else(|| Seen { since: number, json: json.into() });
                    resources.insert(Name::clone(&resource.name), seen);
                }
            }
        }
        let same = self.number > 0 && resources.keys().eq(self.resources.keys());
        let shape = if same { self.shape } else { number };
        let troubled = if self.trouble.is_some() { number } else { self.troubled };
        Self { number, at_ms: clock::unix_ms(), shape, trouble: None, troubled, resources }
    }

    /// Returns the same frame as one that is old.
    pub(super) fn in_trouble(&self, why: String) -> Self {
        let number = self.number + 1;
        Self {
            number,
            at_ms: self.at_ms,
            shape: self.shape,
            troubled: if self.trouble.as_deref() == Some(why.as_str()) { self.troubled } else { number },
            trouble: Some(why.into()),
            resources: self.resources.clone(),
        }
    }

    /// Returns the name and the data of the event that tells a caller what changed since a frame, if anything did.
    pub(crate) fn told(&self, since: Option<u64>, caller: &Caller) -> Option<(&'static str, String)> {
        let since = since.filter(|since| *since >= self.shape);
        let seen = self.resources.iter().filter(|(name, _)| caller.sees(name));
        let changed = seen.filter(|(_, seen)| since.is_none_or(|since| seen.since > since));
        let mut data = String::with_capacity(1 << 10);
        data.push_str("{\"at\":\"");
        data.push_str(&clock::written(self.at_ms));
        data.push_str("\",\"trouble\":");
        data.push_str(&serde_json::to_string(&self.trouble.as_deref()).unwrap_or_default());
        data.push_str(",\"resources\":[");
        let mut count = 0;
        for (_, seen) in changed {
            if count > 0 {
                data.push(',');
            }
            data.push_str(&seen.json);
            count += 1;
        }
        data.push_str("]}");
        let news = count > 0 || since.is_none_or(|since| self.troubled > since);
        news.then_some((if since.is_none() { "snapshot" } else { "changes" }, data))
    }
}

fn watched(
    app: &App,
    resource: &ResourceView,
    limits: &[LimitView],
    rates: &Rates,
    held_up: &HeldUp,
    notes: Option<&Notes>,
) -> WatchedBody {
    let (owner, configuration) = app.catalog.owner(&resource.name);
    let mut body = ResourceBody::of(resource, limits, owner);
    body.configuration = configuration;
    let Pace { grants_per_second, refusals_per_second, p50, p95, longest, .. } =
        rates.of_late(&resource.name);
    let refused = notes.and_then(|notes| notes.refused.as_ref());
    let is_paused = resource.paused_for.is_some();
    WatchedBody {
        resource: body,
        grants_per_second,
        refusals_per_second,
        wait_p50_seconds: p50.and_then(seconds),
        wait_p95_seconds: p95.and_then(seconds),
        wait_max_seconds: longest.and_then(seconds),
        refused: refused.map(|(at, reason)| RefusedBody { at: clock::written(*at), reason: reason.clone() }),
        pause_reason: notes.and_then(|notes| notes.pause_reason.clone()).filter(|_| is_paused),
        held_up: held_up.lanes(&resource.name).to_vec(),
    }
}
