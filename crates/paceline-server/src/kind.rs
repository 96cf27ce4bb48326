//! The kinds of problems, each with its status, its words, and its page.

use axum::http::StatusCode;
use paceline::core::Refusal;
use serde::{Serialize, Serializer};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// A kind of problem; as text, the relative URI of its page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Busy,
    TimedOut,
    TooLate,
    ExpectedWait,
    LineFull,
    Paused,
    Purged,
    Impossible,
    UnknownResource,
    UnknownLane,
    UnknownLimit,
    UnknownKey,
    PermitOver,
    NotAPermit,
    OwnedByFile,
    NotManagedHere,
    InvalidConfiguration,
    Invalid,
    Malformed,
    NotFound,
    MethodNotAllowed,
    UnsupportedMediaType,
    TooLarge,
    RequestTimeout,
    NoKey,
    WrongKey,
    ScopeMissing,
    ResourceForbidden,
    ForeignOrigin,
    TooManyRequests,
    TooManyWaits,
    Stopping,
    StoreUnavailable,
    StateNotWritten,
    NotServed,
    Internal,
}

use Kind as K;
use StatusCode as S;

/// Every kind: its name in the URI, its status, its title, and what to do about it.
const KINDS: [(Kind, &str, StatusCode, &str, &str); 36] = [
    (
        K::Busy,
        "busy",
        S::TOO_MANY_REQUESTS,
        "There is no room at present",
        "An immediate answer was asked for (`try`). Ask again after `retry_after_seconds`, or wait in line.",
    ),
    (
        K::TimedOut,
        "timed-out",
        S::TOO_MANY_REQUESTS,
        "The time-out passed in line",
        "The place in line is free again. Ask with a longer `timeout_seconds`, or later.",
    ),
    (
        K::TooLate,
        "too-late",
        S::TOO_MANY_REQUESTS,
        "The time-out cannot be met",
        "Even with nobody ahead the limit would not have room in time. Ask with a longer `timeout_seconds`, or later.",
    ),
    (
        K::ExpectedWait,
        "expected-wait",
        S::TOO_MANY_REQUESTS,
        "The expected wait is too long",
        "It is above `max_expected_wait_seconds`. Accept a longer wait, or ask later.",
    ),
    (
        K::LineFull,
        "line-full",
        S::TOO_MANY_REQUESTS,
        "The line is full",
        "As many wait as `max_waiting` of the configuration allows. Ask later.",
    ),
    (
        K::Paused,
        "paused",
        S::TOO_MANY_REQUESTS,
        "The resource is paused",
        "An operator or a provider's refusal paused it. Ask after `retry_after_seconds`; where that is absent, after somebody resumes it.",
    ),
    (
        K::Purged,
        "purged",
        S::CONFLICT,
        "The line was purged",
        "An operator refused everybody who waited. Ask again if the call is still wanted.",
    ),
    (
        K::Impossible,
        "impossible",
        S::UNPROCESSABLE_ENTITY,
        "The limit can never grant this much",
        "More is wanted at once than the limit ever holds. Make the call smaller, or the limit larger.",
    ),
    (
        K::UnknownResource,
        "unknown-resource",
        S::NOT_FOUND,
        "There is no such resource",
        "No configuration names it. `GET /v1/resources` lists those there are; `PUT /v1/resources/{name}` makes one.",
    ),
    (
        K::UnknownLane,
        "unknown-lane",
        S::UNPROCESSABLE_ENTITY,
        "There is no such lane",
        "The resource declares its lanes, and this is none of them.",
    ),
    (
        K::UnknownLimit,
        "unknown-limit",
        S::NOT_FOUND,
        "There is no such limit",
        "The resource has no limit of this name.",
    ),
    (
        K::UnknownKey,
        "unknown-key",
        S::NOT_FOUND,
        "There is no such key",
        "`GET /v1/keys` lists the keys there are.",
    ),
    (
        K::PermitOver,
        "permit-over",
        S::CONFLICT,
        "The permit has ended",
        "It was settled, given back or cancelled before, or it outlived its lease, or never was. Nothing was changed.",
    ),
    (
        K::NotAPermit,
        "not-a-permit",
        S::NOT_FOUND,
        "This is no permit and no ticket",
        "An id is what `POST /v1/acquire` answers: LEDGER.SESSION.NUMBER.",
    ),
    (
        K::OwnedByFile,
        "owned-by-file",
        S::CONFLICT,
        "The configuration file owns this resource",
        "Edit the file; the server takes changes over as they are saved. Over the API it is read-only.",
    ),
    (
        K::NotManagedHere,
        "not-managed-here",
        S::CONFLICT,
        "Limits are not managed over the API here",
        "Several servers may share this store, and each has to know the same limits: give all of them the same file by --config.",
    ),
    (
        K::InvalidConfiguration,
        "invalid-configuration",
        S::UNPROCESSABLE_ENTITY,
        "The limits cannot be",
        "`detail` says what is wrong and where. What was in force stays in force.",
    ),
    (
        K::Invalid,
        "invalid",
        S::UNPROCESSABLE_ENTITY,
        "A field is wrong",
        "`detail` and `field` say which and why. `GET /v1/openapi.json` describes every field.",
    ),
    (
        K::Malformed,
        "malformed",
        S::BAD_REQUEST,
        "The request cannot be read",
        "The body is not JSON, or the address or a header is not what it should be.",
    ),
    (
        K::NotFound,
        "not-found",
        S::NOT_FOUND,
        "There is nothing at this address",
        "`GET /v1/openapi.json` lists the addresses there are.",
    ),
    (
        K::MethodNotAllowed,
        "method-not-allowed",
        S::METHOD_NOT_ALLOWED,
        "This address has no such method",
        "`GET /v1/openapi.json` lists the methods of each address.",
    ),
    (
        K::UnsupportedMediaType,
        "unsupported-media-type",
        S::UNSUPPORTED_MEDIA_TYPE,
        "The body has to be JSON",
        "Send `Content-Type: application/json`; `curl --json` does.",
    ),
    (K::TooLarge, "too-large", S::PAYLOAD_TOO_LARGE, "The request is too large", "A body may have 64 KiB."),
    (
        K::RequestTimeout,
        "request-timeout",
        S::REQUEST_TIMEOUT,
        "The request came too slowly",
        "The body has to arrive within the server's read time-out.",
    ),
    (
        K::NoKey,
        "no-key",
        S::UNAUTHORIZED,
        "A key is needed",
        "Send `Authorization: Bearer pk_...`. `paceline serve keys create` makes a key.",
    ),
    (
        K::WrongKey,
        "wrong-key",
        S::UNAUTHORIZED,
        "The key is not valid",
        "It was revoked, it has expired, or never was.",
    ),
    (
        K::ScopeMissing,
        "scope-missing",
        S::FORBIDDEN,
        "The key may not do this",
        "`allowed` lists the scopes that may. An administrator can create another key.",
    ),
    (
        K::ResourceForbidden,
        "resource-forbidden",
        S::FORBIDDEN,
        "The key is not for this resource",
        "`allowed` lists the resources that it is for.",
    ),
    (
        K::ForeignOrigin,
        "foreign-origin",
        S::FORBIDDEN,
        "The request comes from somewhere else",
        "A server without keys answers programs of its own machine, under a name of the loopback, and no foreign web pages. Create keys to serve others.",
    ),
    (
        K::TooManyRequests,
        "too-many-requests",
        S::TOO_MANY_REQUESTS,
        "The key asks too often",
        "Each key may send so many requests a second to the server itself. Ask after `retry_after_seconds`.",
    ),
    (
        K::TooManyWaits,
        "too-many-waits",
        S::TOO_MANY_REQUESTS,
        "The key waits too often at once",
        "Each key may have so many requests open that wait. Let some of them end.",
    ),
    (
        K::Stopping,
        "stopping",
        S::SERVICE_UNAVAILABLE,
        "The server is stopping",
        "A ticket keeps its place: poll it again after `retry_after_seconds`.",
    ),
    (
        K::StoreUnavailable,
        "store-unavailable",
        S::SERVICE_UNAVAILABLE,
        "The store cannot be reached",
        "Nobody knows what is left, so nothing is granted. Ask again after `retry_after_seconds`.",
    ),
    (
        K::StateNotWritten,
        "state-not-written",
        S::SERVICE_UNAVAILABLE,
        "The state cannot be written",
        "Nothing was changed. The server's log says what is wrong with its state directory.",
    ),
    (
        K::NotServed,
        "not-served",
        S::NOT_IMPLEMENTED,
        "This server does not serve this",
        "`detail` says what it needs.",
    ),
    (
        K::Internal,
        "internal",
        S::INTERNAL_SERVER_ERROR,
        "Something failed that should not",
        "The server's log says what. Please report it.",
    ),
];

