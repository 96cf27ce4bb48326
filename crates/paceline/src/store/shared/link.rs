//! The way to the server half of the session protocol.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

/// What a link does, while it does it.
pub type Doing<'a, T> = Pin<Box<dyn Future<Output = Result<T, LinkError>> + Send + 'a>>;

/// Where pushes go.
pub type PushSink = Arc<dyn Fn(&[u8]) + Send + Sync>;

/// A way to the server half of the session protocol. Lives on the thread for input and output.
pub trait Link: Send + Sync + 'static {
    /// Sends one batch for a ledger and returns the reply's bytes. May be called again with the same batch after
    /// an error.
    fn call<'a>(&'a self, ledger: &'a str, batch: Vec<u8>) -> Doing<'a, Vec<u8>>;

    /// Makes sure that there is a connection, so that its run id is that of the server which the next call reaches.
    fn ready<'a>(&'a self, ledger: &'a str) -> Doing<'a, ()> {
        let _ = ledger;
        Box::pin(async { Ok(()) })
    }

    /// Makes pushes of this channel arrive at `sink`. Idempotent; the link renews it after it reconnects.
    fn listen<'a>(&'a self, channel: &'a str, sink: PushSink) -> Doing<'a, ()>;

    /// Has pushes of this channel go to `sink` no more. Where another sink took its place, nothing changes.
    fn unlisten(&self, channel: &str, sink: &PushSink) {
        let _ = (channel, sink);
    }

    /// Returns the full name of a channel.
    fn channel(&self, ledger: &str, inbox: &str) -> String;

    /// Returns whether pushes are sharded.
    fn sharded(&self) -> bool;

    /// Returns the run id of the server that answers for a ledger, empty where it is not known.
    fn run_id(&self, ledger: &str) -> String;

    /// Returns the URL without secrets.
    fn url(&self) -> &str;
}

/// Why a batch was not answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkError {
    /// It may be answered if it is sent once more: the connection was lost, the server is loading, busy, read-only,
    /// out of memory, or its cluster is down.
    Retry(String),
    /// It will not be: the credentials are wrong, permissions lack, or the script failed.
    Fatal(String),
}

impl LinkError {
    /// Returns what went wrong.
    pub fn reason(&self) -> &str {
        match self {
            Self::Retry(reason) | Self::Fatal(reason) => reason,
        }
    }
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

impl std::error::Error for LinkError {}
