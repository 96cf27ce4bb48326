//! What a server is made of, and why one cannot be started.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// What a server is made of.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Settings {
    /// Where it listens for TCP, if it does.
    pub listen: Option<SocketAddr>,
    /// The unix socket it listens on, if it does.
    pub socket: Option<PathBuf>,
    /// Where ledgers live.
    pub backing: Backing,
    /// The configuration file, which is watched.
    pub config: Option<PathBuf>,
    /// The file of keys; `keys.json` in the state directory where it is not said.
    pub keys: Option<PathBuf>,
    /// The certificate and its key, with which TCP connections are encrypted.
    pub tls: Option<TlsFiles>,
    /// How many requests a second each key may send.
    pub requests_per_second: u32,
    /// How many requests of each key may wait at once.
    pub open_waits: u32,
    /// How many connections may be open at once.
    pub connections: u32,
    /// How long the head of a request, its body, and a handshake may take.
    pub read_timeout: Duration,
    /// How long a ticket keeps its place without a poll.
    pub patience: Duration,
    /// How long open requests may take to end when the server stops.
    pub stop_within: Duration,
}

/// Where ledgers live.
#[derive(Clone)]
#[non_exhaustive]
pub enum Backing {
    /// In memory: gone with the server.
    Memory,
    /// In this directory, which nobody else uses.
    Disk(PathBuf),
    /// On the store that this URL names, which other servers may share; the directory, if any, is for keys and the audit
    /// log.
    Store {
        /// The URL, as in `redis://localhost`.
        url: String,
        /// What the names of all keys there begin with.
        prefix: String,
        /// The state directory.
        state: Option<PathBuf>,
    },
}

/// A certificate and its key, in PEM files that are read again when they change.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The certificate, and those that lead to its authority.
    pub cert: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// Why a server cannot be started.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// The library says no.
    Paceline(paceline::Error),
    /// A file or a socket fails.
    Io {
        /// What it is.
        what: String,
        /// What went wrong.
        error: io::Error,
    },
    /// Something about the settings, and what to do.
    Settings(String),
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: None,
            socket: None,
            backing: Backing::Memory,
            config: None,
            keys: None,
            tls: None,
            requests_per_second: 10_000,
            open_waits: 10_000,
            connections: 16_000,
            read_timeout: Duration::from_secs(30),
            patience: Duration::from_secs(30),
            stop_within: Duration::from_secs(8),
        }
    }
}

impl Backing {
    /// Returns the state directory.
    pub(crate) fn state(&self) -> Option<&PathBuf> {
        match self {
            Self::Memory => None,
            Self::Disk(state) => Some(state),
            Self::Store { state, .. } => state.as_ref(),
        }
    }
}

/// A URL may have a password.
impl fmt::Debug for Backing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("Memory"),
            Self::Disk(state) => f.debug_tuple("Disk").field(state).finish(),
            Self::Store { state, .. } => {
                f.debug_struct("Store").field("state", state).finish_non_exhaustive()
            }
        }
    }
}

impl StartError {
    /// Returns a function that names the file or socket behind an error.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |error| Self::Io { what, error }
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Paceline(error) => error.fmt(f),
            Self::Io { what, error } => write!(f, "{what}: {error}"),
            Self::Settings(said) => f.write_str(said),
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Paceline(error) => Some(error),
            Self::Io { error, .. } => Some(error),
            Self::Settings(_) => None,
        }
    }
}

impl From<paceline::Error> for StartError {
    fn from(error: paceline::Error) -> Self {
        Self::Paceline(error)
    }
}
