//! The dashboard's page and what it needs, as they were built into the program.

use axum::extract::Path;
use axum::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
    IF_NONE_MATCH, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use paceline_dashboard::File;

use super::pages;

/// Nothing but the server's own files and answers.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const ALWAYS: [(HeaderName, HeaderValue); 4] = [
    (CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (VARY, HeaderValue::from_static("accept-encoding")),
];

/// Shows the page.
pub(crate) async fn page(headers: HeaderMap) -> Response {
    shown(&headers, paceline_dashboard::page())
}

/// Shows a file of the page.
pub(crate) async fn asset(
    headers: HeaderMap,
    Path(name): Path<String>,
    method: Method,
    uri: Uri,
) -> Response {
    match paceline_dashboard::asset(&name) {
        Some(file) => shown(&headers, file),
        None => pages::nothing(method, uri).await.into_response(),
    }
}

fn shown(headers: &HeaderMap, file: &'static File) -> Response {
    let seen = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let is_known =
        seen.flat_map(|tags| tags.split(',')).any(|tag| tag.trim().trim_start_matches("W/") == file.tag);
    let (encoding, bytes) = if is_known { (None, &b""[..]) } else { fitting(headers, file) };
    let mut response =
        if is_known { StatusCode::NOT_MODIFIED.into_response() } else { bytes.into_response() };
    let to = response.headers_mut();
    to.extend(ALWAYS);
    to.insert(CONTENT_TYPE, HeaderValue::from_static(file.kind));
    to.insert(ETAG, HeaderValue::from_static(file.tag));
    let caching = if file.is_hashed { "public, max-age=31536000, immutable" } else { "no-cache" };
    to.insert(CACHE_CONTROL, HeaderValue::from_static(caching));
    if let Some(encoding) = encoding {
        to.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
    response
}

/// Returns the shortest form of a file that the client can read.
fn fitting(headers: &HeaderMap, file: &'static File) -> (Option<&'static str>, &'static [u8]) {
    let said = headers
        .get_all(ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .collect::<Vec<_>>()
        .join(",");
    let takes = |name: &str| {
        said.split(',').any(|one| {
            let (coding, weight) = one.split_once(';').unwrap_or((one, ""));
            let never =
                weight.trim().strip_prefix("q=").is_some_and(|q| q.trim_matches(['0', '.']).is_empty());
            coding.trim().eq_ignore_ascii_case(name) && !never
        })
    };
    match file {
        File { brotli: Some(bytes), .. } if takes("br") => (Some("br"), bytes),
        File { gzip: Some(bytes), .. } if takes("gzip") => (Some("gzip"), bytes),
        File { plain, .. } => (None, plain),
    }
}
