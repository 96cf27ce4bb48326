//! A connection that speaks WebSocket over any stream of bytes: what `local://` serves, and tests do.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::StatusCode;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, accept_hdr_async_with_config};

use super::serve::{Ended, Incoming, Outgoing, Service, Terms, serve_connection};
use crate::wire::LARGEST;

/// How long a client may take for the handshake.
const PATIENCE: Duration = Duration::from_secs(10);

/// Takes up a connection, and serves it until it ends.
pub async fn serve_stream(
    service: &Arc<Service>,
    stream: impl AsyncRead + AsyncWrite + Send + Unpin,
    terms: &Terms,
) -> Ended {
    let bounds = WebSocketConfig::default().max_message_size(Some(LARGEST)).max_frame_size(Some(LARGEST));
    let shaken = timeout(PATIENCE, accept_hdr_async_with_config(stream, known_path, Some(bounds)));
    match shaken.await {
        Ok(Ok(socket)) => {
            let (out, incoming) = socket.split();
            serve_connection(service, Frames(incoming), Out(out), terms).await
        }
        Ok(Err(_)) => Ended::Left,
        Err(_) => Ended::Silent,
    }
}

#[expect(clippy::result_large_err, reason = "the handshake's callback is made so")]
fn known_path(request: &Request, response: Response) -> Result<Response, ErrorResponse> {
    if request.uri().path() == super::PATH {
        return Ok(response);
    }
    let mut refusal = ErrorResponse::new(None);
    *refusal.status_mut() = StatusCode::NOT_FOUND;
    Err(refusal)
}

struct Frames<S>(SplitStream<WebSocketStream<S>>);

struct Out<S>(SplitSink<WebSocketStream<S>, Message>);

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Incoming for Frames<S> {
    async fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            match self.0.next().await?.ok()? {
                Message::Binary(bytes) => return Some(bytes.into()),
                Message::Close(_) => return None,
                // A text is no frame, and is refused as such.
                Message::Text(_) => return Some(Vec::new()),
                _ => {}
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Outgoing for Out<S> {
    async fn send(&mut self, frames: Vec<Vec<u8>>) -> bool {
        for frame in frames {
            if self.0.feed(Message::binary(frame)).await.is_err() {
                return false;
            }
        }
        self.0.flush().await.is_ok()
    }
}
