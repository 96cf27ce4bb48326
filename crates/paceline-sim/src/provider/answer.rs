//! A complete answer of a status, headers and a JSON body.

use std::borrow::Cow;
use std::fmt::Display;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::Value;

/// Headers as the dialects write them.
pub(super) type Headers = Vec<(Cow<'static, str>, String)>;

/// Makes one header.
pub(super) fn header(name: impl Into<Cow<'static, str>>, value: impl Display) -> (Cow<'static, str>, String) {
    (name.into(), format!("{value}"))
}

/// A complete answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Headers,
    pub(super) body: Value,
}

impl Answer {
    pub(super) fn new(status: u16, body: Value) -> Self {
        Self { status, headers: Headers::new(), body }
    }

    #[must_use]
    pub(super) fn with(mut self, headers: Headers) -> Self {
        self.headers.extend(headers);
        self
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let body = Body::from(self.body.to_string());
        respond(self.status, "application/json", &self.headers, body)
    }
}

/// Puts a response together.
pub(super) fn respond(status: u16, content_type: &'static str, headers: &Headers, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    for (name, value) in headers {
        insert(response.headers_mut(), name, value);
    }
    response
}

fn insert(headers: &mut HeaderMap, name: &str, value: &str) {
    if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_str(value)) {
        headers.insert(name, value);
    }
}
