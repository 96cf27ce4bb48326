//! A host behind a real socket: each batch goes through a `WebSocket`, as those of sessions elsewhere do.

use std::sync::Arc;

use futures_util::{SinkExt, StreamExt};
use paceline::ManualClock;
use paceline::host::{Host, HostOptions};
use paceline::remote::{PATH, PROTOCOL, Service, Terms, serve_stream};
use paceline::wire::{Down, Up, read_batch, read_down, write_up};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

use super::Server;

/// A connection to a server of its own, whose clock is told the time: what a client says of it does not get there.
pub struct Wired {
    runtime: Runtime,
    socket: WebSocketStream<TcpStream>,
    clock: ManualClock,
    calls: u64,
}

impl Wired {
    pub fn new() -> Self {
        let clock = ManualClock::default();
        let mut options = HostOptions::default();
        options.clock = clock.clone().into();
        let service = Service::new(Host::new(options), "an exam");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let socket = runtime.block_on(connected(service));
        Self { runtime, socket, clock, calls: 0 }
    }

    /// Says a frame, and returns the next that comes back.
    fn said(&mut self, up: &Up<'_>) -> Vec<u8> {
        self.runtime.block_on(said(&mut self.socket, up))
    }
}

async fn connected(service: Arc<Service>) -> WebSocketStream<TcpStream> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        serve_stream(&service, stream, &Terms::default()).await
    });
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (mut socket, _) = client_async(format!("ws://{address}{PATH}"), stream).await.unwrap();
    let hello = said(&mut socket, &Up::Hello { protocol: PROTOCOL, library: "0", name: "an exam" }).await;
    assert!(
        matches!(read_down(&hello), Ok(Down::Hello { protocol: PROTOCOL, .. })),
        "{:?}",
        read_down(&hello)
    );
    socket
}

async fn said(socket: &mut WebSocketStream<TcpStream>, up: &Up<'_>) -> Vec<u8> {
    socket.send(Message::binary(write_up(up))).await.unwrap();
    match socket.next().await.unwrap().unwrap() {
        Message::Binary(frame) => frame.into(),
        other => panic!("not a frame: {other:?}"),
    }
}

impl Server for Wired {
    fn eval(&mut self, batch: &[u8]) -> Vec<u8> {
        let now = read_batch(batch).unwrap().header.now.unwrap();
        // A look at the whole state says no time, and may not turn it back.
        if now > 0 {
            self.clock.jump_to(now);
        }
        self.calls += 1;
        let frame = self.said(&Up::Call { id: self.calls, ledger: super::sessions::LEDGER, batch });
        match read_down(&frame) {
            Ok(Down::Reply { id, reply }) if id == self.calls => reply.to_vec(),
            other => panic!("not a reply to call {}: {other:?}", self.calls),
        }
    }
}
