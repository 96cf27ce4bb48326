//! One connection, from its greeting to its end.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::sync::Notify;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::timeout;

use super::listening::{Hearing, Listening};
use crate::link::{Link, LinkError};
use crate::wire::{
    Batch, Down, PROTOCOL, Push, Reply, Route, Up, WireError, read_batch, read_passing, read_reply, read_up,
    write_down,
};

/// Where the frames of a client come from.
pub trait Incoming: Send {
    /// Returns the next frame; nothing when there are no more.
    fn next(&mut self) -> impl Future<Output = Option<Vec<u8>>> + Send;
}

/// Where the frames for a client go.
pub trait Outgoing: Send {
    /// Sends these frames, in their order; returns whether the connection still stands.
    fn send(&mut self, frames: Vec<Vec<u8>>) -> impl Future<Output = bool> + Send;
}

/// What all connections to a server have in common.
pub struct Service {
    link: Arc<dyn Link>,
    store: String,
}

/// On which terms one client is served. Plain values: what a client may do is found out before.
#[derive(Clone)]
pub struct Terms {
    /// The text of the configuration that clients without one take.
    pub configuration: Option<String>,
    /// Says no, with a reason, to a batch for a ledger; without a batch, to hearing the ledger's pushes.
    pub guard: Guard,
    /// Is told what passed.
    pub observer: Option<Arc<dyn Observer>>,
}

/// Is told what passes, after the fact. A client that hears no answer sends a batch again, with the same number.
pub trait Observer: Send + Sync {
    /// The batch for a ledger got this reply.
    fn answered(&self, ledger: &str, batch: &Batch<'_>, reply: &Reply);
    /// A session was told something by a push, which the next reply may tell again.
    fn pushed(&self, ledger: &str, push: &Push);
}

/// See [`Terms::guard`].
pub type Guard = Arc<dyn Fn(&str, Option<&[u8]>) -> Result<(), String> + Send + Sync>;

/// Why a connection is over.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ended {
    /// The client left, or the connection was lost.
    Left,
    /// The client did not say hello in time.
    Silent,
    /// The client speaks another protocol.
    Foreign {
        /// The protocol that it speaks.
        protocol: u64,
        /// The version of its library.
        library: String,
    },
    /// What the client said is no frame.
    Garbled(WireError),
    /// The client does not read what it is sent.
    Slow,
}

/// How long a client may take to say who it is.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a client may take to read what it is sent.
const STALLED: Duration = Duration::from_secs(10);

/// How many frames wait for a client to read them.
const QUEUE: usize = 1_024;

/// How many frames are sent in one go.
const TOGETHER: usize = 64;

/// How many calls of one client are under way, and of how many bytes.
const CALLS: usize = 256;
const BYTES: usize = 16 << 20;

impl Service {
    /// Serves what is at the other end of a link; `store` says to clients what that is, without an address.
    pub fn new(link: Arc<dyn Link>, store: impl Into<String>) -> Arc<Self> {
        Arc::new(Self { link, store: store.into() })
    }
}

impl Default for Terms {
    fn default() -> Self {
        Self { configuration: None, guard: Arc::new(|_, _| Ok(())), observer: None }
    }
}

/// Serves one connection until it ends. What is under way when the future is dropped is not answered.
pub async fn serve_connection(
    service: &Service,
    mut incoming: impl Incoming,
    mut outgoing: impl Outgoing,
    terms: &Terms,
) -> Ended {
    match greet(service, &mut incoming, &mut outgoing, terms).await {
        Ok(()) => {}
        Err(ended) => return ended,
    }
    let (frames, queue) = channel(QUEUE);
    let cut = Arc::new(Notify::new());
    let listening = Listening::new(&service.link);
    let client = Client { service, terms, listening, frames, cut: Arc::clone(&cut) };
    tokio::select! {
        ended = client.hear(&mut incoming) => ended,
        ended = write(queue, &mut outgoing) => ended,
        () = cut.notified() => Ended::Slow,
    }
}

async fn greet(
    service: &Service,
    incoming: &mut impl Incoming,
    outgoing: &mut impl Outgoing,
    terms: &Terms,
) -> Result<(), Ended> {
    let first = timeout(PATIENCE, incoming.next()).await.map_err(|_| Ended::Silent)?.ok_or(Ended::Left)?;
    let ended = match read_up(&first) {
        Ok(Up::Hello { protocol: PROTOCOL, .. }) => None,
        Ok(Up::Hello { protocol, library, .. }) => {
            Some(Ended::Foreign { protocol, library: library.to_owned() })
        }
        Ok(_) => Some(Ended::Garbled(WireError::Expected("a greeting"))),
        Err(error) => Some(Ended::Garbled(error)),
    };
    let said = match &ended {
        None => write_down(&Down::Hello {
            protocol: PROTOCOL,
            run_id: &service.link.run_id(""),
            store: &service.store,
            configuration: terms.configuration.as_deref(),
        }),
        Some(ended) => write_down(&Down::Refused { protocol: PROTOCOL, message: &ended.to_string() }),
    };
    let sent = timeout(STALLED, outgoing.send(vec![said])).await;
    match (ended, sent) {
        (Some(ended), _) => Err(ended),
        (None, Ok(true)) => Ok(()),
        (None, Ok(false)) => Err(Ended::Left),
        (None, Err(_)) => Err(Ended::Slow),
    }
}

