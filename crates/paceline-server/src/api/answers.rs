//! Which problems each operation may answer, for the description of the API.

use std::collections::BTreeMap;

use utoipa::IntoResponses;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};

use crate::kind::Kind;

/// Problems of every operation.
const ALL: [Kind; 11] = [
    Kind::Malformed,
    Kind::NoKey,
    Kind::WrongKey,
    Kind::ScopeMissing,
    Kind::ResourceForbidden,
    Kind::ForeignOrigin,
    Kind::MethodNotAllowed,
    Kind::Invalid,
    Kind::TooManyRequests,
    Kind::Stopping,
    Kind::Internal,
];

/// Problems of operations with a body.
const OF_BODY: [Kind; 3] = [Kind::TooLarge, Kind::UnsupportedMediaType, Kind::RequestTimeout];

fn responses(more: &[&[Kind]]) -> BTreeMap<String, RefOr<Response>> {
    let mut by_status: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for kind in ALL.iter().chain(more.iter().copied().flatten()) {
        let names = by_status.entry(kind.status().as_u16().to_string()).or_default();
        if !names.contains(&kind.name()) {
            names.push(kind.name());
        }
    }
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    let response = |names: &Vec<&str>| {
        let said = format!("A problem: {}.", names.join(", "));
        ResponseBuilder::new().description(said).content("application/problem+json", content.clone()).build()
    };
    by_status.iter().map(|(status, names)| (status.clone(), response(names).into())).collect()
}

macro_rules! answers {
    ($($(#[$doc:meta])* $name:ident: [$($kinds:expr),*];)*) => {$(
        $(#[$doc])*
        pub(crate) struct $name;

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                responses(&[$(&$kinds),*])
            }
        }
    )*};
}

/// Refusals of those who ask for permits.
const REFUSALS: [Kind; 14] = [
    Kind::Busy,
    Kind::TimedOut,
    Kind::TooLate,
    Kind::ExpectedWait,
    Kind::LineFull,
    Kind::Paused,
    Kind::TooManyWaits,
    Kind::Purged,
    Kind::PermitOver,
    Kind::Impossible,
    Kind::UnknownLane,
    Kind::UnknownResource,
    Kind::NotAPermit,
    Kind::StoreUnavailable,
];
const OF_PERMIT: [Kind; 3] = [Kind::PermitOver, Kind::NotAPermit, Kind::StoreUnavailable];
const OF_LOOK: [Kind; 1] = [Kind::StoreUnavailable];
const OF_RESOURCE: [Kind; 2] = [Kind::UnknownResource, Kind::StoreUnavailable];
const OF_CHANGE: [Kind; 4] =
    [Kind::OwnedByFile, Kind::NotManagedHere, Kind::InvalidConfiguration, Kind::StateNotWritten];
const OF_KEYS: [Kind; 2] = [Kind::UnknownKey, Kind::StateNotWritten];

answers! {
    /// Of asking for a permit.
    Asking: [OF_BODY, REFUSALS];
    /// Of polling a ticket.
    Polling: [REFUSALS];
    /// Of what is done with a permit.
    Ending: [OF_BODY, OF_PERMIT];
    /// Of looking at everything.
    Looking: [OF_LOOK];
    /// Of looking at a resource.
    LookingAt: [OF_RESOURCE, [Kind::UnknownLane]];
    /// Of recording and pausing.
    Ordering: [OF_BODY, OF_RESOURCE];
    /// Of changing limits.
    Changing: [OF_BODY, OF_RESOURCE, OF_CHANGE];
    /// Of the keys.
    Keeping: [OF_BODY, OF_KEYS];
}
