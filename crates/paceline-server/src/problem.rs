//! What is answered where something cannot be done: problems by RFC 9457, with the facts as fields.

use std::time::Duration;

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use paceline::{Error, Shortage};
use serde::Serialize;
use utoipa::ToSchema;

use crate::kind::Kind;

/// Why something was not done. It travels boxed: most answers are none.
#[derive(Debug, Clone)]
pub(crate) struct Problem(Box<Facts>);

/// A problem by RFC 9457. Which facts there are depends on its type.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct Facts {
    /// What kind of problem it is: a relative URI, under which this server explains it.
    #[serde(rename = "type")]
    #[schema(example = "/problems/busy")]
    kind: Kind,
    /// The kind in words.
    #[schema(example = "There is no room at present")]
    title: &'static str,
    /// The status of the answer.
    #[schema(example = 429)]
    status: u16,
    /// What is wrong with this request, and what to do.
    detail: String,
    #[serde(flatten)]
    more: More,
}

/// The facts of a problem.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub(crate) struct More {
    /// The resource.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) resource: Option<String>,
    /// The lane.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) lane: Option<String>,
    /// The limit that binds, or that is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) limit: Option<String>,
    /// How much of the limit's metric was wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) wanted: Option<u64>,
    /// How much was left; below zero is debt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) left: Option<i64>,
    /// The most that can ever be, or that may.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) most: Option<u64>,
    /// How many others wait in the same lane.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ahead: Option<u64>,
    /// How many wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) waiting: Option<u64>,
    /// How long this caller waited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) waited_seconds: Option<f64>,
    /// How long the wait is expected to be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) expected_wait_seconds: Option<f64>,
    /// After what time it is worth asking again; absent where time does not help.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) retry_after_seconds: Option<f64>,
    /// The nearest name that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) nearest: Option<String>,
    /// The permit or ticket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) permit: Option<String>,
    /// The field of the request that is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) field: Option<String>,
    /// What would be allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) allowed: Option<Vec<String>>,
}

impl Problem {
    /// Returns a problem of this kind; `detail` says what is wrong with this request, and what to do.
    pub(crate) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        let status = kind.status().as_u16();
        let (title, detail) = (kind.title(), detail.into());
        Self(Box::new(Facts { kind, title, status, detail, more: More::default() }))
    }

    /// Returns the problem of a field that cannot be what it is.
    pub(crate) fn field(field: &str, detail: impl Into<String>) -> Self {
        Self::new(Kind::Invalid, detail).with(|more| more.field = Some(field.to_owned()))
    }

    /// Adds facts.
    pub(crate) fn with(mut self, add: impl FnOnce(&mut More)) -> Self {
        add(&mut self.0.more);
        self
    }

    /// Says after what time it is worth asking again.
    pub(crate) fn retry_after(self, after: Duration) -> Self {
        self.with(|more| more.retry_after_seconds = Some(after.as_secs_f64()))
    }

    /// Returns its kind.
    pub(crate) fn kind(&self) -> Kind {
        self.0.kind
    }

    /// Returns what is wrong with the request, and what to do.
    pub(crate) fn detail(&self) -> &str {
        &self.0.detail
    }

    fn of_shortage(kind: Kind, error: &Error, shortage: &Shortage) -> Self {
        Self::new(kind, error.to_string()).retry_after(shortage.retry_after).with(|more| {
            more.resource = Some(shortage.resource.to_string());
            more.limit = shortage.limit.as_ref().map(ToString::to_string);
            more.wanted = Some(shortage.wanted);
            more.left = Some(shortage.left);
            more.ahead = Some(shortage.ahead);
            more.waited_seconds = Some(shortage.waited.as_secs_f64());
        })
    }

    fn of_setting(error: &Error) -> Self {
        match error {
            Error::Config(_) | Error::Spec(_) => Self::new(Kind::InvalidConfiguration, error.to_string()),
            Error::TooManyMetrics(_) => Self::field("metrics", error.to_string()),
            Error::StoreUnavailable { .. } => {
                Self::new(Kind::StoreUnavailable, error.to_string()).retry_after(STORE_RETRY)
            }
            Error::Closed => Self::new(Kind::Stopping, "the server is stopping").retry_after(STOP_RETRY),
            other => {
                log::error!("an answer failed for a reason that nobody expects: {other}");
                Self::new(Kind::Internal, "something failed that should not; the server's log says what")
            }
        }
    }
}

/// After what time it is worth asking a store again that cannot be reached.
const STORE_RETRY: Duration = Duration::from_secs(1);
/// After what time it is worth asking the server again that takes over from one that stops.
pub(crate) const STOP_RETRY: Duration = Duration::from_secs(1);

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let said = error.to_string();
        match &error {
            Error::Busy(shortage) => Self::of_shortage(Kind::Busy, &error, shortage),
            Error::AcquireTimeout(shortage) => Self::of_shortage(Kind::TimedOut, &error, shortage),
            Error::TooLate(shortage) => Self::of_shortage(Kind::TooLate, &error, shortage),
            Error::ExpectedWait { expected, shortage, .. } => {
                Self::of_shortage(Kind::ExpectedWait, &error, shortage)
                    .with(|more| more.expected_wait_seconds = Some(expected.as_secs_f64()))
            }
            Error::Impossible { resource, limit, wanted, most } => {
                Self::new(Kind::Impossible, said).with(|more| {
                    more.resource = Some(resource.to_string());
                    more.limit = Some(limit.to_string());
                    (more.wanted, more.most) = (Some(*wanted), Some(*most));
                })
            }
            Error::LineFull { resource, waiting, most, retry_after } => {
                Self::new(Kind::LineFull, said).retry_after(*retry_after).with(|more| {
                    more.resource = Some(resource.to_string());
                    (more.waiting, more.most) = (Some(u64::from(*waiting)), Some(u64::from(*most)));
                })
            }
            Error::Paused { resource, ends_in } => Self::new(Kind::Paused, said).with(|more| {
                more.resource = Some(resource.to_string());
                more.retry_after_seconds = ends_in.map(|left| left.as_secs_f64());
            }),
            Error::UnknownResource { name, nearest } => Self::new(Kind::UnknownResource, said).with(|more| {
                (more.resource, more.nearest) = (Some(name.clone()), nearest.clone());
            }),
            Error::UnknownLane { resource, lane } => Self::new(Kind::UnknownLane, said).with(|more| {
                (more.resource, more.lane) = (Some(resource.to_string()), Some(lane.to_string()));
            }),
            Error::UnknownLimit { name, nearest } => Self::new(Kind::UnknownLimit, said).with(|more| {
                (more.limit, more.nearest) = (Some(name.clone()), nearest.clone());
            }),
            Error::Purged { resource } => {
                Self::new(Kind::Purged, said).with(|more| more.resource = Some(resource.to_string()))
            }
            Error::PermitOver(permit) => {
                Self::new(Kind::PermitOver, said).with(|more| more.permit = Some(permit.to_string()))
            }
            other => Self::of_setting(other),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        // Of plain fields, it can always be written.
        let text = serde_json::to_vec(&self.0).unwrap_or_default();
        let mut response = (status, text).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(after) = self.0.more.retry_after_seconds {
            headers.insert(RETRY_AFTER, whole_seconds(after));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"paceline\""));
        }
        response
    }
}

/// Returns seconds as a header has them: whole, rounded up, at least one.
fn whole_seconds(seconds: f64) -> HeaderValue {
    let whole = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
    let whole = whole.as_secs() + u64::from(whole.subsec_nanos() > 0);
    HeaderValue::from(whole.max(1))
}
