//! Tickets in sessions of their own, for callers that keep no session: those of plain HTTP, or of a shell.
//!
//! Each acquire opens a session, whose id the caller chooses, so that asking again asks how that ticket stands. The
//! session lives for [`patience`](PlainAsk::patience) after each poll while it waits, for its
//! [`lease`](PlainAsk::lease) once it is granted, and ends with its settlement. The ledger alone knows of it: any
//! process on the same store can poll and settle. Only for stores that processes share.

use std::time::Duration;

use paceline_core::{Millis, NEVER, Name, SessionId, TicketId};

use crate::acquire::Request;
use crate::clock::whole_ms;
use crate::permit::Settled;
use crate::resource::Counter;
use crate::store::Account;
use crate::store::shared::Shared;
use crate::{Demand, Error, Limiter, PermitId, Resource, Usage};

/// How a ticket is asked for, and polled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlainAsk {
    /// The lane, if any.
    pub lane: Option<String>,
    /// The time within which a grant is of use. Counted from this call: who polls says what is left of it.
    pub timeout: Option<Duration>,
    /// How much earlier it counts as having arrived, as far as its lane allows.
    pub head_start: Duration,
    /// Refuses at once where the wait is expected to be longer.
    pub max_expected_wait: Option<Duration>,
    /// Whether to wait in line; otherwise the answer is at once.
    pub wait: bool,
    /// How long this call waits for the decision. Needs a tokio runtime with time.
    pub poll: Duration,
    /// How long the ticket keeps its place after a poll.
    pub patience: Duration,
    /// How long the permit lives that nobody settles or renews.
    pub lease: Duration,
}

/// How a ticket stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plain {
    /// It is granted.
    Granted {
        /// The permit.
        permit: PermitId,
        /// How long it waited in line, where this process saw that.
        waited: Duration,
        /// Its resource, where this process asked for it and had not told of the grant before.
        news_of: Option<Name>,
    },
    /// It waits.
    Waiting {
        /// The ticket, which becomes the permit's id.
        ticket: PermitId,
        /// How many of its lane were before it when it was last asked about.
        ahead: u64,
        /// How long the wait is expected to be, where the caller set a bound to it.
        expected: Option<Duration>,
    },
}

/// How a ticket or permit ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlainEnd {
    /// The call used so much.
    Settle(Usage),
    /// The call never left, or the place is given up.
    GiveBack,
}

impl Default for PlainAsk {
    fn default() -> Self {
        Self {
            lane: None,
            timeout: None,
            head_start: Duration::ZERO,
            max_expected_wait: None,
            wait: true,
            poll: Duration::ZERO,
            patience: Duration::from_secs(30),
            lease: Duration::from_mins(15),
        }
    }
}

/// What ends the id of every such session, so that it is told from those of processes.
const MARK: u128 = 0x504C_4149;

/// Returns whether a session is one ticket's own.
pub(crate) fn is_plain(session: SessionId) -> bool {
    session.0 & 0xFFFF_FFFF == MARK
}

fn ticket_of(id: u128) -> TicketId {
    TicketId { session: SessionId(id & !0xFFFF_FFFF | MARK), number: 1 }
}

impl PlainAsk {
    pub(crate) fn timeout_ms(&self) -> Millis {
        self.timeout.map_or(NEVER, whole_ms)
    }
}

impl Resource {
    /// Asks for a permit in a session of its own. The first 96 bits of `session` name it: asking again with them
    /// changes nothing, and is answered with how that ticket stands.
    ///
    /// # Errors
    /// As those of [`acquire`](Self::acquire); [`Error::PermitOver`] where that ticket was settled, cancelled or refused
    /// before.
    pub async fn plain(&self, session: u128, demand: Demand, ask: &PlainAsk) -> Result<Plain, Error> {
        let request = Request {
            demand,
            lane: ask.lane.as_deref().map(Name::from),
            head_start: whole_ms(ask.head_start),
            timeout: ask.timeout_ms(),
            max_expected_wait: ask.max_expected_wait.map_or(NEVER, whole_ms),
            at_once: !ask.wait,
        };
        let (account, asking) = self.shared(&request)?;
        account.plain(&asking, ticket_of(session), ask).await
    }
}

impl Limiter {
    /// Asks how a ticket stands, and keeps its place.
    ///
    /// # Errors
    /// [`Error::PermitOver`] where it left the line: it was not polled for longer than its patience, cancelled, refused or
    /// settled.
    pub async fn plain_poll(&self, ticket: &PermitId, ask: &PlainAsk) -> Result<Plain, Error> {
        self.plain_account(ticket)?.plain_poll(ticket.ticket, ask).await
    }

    /// Ends all polls that are under way: each is answered as when its time is over.
    pub fn end_polls(&self) {
        for account in self.0.store.accounts() {
            if let Account::Shared(account) = account {
                account.end_polls();
            }
        }
    }

    /// Ends a permit, or gives up a place in line.
    pub async fn plain_end(&self, permit: &PermitId, end: PlainEnd) -> Result<Settled, Error> {
        self.plain_account(permit)?.plain_end(permit.ticket, end).await
    }

    /// Lets a permit live for this long from now on.
    pub async fn plain_renew(&self, permit: &PermitId, lease: Duration) -> Result<(), Error> {
        self.plain_account(permit)?.plain_renew(permit.ticket, whole_ms(lease).max(1)).await
    }

    /// Changes what a permit reserves.
    pub async fn plain_amend(&self, permit: &PermitId, demand: Demand) -> Result<Settled, Error> {
        self.plain_account(permit)?.plain_amend(permit.ticket, &demand).await
    }

    fn plain_account(&self, permit: &PermitId) -> Result<std::sync::Arc<Shared>, Error> {
        match self.0.store.account_of(permit)? {
            Account::Shared(account) => Ok(account),
            Account::Memory(_) => Err(unshared()),
        }
    }
}

/// What a resource of a store in memory answers, in which every caller is of one session.
pub(crate) fn unshared() -> Error {
    let reason = "a ticket has a session of its own only on a store that processes share".to_owned();
    Error::StoreUnavailable { url: "memory://".to_owned(), reason }
}

impl Resource {
    fn shared<'a>(
        &'a self,
        request: &'a Request,
    ) -> Result<(&'a std::sync::Arc<Shared>, crate::store::Asking<'a>), Error> {
        match self.counter() {
            Counter::Account { account: Account::Shared(account), slot } => {
                Ok((account, self.limiter().asking(*slot, request)))
            }
            _ => Err(unshared()),
        }
    }
}
