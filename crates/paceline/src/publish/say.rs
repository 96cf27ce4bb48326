//! What readers get: the shapes of `GET /v1/snapshot` and `GET /v1/events` of a control plane.

use paceline_core::{LaneView, LimitView, Millis, NEVER, Name, ResourceView, Snapshot};
use serde_json::{Map, Value, json};

use crate::Error;
use crate::clock::Clock;
use crate::events::Event;
use crate::limiter::Limiter;

/// Returns what the limiters see, each ledger once.
pub(super) async fn snapshot(limiters: &[Limiter]) -> Result<Value, Error> {
    let mut ledgers: Vec<Value> = Vec::new();
    for (at, limiter) in limiters.iter().enumerate() {
        let same: Vec<&Limiter> =
            limiters.iter().take(at).filter(|other| other.shares_store(limiter)).collect();
        for account in limiter.snapshot().await? {
            if !same.iter().any(|other| other.has_account(&account.name)) {
                ledgers.push(ledger(&account.name, &account.ledger));
            }
        }
    }
    Ok(json!({"at": written(Clock::System.now_ms()), "ledgers": ledgers}))
}

fn ledger(name: &str, snapshot: &Snapshot) -> Value {
    let resources = snapshot.resources.iter().map(|it| resource(it, &snapshot.limits)).collect::<Vec<_>>();
    json!({"name": name, "resources": resources})
}

fn resource(view: &ResourceView, limits: &[LimitView]) -> Value {
    let drawn = limits.iter().filter(|limit| view.limits.contains(&limit.name));
    json!({
        "name": &*view.name,
        "waiting": view.waiting,
        "in_flight": view.in_flight,
        "paused": view.paused_for.is_some(),
        "paused_for_seconds": view.paused_for.and_then(seconds),
        "limits": drawn.map(limit).collect::<Vec<_>>(),
        "lanes": view.lanes.iter().map(lane).collect::<Vec<_>>(),
    })
}

fn limit(view: &LimitView) -> Value {
    json!({
        "name": &*view.name,
        "metric": &*view.metric,
        "amount": view.amount,
        "window_seconds": seconds(view.window).filter(|window| *window > 0.0),
        "most": view.most,
        "used": view.used,
        "held": view.held,
        "left": view.left,
        "full_in_seconds": seconds(view.full_in),
        "paused": view.paused_for.is_some(),
        "paused_for_seconds": view.paused_for.and_then(seconds),
        "shadow": view.shadow,
        "came_back": view.came_back,
    })
}

fn lane(view: &LaneView) -> Value {
    json!({
        "name": view.name.as_deref(),
        "waiting": view.waiting,
        "oldest_seconds": view.oldest.and_then(seconds),
        "granted": view.granted,
    })
}

/// Returns an event as a line says it; some are of no use to readers.
pub(super) fn event(event: &Event) -> Option<Value> {
    let (name, mut data) = of_callers(event).or_else(|| of_stores(event))?;
    if let Some(data) = data.as_object_mut() {
        data.insert("at".to_owned(), json!(written(Clock::System.now_ms())));
    }
    Some(json!({"event": name, "data": data}))
}

fn of_callers(event: &Event) -> Option<(&'static str, Value)> {
    Some(match event {
        Event::Queued { permit, resource, ahead } => {
            ("queued", json!({"ticket": permit.to_string(), "resource": &**resource, "ahead": ahead}))
        }
        Event::Granted { permit, resource, waited } => (
            "granted",
            json!({"permit": permit.to_string(), "resource": &**resource, "waited_seconds": waited.as_secs_f64()}),
        ),
        Event::Refused { resource, error } => {
            ("refused", json!({"resource": &**resource, "reason": error.to_string()}))
        }
        Event::Cancelled { permit } => ("cancelled", json!({"ticket": permit.to_string()})),
        Event::Settled { permit, returned, charged } => (
            "settled",
            json!({"permit": permit.to_string(), "returned": amounts(returned), "charged": amounts(charged)}),
        ),
        Event::LeaseEnded { permit } => ("lease-ended", json!({"permit": permit.to_string()})),
        Event::LongWait { resource, waited, limit } => (
            "long-wait",
            json!({"resource": &**resource, "waited_seconds": waited.as_secs_f64(), "limit": limit.as_deref()}),
        ),
        Event::Paused { target, lasting } => (
            "paused",
            json!({"target": &**target, "lasting_seconds": lasting.map(|lasting| lasting.as_secs_f64())}),
        ),
        Event::Resumed { target } => ("resumed", json!({"target": &**target})),
        _ => return None,
    })
}

fn of_stores(event: &Event) -> Option<(&'static str, Value)> {
    Some(match event {
        Event::Configured => ("configured", json!({})),
        Event::ConfigurationRefused { error } => {
            ("configuration-refused", json!({"reason": error.to_string()}))
        }
        Event::NearLimit(near) => (
            "near-limit",
            json!({"limit": &*near.limit, "metric": &*near.metric, "used": near.used, "most": near.most}),
        ),
        Event::NoLongerNear { limit } => ("no-longer-near", json!({"limit": &**limit})),
        Event::StoreLost { url, reason } => ("store-lost", json!({"store": url, "reason": reason})),
        Event::StoreBack { url } => ("store-back", json!({"store": url})),
        Event::StateLost { ledger } => ("state-lost", json!({"ledger": &**ledger})),
        Event::SessionExpired { ledger } => ("session-expired", json!({"ledger": &**ledger})),
        Event::ConfigurationDiffers { ledger, resource } => {
            ("configuration-differs", json!({"ledger": &**ledger, "resource": &**resource}))
        }
        Event::Lost(count) => ("lost", json!({"events": count})),
        _ => return None,
    })
}

fn amounts(amounts: &[(Name, u64)]) -> Value {
    amounts.iter().map(|(metric, amount)| (metric.to_string(), json!(amount))).collect::<Map<_, _>>().into()
}

fn seconds(ms: Millis) -> Option<f64> {
    (ms != NEVER).then(|| std::time::Duration::from_millis(ms).as_secs_f64())
}

fn written(unix_ms: Millis) -> String {
    let at = i64::try_from(unix_ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    at.map_or_else(|| unix_ms.to_string(), |at| at.to_string())
}
