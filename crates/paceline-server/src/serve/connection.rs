//! One connection: read with bounds, and ended with grace.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Uri};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::OwnedSemaphorePermit;
use tower_service::Service;

use crate::app::App;

/// The most bytes of a request's head.
const MOST_HEAD: usize = 32 << 10;
/// The most fields of a request's head.
const MOST_FIELDS: usize = 64;

/// What counts a connection for as long as it is open.
pub(crate) struct Open {
    app: Arc<App>,
    _seat: OwnedSemaphorePermit,
}

impl Open {
    pub(crate) fn new(app: Arc<App>, seat: OwnedSemaphorePermit) -> Self {
        app.meters.connections.fetch_add(1, Relaxed);
        Self { app, _seat: seat }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.app.meters.connections.fetch_sub(1, Relaxed);
    }
}

/// Serves a connection to its end.
pub(crate) async fn serve<S>(stream: S, router: Router, open: Open, read_timeout: Duration)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |mut request: Request<Incoming>| {
        if let Some(uri) = with_one_part(request.uri()) {
            *request.uri_mut() = uri;
        }
        // A router is always ready.
        let mut router = router.clone();
        router.call(request.map(Body::new))
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(read_timeout)
        .max_buf_size(MOST_HEAD)
        .max_headers(MOST_FIELDS)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = open.app.stops() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        log::debug!("a connection ended: {error}");
    }
}

/// The beginnings of addresses whose next part is a name that may have slashes, and what may follow the name.
const NAMED: [(&str, &[&str]); 3] = [
    ("/v1/resources/", &["/pause", "/resume", "/purge"]),
    ("/v1/permits/", &["/settle", "/give-back", "/renew", "/amend"]),
    ("/v1/tickets/", &[]),
];

/// Writes the slashes of a name as its address has them, so that people need not.
fn with_one_part(uri: &Uri) -> Option<Uri> {
    let path = uri.path();
    let (beginning, rest, ends) = NAMED
        .iter()
        .find_map(|(beginning, ends)| Some((*beginning, path.strip_prefix(beginning)?, *ends)))?;
    let end = ends.iter().find(|end| rest.ends_with(**end)).copied().unwrap_or_default();
    let name = rest.strip_suffix(end).filter(|name| name.contains('/'))?;
    let query = uri.query().map_or_else(String::new, |query| format!("?{query}"));
    format!("{beginning}{}{end}{query}", name.replace('/', "%2F")).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::with_one_part;

    #[test]
    fn names_keep_their_slashes() {
        let written = |uri: &str| with_one_part(&uri.parse().unwrap()).map(|uri| uri.to_string());
        let known = [
            ("/v1/resources/openai/gpt-4o", "/v1/resources/openai%2Fgpt-4o"),
            ("/v1/resources/a/b/c/pause?x=1", "/v1/resources/a%2Fb%2Fc/pause?x=1"),
            ("/v1/permits/a/b.00.1/settle", "/v1/permits/a%2Fb.00.1/settle"),
            ("/v1/tickets/a/b.00.1?wait_seconds=1", "/v1/tickets/a%2Fb.00.1?wait_seconds=1"),
        ];
        for (uri, as_one) in known {
            assert_eq!(written(uri).as_deref(), Some(as_one));
        }
        for plain in
            ["/v1/resources/gpt", "/v1/resources/gpt/pause", "/v1/resources", "/v1/acquire", "/a/b/c"]
        {
            assert_eq!(written(plain), None, "{plain}");
        }
    }
}
