//! What fuzzers reach of requests.

use axum::extract::Query;
use axum::http::Uri;
use serde::de::DeserializeOwned;

use super::bodies::{
    AcquireBody, AmendBody, ExplainQuery, PauseBody, PollQuery, PurgeBody, RecordBody, RenewBody, UsageBody,
};
use super::keys::KeyBody;

/// Reads a body as each of those that there are.
pub(crate) fn read_bodies(bytes: &[u8]) {
    with::<AcquireBody>(bytes, |body| {
        let _ = (body.demand(), body.wait(), body.lease(), body.timeout());
        let _ = (body.head_start(), body.max_expected_wait());
    });
    with::<UsageBody>(bytes, |body| drop(body.usage()));
    with::<RecordBody>(bytes, |body| drop(body.usage()));
    with::<AmendBody>(bytes, |body| drop(body.demand()));
    with::<RenewBody>(bytes, |body| drop(body.lease()));
    with::<PauseBody>(bytes, |body| drop(body.lasting()));
    with::<PurgeBody>(bytes, drop);
    with::<KeyBody>(bytes, |body| drop(body.wanted().make()));
}

/// Reads a query as each of those that there are.
pub(crate) fn read_queries(text: &str) {
    let Ok(address) = format!("/v1?{text}").parse::<Uri>() else { return };
    if let Ok(Query(query)) = Query::<PollQuery>::try_from_uri(&address) {
        let _ = (query.timeout(1_800_000_000_000), query.wait(), query.lease());
    }
    if let Ok(Query(query)) = Query::<ExplainQuery>::try_from_uri(&address) {
        let _ = query.demand();
    }
}

fn with<T: DeserializeOwned>(bytes: &[u8], read: impl FnOnce(T)) {
    if let Ok(body) = serde_json::from_slice(bytes) {
        read(body);
    }
}
