//! Samples of made-up stores, for tests.

use super::sample::{Lane, Ledger, Limit, Resource, Sample};

/// Returns a limit of which so much is used; its name gets that of its resource in front.
pub(crate) fn limit(name: &str, amount: u64, window: Option<f64>, used: u64) -> Limit {
    Limit {
        name: name.to_owned(),
        metric: if name.starts_with("tokens") { "tokens" } else { name.split("_per").next().unwrap_or(name) }
            .to_owned(),
        amount,
        window_seconds: window,
        most: amount,
        used,
        left: i64::try_from(amount).unwrap() - i64::try_from(used).unwrap(),
        full_in_seconds: window
            .map(|window| window * super::sample::count(used) / super::sample::count(amount)),
        ..Limit::default()
    }
}

/// Returns a lane.
pub(crate) fn lane(name: Option<&str>, waiting: u64, granted: u64) -> Lane {
    let oldest_seconds = (waiting > 0).then_some(9.2);
    Lane { name: name.map(str::to_owned), waiting, oldest_seconds, granted, demand: Vec::new() }
}

/// Returns a resource.
pub(crate) fn resource(name: &str, mut limits: Vec<Limit>, lanes: Vec<Lane>) -> Resource {
    for limit in &mut limits {
        limit.name = format!("{name}/{}", limit.name);
    }
    let waiting = lanes.iter().map(|lane| lane.waiting).sum();
    Resource { name: name.to_owned(), waiting, limits, lanes, ..Resource::default() }
}

/// Returns a store of one ledger.
pub(crate) fn of(resources: Vec<Resource>) -> Sample {
    let ledger = Ledger { name: "default".to_owned(), resources, held_off_seconds: None };
    Sample { at: "2026-11-22T12:31:04.250Z".to_owned(), ledgers: vec![ledger] }
}
