//! Sessions of SDKs: the session protocol over a `WebSocket`, many waits on one connection.

use std::sync::Arc;

use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use paceline::remote::{Incoming, LARGEST, Outgoing, Terms, serve_connection};

use super::answers::Looking;
use super::rights;
use crate::access::Acquires;
use crate::app::App;
use crate::kind::Kind;
use crate::observed::Observed;
use crate::problem::Problem;

/// Opens a session
///
/// A `WebSocket` that the libraries of Paceline speak, named as their store by this server's URL. Only keys for all resources. A
/// key without the scope `admin` cannot change limits, end pauses or purge there.
#[utoipa::path(
    get, path = "/v1/session", tag = "permits",
    responses((status = 101, description = "The connection carries the session protocol."), Looking)
)]
pub(crate) async fn join(
    State(app): State<Arc<App>>,
    Acquires(caller): Acquires,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    if caller.is_bounded() {
        let said = format!("the key {} is for some resources alone, and a session is for all", caller.name());
        return Problem::new(Kind::ResourceForbidden, said).into_response();
    }
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(error) => return Problem::new(Kind::Malformed, error.body_text()).into_response(),
    };
    let configuration = app.catalog.text();
    let mut terms = Terms { observer: Some(Arc::new(Observed(Arc::clone(&app)))), ..Terms::default() };
    if !caller.administers() {
        terms.guard = rights::of_acquirer(caller.name(), configuration.as_deref());
    }
    terms.configuration = configuration;
    upgrade.max_message_size(LARGEST).max_frame_size(LARGEST).on_upgrade(move |socket| async move {
        let (outgoing, incoming) = socket.split();
        tokio::select! {
            ended = serve_connection(&app.sessions, From(incoming), To(outgoing), &terms) => {
                log::debug!("a session's connection ended: {ended:?}");
            }
            () = app.stops() => {}
        }
    })
}

struct From(SplitStream<WebSocket>);
struct To(SplitSink<WebSocket, Message>);

impl Incoming for From {
    async fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            match self.0.next().await?.ok()? {
                Message::Binary(frame) => return Some(frame.into()),
                // No frame of ours: the reader says so.
                Message::Text(text) => return Some(text.as_bytes().to_vec()),
                Message::Ping(_) | Message::Pong(_) => {}
                Message::Close(_) => return None,
            }
        }
    }
}

impl Outgoing for To {
    async fn send(&mut self, frames: Vec<Vec<u8>>) -> bool {
        for frame in frames {
            if self.0.feed(Message::Binary(frame.into())).await.is_err() {
                return false;
            }
        }
        self.0.flush().await.is_ok()
    }
}
