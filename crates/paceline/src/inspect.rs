//! Looking at the ledgers of a store on Redis from outside. Nothing is joined, asked for or changed: no session is
//! opened, no key is written, and a ledger that is not there is not begun.
//!
//! ```no_run
//! use paceline::inspect::Store;
//!
//! let store = Store::open("redis://localhost", "paceline:")?;
//! for name in store.ledgers().wait()? {
//!     if let Some(ledger) = store.look(&name).wait()? {
//!         let waiting: u64 = ledger.resources.iter().map(|resource| resource.waiting).sum();
//!         println!("{name}: {waiting} wait, {} sessions", ledger.sessions.len());
//!     }
//! }
//! # Ok::<(), paceline::Error>(())
//! ```

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::store::redis::RedisLink;
use crate::store::shared::io::there;
use crate::store::shared::label;
use crate::store::shared::link::{Link, LinkError};
use crate::wire::{self, Answer, Ask, Header, Value, View};
use crate::{Error, Reply};
use paceline_core::{Millis, Name, SessionId};

pub use crate::wire::{LaneRow, LimitRow, ResourceRow};

/// The ledgers of a store, to be looked at. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    link: Arc<RedisLink>,
}

/// A ledger at one instant.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LedgerState {
    /// Its name: the account.
    pub name: Name,
    /// Its epoch, another after each loss of its state.
    pub epoch: String,
    /// How many steps were applied in this epoch.
    pub steps: u64,
    /// The limits, by name. Durations are in milliseconds, [`NEVER`](paceline_core::NEVER) where there is no end.
    pub limits: Vec<LimitRow>,
    /// The resources, by name, each with its lanes.
    pub resources: Vec<ResourceRow>,
    /// The sessions: those that are alive, and those whose death is still being settled.
    pub sessions: Vec<SessionState>,
    /// The session that keeps time for all; none where nobody waits for time to pass.
    pub keeper: Option<SessionId>,
    /// How long nothing is granted, so that sessions can report after the server was started anew.
    pub held_off: Duration,
}

/// A session of a ledger: one process, or one permit that was detached from its own.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionState {
    /// Its id.
    pub id: SessionId,
    /// What its process is called, with its host and its number; none for a permit that was detached.
    pub name: Option<String>,
    /// After what silence it is taken for dead; `None` where silence is no sign.
    pub time_out: Option<Duration>,
    /// What is left of that.
    pub expires_in: Option<Duration>,
    /// Whether it is dead, and what it left behind is being ended.
    pub dead: bool,
    /// How many batches it sent; a permit that was detached sends none.
    pub batches: u64,
    /// How many permits it holds.
    pub holds: u64,
    /// How many of its tickets wait.
    pub waiting: u64,
    /// Whether it has more of both than were counted: the first [`MOST_COUNTED`] are.
    pub more: bool,
}

/// How many permits and tickets of one session are counted.
pub const MOST_COUNTED: u64 = 1_000;

impl Store {
    /// Takes a store by its URL, as [`Builder::store`](crate::Builder::store) does, and the prefix of its keys. It
    /// connects when it is first used.
    pub fn open(url: &str, key_prefix: &str) -> Result<Self, Error> {
        Ok(Self { link: crate::store::redis::link_to(url, key_prefix)? })
    }

    /// Returns the URL without secrets.
    pub fn url(&self) -> &str {
        self.link.url()
    }

    /// Returns the names of all ledgers under the prefix, in order. It goes through the names of all keys of the
    /// server, some at a time.
    pub fn ledgers(&self) -> Reply<Vec<Name>> {
        let store = self.clone();
        there(async move {
            let names = store.link.ledgers().await.map_err(|error| store.unreachable(&error))?;
            Ok(names.into_iter().map(Name::from).collect())
        })
    }

    /// Looks at a ledger; `None` where there is none of this name.
    pub fn look(&self, ledger: &str) -> Reply<Option<LedgerState>> {
        self.see(ledger, true)
    }

    /// Looks at a ledger as [`look`](Self::look) does, and asks no more of the store however many sessions there are:
    /// the tickets of a session that wait are counted among what it holds.
    pub fn glance(&self, ledger: &str) -> Reply<Option<LedgerState>> {
        self.see(ledger, false)
    }

    fn see(&self, ledger: &str, closely: bool) -> Reply<Option<LedgerState>> {
        let (store, name) = (self.clone(), Name::from(ledger));
        there(async move {
            let present = store.link.keys_present(&name).await.map_err(|error| store.unreachable(&error))?;
            if present == 0 {
                return Ok(None);
            }
            if present < 5 {
                let reason = format!(
                    "{} of the five keys of ledger {name} are missing, so that its state is lost; it begins anew with \
                     the next call that asks it for something",
                    5 - present
                );
                return Err(store.unavailable(reason));
            }
            store.read(&name, closely).await.map(Some)
        })
    }

