//! One connection to a server: many calls under way, answered in any order, and pushes in between.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use super::connect::{Greeting, Socket};
use super::failure;
use crate::store::shared::link::LinkError;
use crate::sync::lock;
use crate::wire::{Down, Up, read_down, write_up};

/// A connection that stands, or stood.
pub(super) struct Connection {
    pub(super) greeting: Greeting,
    shared: Arc<Shared>,
    frames: UnboundedSender<Vec<u8>>,
    /// Ends with the runtime, and so tells that nothing drives the connection any more.
    runs: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    broken: AtomicBool,
    last: AtomicU64,
    /// Counts what was heard.
    heard: AtomicU64,
    calls: Mutex<BTreeMap<u64, Answer>>,
}

type Answer = oneshot::Sender<Result<Vec<u8>, LinkError>>;

/// Where a connection says what it was not asked for.
pub(super) trait Hearer: Send + Sync + 'static {
    /// A push came.
    fn pushed(&self, channel: &str, payload: &[u8]);

    /// The connection is over.
    fn over(&self);
}

/// How many frames are sent in one go.
const TOGETHER: usize = 64;

impl Connection {
    /// Drives a connection on this runtime.
    pub(super) fn start(socket: Socket, greeting: Greeting, hearer: impl Hearer) -> Self {
        let shared = Arc::new(Shared::default());
        let (frames, queue) = unbounded_channel();
        let (out, incoming) = socket.split();
        let kept = Arc::clone(&shared);
        let runs = tokio::spawn(async move {
            let reason = tokio::select! {
                reason = write(queue, out) => reason,
                reason = read(incoming, &kept, &hearer) => reason,
            };
            kept.end(&reason);
            hearer.over();
        });
        Self { greeting, shared, frames, runs }
    }

    pub(super) fn is_intact(&self) -> bool {
        !self.shared.broken.load(Ordering::Relaxed) && !self.runs.is_finished()
    }

    pub(super) async fn call(
        &self,
        ledger: &str,
        batch: &[u8],
        patience: Duration,
    ) -> Result<Vec<u8>, LinkError> {
        self.ask(|id| Up::Call { id, ledger, batch }, patience).await
    }

    pub(super) async fn listen(&self, channel: &str, patience: Duration) -> Result<(), LinkError> {
        self.ask(|id| Up::Listen { id, channel }, patience).await.map(drop)
    }

    async fn ask<'a>(
        &self,
        frame: impl FnOnce(u64) -> Up<'a>,
        patience: Duration,
    ) -> Result<Vec<u8>, LinkError> {
        let shared = &self.shared;
        let id = shared.last.fetch_add(1, Ordering::Relaxed) + 1;
        let heard = shared.heard.load(Ordering::Relaxed);
        let (tell, answer) = oneshot::channel();
        lock(&shared.calls).insert(id, tell);
        // Whoever waits no longer needs no answer either.
        let _forgets = Forgets { shared, id };
        if !self.is_intact() || self.frames.send(write_up(&frame(id))).is_err() {
            return Err(LinkError::Retry("the connection was lost".to_owned()));
        }
        match timeout(patience, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(LinkError::Retry("the connection was lost".to_owned())),
            Err(_) => {
                // A server that answers others is there, and busy with this.
                if shared.heard.load(Ordering::Relaxed) == heard {
                    self.give_up();
                }
                Err(failure::unanswered(patience.as_millis()))
            }
        }
    }

    /// Ends it.
    pub(super) fn give_up(&self) {
        self.shared.end("the connection was given up");
        self.runs.abort();
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.runs.abort();
    }
}

struct Forgets<'a> {
    shared: &'a Shared,
    id: u64,
}

impl Drop for Forgets<'_> {
    fn drop(&mut self) {
        lock(&self.shared.calls).remove(&self.id);
    }
}

impl Shared {
    /// Nothing is answered any more.
    fn end(&self, reason: &str) {
        self.broken.store(true, Ordering::Relaxed);
        for (_, tell) in std::mem::take(&mut *lock(&self.calls)) {
            // Who asked may have left.
            let _ = tell.send(Err(LinkError::Retry(reason.to_owned())));
        }
    }

    fn answered(&self, id: u64, answer: Result<Vec<u8>, LinkError>) {
        let tell = lock(&self.calls).remove(&id);
        if let Some(tell) = tell {
            let _ = tell.send(answer);
        }
    }
}

async fn write(mut queue: UnboundedReceiver<Vec<u8>>, mut out: SplitSink<Socket, Message>) -> String {
    let mut together = Vec::new();
    while queue.recv_many(&mut together, TOGETHER).await > 0 {
        for frame in together.drain(..) {
            if let Err(error) = out.feed(Message::binary(frame)).await {
                return lost(&error);
            }
        }
        if let Err(error) = out.flush().await {
            return lost(&error);
        }
    }
    "the connection is not used any more".to_owned()
}

async fn read(mut incoming: SplitStream<Socket>, shared: &Shared, hearer: &impl Hearer) -> String {
    loop {
        let bytes = match incoming.next().await {
            Some(Ok(Message::Binary(bytes))) => bytes,
            Some(Ok(Message::Close(_))) | None => return "the server closed the connection".to_owned(),
            Some(Ok(_)) => continue,
            Some(Err(error)) => return lost(&error),
        };
        shared.heard.fetch_add(1, Ordering::Relaxed);
        match read_down(&bytes) {
            Ok(Down::Reply { id, reply }) => shared.answered(id, Ok(reply.to_vec())),
            Ok(Down::Failed { id, lasting, reason }) => {
                let reason = reason.to_owned();
                let error = if lasting { LinkError::Fatal(reason) } else { LinkError::Retry(reason) };
                shared.answered(id, Err(error));
            }
            Ok(Down::Push { channel, payload }) => hearer.pushed(channel, payload),
            Ok(_) => {}
            Err(error) => return format!("what the server said cannot be read: {error}"),
        }
    }
}

fn lost(error: &tokio_tungstenite::tungstenite::Error) -> String {
    format!("the connection was lost ({error})")
}