/// Sends what is queued, as much as there is in one go.
async fn write(mut queue: Receiver<Vec<u8>>, outgoing: &mut impl Outgoing) -> Ended {
    loop {
        let mut together = Vec::new();
        if queue.recv_many(&mut together, TOGETHER).await == 0 {
            return Ended::Left;
        }
        match timeout(STALLED, outgoing.send(together)).await {
            Ok(true) => {}
            Ok(false) => return Ended::Left,
            Err(_) => return Ended::Slow,
        }
    }
}

/// One client, and what it is told.
struct Client<'a> {
    service: &'a Service,
    terms: &'a Terms,
    listening: Listening<'a>,
    frames: Sender<Vec<u8>>,
    cut: Arc<Notify>,
}

impl Client<'_> {
    /// Answers what the client says until it says no more.
    async fn hear(&self, incoming: &mut impl Incoming) -> Ended {
        let mut calls: FuturesUnordered<BoxFuture<'_, usize>> = FuturesUnordered::new();
        let mut bytes = 0;
        loop {
            let room = calls.len() < CALLS && bytes < BYTES;
            tokio::select! {
                Some(done) = calls.next(), if !calls.is_empty() => bytes -= done,
                frame = incoming.next(), if room => {
                    let Some(frame) = frame else { return Ended::Left };
                    bytes += frame.len();
                    match read_up(&frame) {
                        Err(error) => return Ended::Garbled(error),
                        Ok(Up::Hello { .. }) => return Ended::Garbled(WireError::Expected("a call")),
                        Ok(_) => calls.push(Box::pin(self.answer(frame))),
                    }
                }
            }
        }
    }

    /// Answers one frame, and returns how long it was.
    async fn answer(&self, frame: Vec<u8>) -> usize {
        let (id, answer) = match read_up(&frame) {
            Ok(Up::Call { id, ledger, batch }) => (id, self.call(ledger, batch).await),
            Ok(Up::Listen { id, channel }) => (id, self.listen(channel).await.map(|()| Vec::new())),
            // Neither gets here.
            Ok(Up::Hello { .. }) | Err(_) => return frame.len(),
        };
        let said = match &answer {
            Ok(reply) => write_down(&Down::Reply { id, reply }),
            Err(LinkError::Retry(reason)) => write_down(&Down::Failed { id, lasting: false, reason }),
            Err(LinkError::Fatal(reason)) => write_down(&Down::Failed { id, lasting: true, reason }),
        };
        // Where nobody takes it any more, the connection is over.
        let _ = self.frames.send(said).await;
        frame.len()
    }

    async fn call(&self, ledger: &str, batch: &[u8]) -> Result<Vec<u8>, LinkError> {
        let passing = read_passing(batch)
            .map_err(|error| LinkError::Fatal(format!("the batch cannot be read: {error}")))?;
        let inbox = match passing.inbox {
            "" => String::new(),
            channel => self.channel(channel, Some(ledger))?.1,
        };
        (self.terms.guard)(ledger, Some(batch)).map_err(LinkError::Fatal)?;
        let link = &self.service.link;
        link.ready(ledger).await?;
        let run_id = link.run_id(ledger);
        let route = Route { inbox: &inbox, sharded: link.sharded(), run_id: &run_id };
        let reply = link.call(ledger, passing.by(&route)).await?;
        if let Some(observer) = &self.terms.observer
            && let (Ok(batch), Ok(read)) = (read_batch(batch), read_reply(&reply))
        {
            observer.answered(ledger, &batch, &read);
        }
        Ok(reply)
    }

    async fn listen(&self, channel: &str) -> Result<(), LinkError> {
        let (ledger, own) = self.channel(channel, None)?;
        (self.terms.guard)(ledger, None).map_err(LinkError::Fatal)?;
        let cut = Arc::clone(&self.cut);
        let to = Hearing {
            ledger: ledger.to_owned(),
            named: channel.to_owned(),
            frames: self.frames.clone(),
            observer: self.terms.observer.clone(),
        };
        self.listening.begin(&own, to, move || cut.notify_one()).await
    }

    /// Returns the ledger of a client's channel, which has to be this one if one is named, and what the link calls it.
    fn channel<'c>(&self, channel: &'c str, of: Option<&str>) -> Result<(&'c str, String), LinkError> {
        let parts = channel.strip_prefix("paceline:{").and_then(|rest| rest.rsplit_once("}:to:"));
        match parts {
            Some((ledger, inbox)) if of.is_none_or(|of| of == ledger) && is_plain(inbox) => {
                Ok((ledger, self.service.link.channel(ledger, inbox)))
            }
            _ => {
                Err(LinkError::Fatal("a channel for pushes is not of this ledger, or no channel".to_owned()))
            }
        }
    }
}

fn is_plain(inbox: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '@' | ':');
    !inbox.is_empty() && inbox.len() <= 256 && inbox.chars().all(plain)
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Left => f.write_str("the client left"),
            Self::Silent => f.write_str("the client did not say hello in time"),
            Self::Foreign { protocol, library } => write!(
                f,
                "the client (paceline {library}) speaks protocol {protocol}, this server (paceline {}) speaks {PROTOCOL}; \
                 bring the older of the two up to date",
                env!("CARGO_PKG_VERSION")
            ),
            Self::Garbled(error) => write!(f, "what the client said is no frame: {error}"),
            Self::Slow => f.write_str("the client does not read what it is sent"),
        }
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service")
            .field("link", &self.link.url())
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Terms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Terms").field("configuration", &self.configuration.is_some()).finish_non_exhaustive()
    }
}