    async fn read(&self, name: &Name, closely: bool) -> Result<LedgerState, Error> {
        let mut answers = self.ask(name, &[Ask::Status, Ask::View]).await?.into_iter();
        let (Some(Answer::Told(told)), Some(Answer::Viewed(view))) = (answers.next(), answers.next()) else {
            return Err(self.unavailable("the script did not answer what was asked".to_owned()));
        };
        let mut state = state(name, &told, view);
        for session in state.sessions.iter_mut().filter(|_| closely) {
            // What never sent a batch is a detached permit.
            if session.holds == 0 || session.batches == 0 {
                continue;
            }
            let asked = Ask::Permits { session: Some(session.id), number: 0, most: MOST_COUNTED };
            if let Some(Answer::Permitted(rows, _)) = self.ask(name, &[asked]).await?.pop() {
                let holds = u64::try_from(rows.len()).unwrap_or(u64::MAX).min(session.holds);
                session.waiting = session.holds - holds;
                session.holds = holds;
            }
        }
        Ok(state)
    }

    pub(crate) async fn ask(&self, name: &Name, asks: &[Ask<'_>]) -> Result<Vec<Answer>, Error> {
        let batch = wire::write_batch(&Header { on_lost: "elapsed", ..Header::default() }, asks);
        let bytes = self.link.call(name, batch).await.map_err(|error| self.unreachable(&error))?;
        let reply = wire::read_reply(&bytes).map_err(|error| self.unavailable(error.to_string()))?;
        match reply.status {
            wire::Status::Ok => Ok(reply.outcomes),
            _ => Err(self.unavailable(format!("ledger {name} is of a newer version of paceline"))),
        }
    }

    fn unreachable(&self, error: &LinkError) -> Error {
        self.unavailable(error.reason().to_owned())
    }

    pub(crate) fn unavailable(&self, reason: String) -> Error {
        Error::StoreUnavailable { url: self.url().to_owned(), reason }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Store").field(&self.url()).finish()
    }
}

fn state(name: &Name, told: &Value, view: View) -> LedgerState {
    let sessions = match field(told, "sessions") {
        Some(Value::List(rows)) => rows.iter().filter_map(session).collect(),
        _ => Vec::new(),
    };
    LedgerState {
        name: Name::clone(name),
        epoch: field(told, "epoch").and_then(text).unwrap_or_default(),
        steps: field(told, "seq").and_then(number).unwrap_or(0),
        limits: view.limits,
        resources: view.resources,
        sessions,
        keeper: field(told, "keeper").and_then(session_id),
        held_off: Duration::from_millis(field(told, "held_off").and_then(number).unwrap_or(0)),
    }
}

/// Reads a row of a session. Permits and tickets are counted as permits until they are told apart.
fn session(row: &Value) -> Option<SessionState> {
    let Value::List(values) = row else { return None };
    let [id, time_out, expires_in, dead, batches, _, belongings, rest @ ..] = values.as_slice() else {
        return None;
    };
    let inbox = rest.first().and_then(text).unwrap_or_default();
    let belongings = number(belongings)?;
    Some(SessionState {
        id: session_id(id)?,
        name: label::of_channel(&inbox).map(str::to_owned),
        time_out: number(time_out).map(Duration::from_millis),
        expires_in: number(expires_in).map(Duration::from_millis),
        dead: matches!(dead, Value::True),
        batches: number(batches).unwrap_or(0),
        holds: belongings,
        waiting: 0,
        more: belongings >= MOST_COUNTED,
    })
}

fn field<'a>(table: &'a Value, name: &str) -> Option<&'a Value> {
    let Value::Table(pairs) = table else { return None };
    let named = |key: &Value| matches!(key, Value::Bytes(bytes) if bytes == name.as_bytes());
    pairs.iter().find(|(key, _)| named(key)).map(|(_, value)| value)
}

fn text(value: &Value) -> Option<String> {
    let Value::Bytes(bytes) = value else { return None };
    String::from_utf8(bytes.clone()).ok()
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast saturates")]
fn number(value: &Value) -> Option<Millis> {
    match value {
        Value::Int(number) => Some(u64::try_from(*number).unwrap_or(0)),
        Value::Float(number) if number.is_finite() => Some(*number as u64),
        _ => None,
    }
}

fn session_id(value: &Value) -> Option<SessionId> {
    let Value::Bytes(bytes) = value else { return None };
    Some(SessionId(u128::from_be_bytes(bytes.as_slice().try_into().ok()?)))
}
