//! What requests bring, read with bounds; what cannot be read is a problem that says where and why.

use std::sync::Arc;

use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use crate::app::App;
use crate::kind::Kind;
use crate::problem::Problem;

/// The most bytes of a body.
pub(crate) const MOST_BYTES: usize = 64 << 10;

/// A body of JSON.
pub(crate) struct Json<T>(pub(crate) T);

/// A body of JSON that may be left out.
pub(crate) struct MaybeJson<T>(pub(crate) T);

/// A part of the address.
pub(crate) struct Named(pub(crate) String);

/// What the address says behind its question mark.
pub(crate) struct Asked<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Arc<App>> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Problem> {
        let json = is_json(request.headers());
        let body = body(request, app).await?;
        if !json {
            let said = "the body has to be JSON, and its Content-Type has to say so";
            return Err(Problem::new(Kind::UnsupportedMediaType, said));
        }
        parsed(&body).map(Self)
    }
}

impl<T: DeserializeOwned + Default> FromRequest<Arc<App>> for MaybeJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Problem> {
        let json = is_json(request.headers());
        let body = body(request, app).await?;
        if body.is_empty() {
            return Ok(Self(T::default()));
        }
        if !json {
            let said = "a body has to be JSON, and its Content-Type has to say so";
            return Err(Problem::new(Kind::UnsupportedMediaType, said));
        }
        parsed(&body).map(Self)
    }
}

impl FromRequestParts<Arc<App>> for Named {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let path = Path::<String>::from_request_parts(parts, app).await;
        path.map(|Path(name)| Self(name)).map_err(|error| Problem::new(Kind::Malformed, error.body_text()))
    }
}

impl<T: DeserializeOwned> FromRequestParts<Arc<App>> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let query = Query::<T>::from_request_parts(parts, app).await;
        query.map(|Query(query)| Self(query)).map_err(|error| Problem::new(Kind::Invalid, error.body_text()))
    }
}

/// Returns a header that has to be text.
pub(crate) fn text(headers: &HeaderMap, name: &HeaderName, most: usize) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    let text = value.to_str().ok().filter(|text| !text.is_empty() && text.len() <= most);
    let wrong =
        || Problem::field(name.as_str(), format!("the header {name} has 1 to {most} printable characters"));
    text.map(|text| Some(text.to_owned())).ok_or_else(wrong)
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(kind) = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()) else { return false };
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
}

async fn body(request: Request, app: &App) -> Result<Bytes, Problem> {
    let collected = Limited::new(request.into_body(), MOST_BYTES).collect();
    let Ok(collected) = tokio::time::timeout(app.read_timeout, collected).await else {
        return Err(Problem::new(Kind::RequestTimeout, "the body did not arrive in time"));
    };
    match collected {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            let most = u64::try_from(MOST_BYTES).ok();
            let said = format!("the body has more than {MOST_BYTES} bytes");
            Err(Problem::new(Kind::TooLarge, said).with(|more| more.most = most))
        }
        Err(error) => Err(Problem::new(Kind::Malformed, format!("the body broke off: {error}"))),
    }
}

fn parsed<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| match error.classify() {
        Category::Data => Problem::new(Kind::Invalid, format!("the body is not what it should be: {error}")),
        _ => Problem::new(Kind::Malformed, format!("the body is not JSON: {error}")),
    })
}
