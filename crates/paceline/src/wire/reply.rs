//! Replies and pushes.

use paceline_core::{Millis, Name, Refusal, SessionId};

use super::outcome::Answer;
use super::reader::{Reader, WireError};

/// The answer to a batch.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// What became of the batch as a whole.
    pub status: Status,
    /// The ledger's epoch.
    pub epoch: String,
    /// The number of the ledger's step.
    pub seq: u64,
    /// Until when the ledger will exist whatever happens, in milliseconds of the store's clock.
    pub kept_until: u64,
    /// The store's clock at this step, in milliseconds.
    pub wall: u64,
    /// After how many milliseconds a batch must follow; `None` where the session does not keep time.
    pub due: Option<Millis>,
    /// Decisions on tickets that waited.
    pub outbox: Vec<Entry>,
    /// An outcome for each command.
    pub outcomes: Vec<Answer>,
    /// How many sessions are alive that have a time-out.
    pub alive: u64,
    /// Up to which step the ledger was restored, below zero where nothing was; only where it is lost.
    pub restored: Option<i64>,
}

/// What became of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It was applied, here or before.
    Ok,
    /// A later one was applied already.
    Stale,
    /// The ledger lost its state.
    Lost,
    /// The session is dead.
    Expired,
    /// The ledger is of a newer version.
    Newer,
}

/// One entry of an outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its number.
    pub k: u64,
    /// What it says.
    pub decided: Decided,
}

/// What an outbox tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decided {
    /// A ticket has its permit.
    Granted {
        /// The ticket's number.
        number: u64,
        /// How long it waited, in milliseconds.
        waited: Millis,
        /// The store's clock at the grant, in milliseconds.
        wall: u64,
    },
    /// A ticket will not be served.
    Refused {
        /// The ticket's number.
        number: u64,
        /// Why.
        refusal: Refusal,
    },
    /// Another configuration of a resource won.
    Differs {
        /// The resource.
        resource: Name,
    },
    /// A permit ended without this session's doing.
    Ended {
        /// Its number.
        number: u64,
    },
    /// Something that this version does not know.
    Other,
}

/// A push: only a hint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Push {
    /// The session that it is for.
    pub session: SessionId,
    /// The ledger's epoch.
    pub epoch: String,
    /// What the outbox has.
    pub outbox: Vec<Entry>,
    /// After how many milliseconds the session must send a batch, where it keeps time from now on.
    pub due: Option<Millis>,
}

/// Reads a reply.
pub fn read_reply(bytes: &[u8]) -> Result<Reply, WireError> {
    let mut reader = Reader::new(bytes);
    let values = reader.array()?;
    if values < 9 {
        return Err(WireError::Expected("a reply"));
    }
    let status = reader.status()?;
    let epoch = reader.text()?.to_owned();
    let (seq, kept_until, wall) = (reader.uint()?, reader.uint()?, reader.uint()?);
    let due = reader.millis_or_none()?;
    let outbox = reader.list(Reader::entry)?;
    let outcomes = reader.list(Reader::answer)?;
    let alive = reader.uint()?;
    let restored = if values > 9 && !reader.none()? { Some(reader.int()?) } else { None };
    for _ in 10..values {
        reader.skip()?;
    }
    reader.end()?;
    Ok(Reply { status, epoch, seq, kept_until, wall, due, outbox, outcomes, alive, restored })
}

/// Reads the payload of a push.
pub fn read_push(bytes: &[u8]) -> Result<Push, WireError> {
    let mut reader = Reader::new(bytes);
    let values = reader.array()?;
    if values < 4 {
        return Err(WireError::Expected("a push"));
    }
    let session = reader.session()?;
    let epoch = reader.text()?.to_owned();
    let outbox = reader.list(Reader::entry)?;
    let due = reader.millis_or_none()?;
    for _ in 4..values {
        reader.skip()?;
    }
    reader.end()?;
    Ok(Push { session, epoch, outbox, due })
}

impl Reader<'_> {
    fn status(&mut self) -> Result<Status, WireError> {
        Ok(match self.text()? {
            "ok" => Status::Ok,
            "stale" => Status::Stale,
            "lost" => Status::Lost,
            "expired" => Status::Expired,
            "busy" => Status::Newer,
            _ => return Err(WireError::Expected("a status")),
        })
    }

    fn entry(&mut self) -> Result<Entry, WireError> {
        let values = self.array()?;
        let k = self.uint()?;
        let (decided, read) = match self.text()? {
            "granted" => {
                let (number, waited, wall) = (self.uint()?, self.millis()?, self.uint()?);
                (Decided::Granted { number, waited, wall }, 5)
            }
            "refused" => {
                let number = self.uint()?;
                let (refusal, read) = self.refusal()?;
                (Decided::Refused { number, refusal }, 3 + read)
            }
            "differs" => (Decided::Differs { resource: self.name()? }, 3),
            "ended" => (Decided::Ended { number: self.uint()? }, 3),
            _ => (Decided::Other, 2),
        };
        for _ in read..values {
            self.skip()?;
        }
        Ok(Entry { k, decided })
    }

    fn end(&self) -> Result<(), WireError> {
        if self.is_empty() { Ok(()) } else { Err(WireError::Expected("the end")) }
    }
}
