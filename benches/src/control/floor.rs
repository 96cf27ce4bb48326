//! The floor: the same framework, answering a constant to a POST, and an echo to a WebSocket.

use axum::Router;
use axum::body::Bytes;
use axum::extract::WebSocketUpgrade;
use axum::extract::ws::{Message, WebSocket};
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::{get, post};

use super::Outcome;

/// As long as a grant's answer.
const ANSWER: &str = r#"{"status":"granted","permit":"bench.7c9e6679f1b94c0fb0a55d5c1d2e3f40.1","waited_seconds":0.0,"lease_seconds":900.0}"#;

/// Is the floor's server: prints its address and goes on until it is killed.
pub(crate) fn serve() -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?);
        let app = Router::new().route("/v1/acquire", post(constant)).route("/echo", get(echo));
        Ok(axum::serve(listener, app).await?)
    })
}

async fn constant(body: Bytes) -> impl IntoResponse {
    drop(body);
    ([(CONTENT_TYPE, "application/json")], ANSWER)
}

async fn echo(upgrade: WebSocketUpgrade) -> impl IntoResponse {
    upgrade.on_upgrade(|mut socket: WebSocket| async move {
        while let Some(Ok(message)) = socket.recv().await {
            if !matches!(message, Message::Binary(_)) || socket.send(message).await.is_err() {
                return;
            }
        }
    })
}