impl Kind {
    /// How many kinds there are.
    pub(crate) const COUNT: usize = KINDS.len();

    /// Iterates over all kinds.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        KINDS.iter().map(|row| row.0)
    }

    /// Returns the kind of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        KINDS.iter().find(|row| row.1 == name).map(|row| row.0)
    }

    /// Returns its name in the URI.
    pub(crate) fn of(refusal: &Refusal) -> Self {
        match refusal {
            Refusal::Impossible { .. } => Self::Impossible,
            Refusal::TooLate { .. } => Self::TooLate,
            Refusal::LineFull { .. } => Self::LineFull,
            Refusal::Busy { .. } => Self::Busy,
            Refusal::Paused { .. } => Self::Paused,
            Refusal::UnknownLane { .. } => Self::UnknownLane,
            Refusal::NoResource => Self::UnknownResource,
            Refusal::Purged => Self::Purged,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        self.row().1
    }

    /// Returns the status of answers with it.
    pub(crate) fn status(self) -> StatusCode {
        self.row().2
    }

    /// Returns it in words.
    pub(crate) fn title(self) -> &'static str {
        self.row().3
    }

    /// Returns what to do about it.
    pub(crate) fn advice(self) -> &'static str {
        self.row().4
    }

    fn row(self) -> &'static (Self, &'static str, StatusCode, &'static str, &'static str) {
        static UNKNOWN: (Kind, &str, StatusCode, &str, &str) =
            (K::Internal, "internal", S::INTERNAL_SERVER_ERROR, "Something failed", "");
        // In the order of the variants; a test holds it to that.
        KINDS.get(self as usize).unwrap_or(&UNKNOWN)
    }

    fn uri(self) -> String {
        format!("/problems/{}", self.name())
    }
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.uri())
    }
}

impl PartialSchema for Kind {
    fn schema() -> RefOr<Schema> {
        let uris = KINDS.iter().map(|row| row.0.uri());
        ObjectBuilder::new().schema_type(Type::String).enum_values(Some(uris)).build().into()
    }
}

impl ToSchema for Kind {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_stands_in_its_row() {
        for (at, row) in KINDS.iter().enumerate() {
            assert_eq!(row.0 as usize, at, "{}", row.1);
            assert_eq!(Kind::named(row.1), Some(row.0));
            assert!(row.2.is_client_error() || row.2.is_server_error(), "{}", row.1);
            assert!(!row.4.is_empty(), "{}", row.1);
        }
        assert_eq!(K::Internal as usize + 1, KINDS.len(), "the last kind has a row");
    }
}
