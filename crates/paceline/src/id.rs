//! The name of a permit, which any process can settle it by.

use std::fmt;
use std::str::FromStr;

use paceline_core::{Name, SessionId, TicketId};

/// The name of a permit: its ledger, the session that asked, and its number there. As text it can be stored, sent, and
/// parsed again.
///
/// ```
/// use paceline::PermitId;
///
/// let text = "openai.000000000000000000000000000000ff.42";
/// let id: PermitId = text.parse()?;
/// assert_eq!(id.to_string(), text);
/// # Ok::<(), paceline::InvalidPermitId>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PermitId {
    pub(crate) ledger: Name,
    pub(crate) ticket: TicketId,
}

impl PermitId {
    /// Returns the id of a ticket of a ledger.
    pub fn new(ledger: impl Into<Name>, ticket: TicketId) -> Self {
        Self { ledger: ledger.into(), ticket }
    }
}

/// A text that names no permit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidPermitId(String);

impl PermitId {
    /// The name of all permits of a resource that is counted nowhere.
    pub(crate) fn nowhere(resource: &Name) -> Self {
        Self { ledger: Name::clone(resource), ticket: TicketId::default() }
    }

    pub(crate) fn is_nowhere(&self) -> bool {
        self.ticket == TicketId::default()
    }

    /// Returns the name of the ledger that granted it.
    pub fn ledger(&self) -> &str {
        &self.ledger
    }

    /// Returns its ticket.
    pub fn ticket(&self) -> TicketId {
        self.ticket
    }
}

impl fmt::Display for PermitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:032x}.{}", self.ledger, self.ticket.session.0, self.ticket.number)
    }
}

impl FromStr for PermitId {
    type Err = InvalidPermitId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).ok_or_else(|| InvalidPermitId(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<PermitId> {
    let mut parts = text.rsplitn(3, '.');
    let number = parts.next()?.parse().ok()?;
    let session = parts.next().filter(|session| session.len() == 32)?;
    let session = SessionId(u128::from_str_radix(session, 16).ok()?);
    let ledger = parts.next()?.into();
    Some(PermitId { ledger, ticket: TicketId { session, number } })
}

impl fmt::Display for InvalidPermitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} is no permit id: it is LEDGER.SESSION.NUMBER, the session as 32 hexadecimal digits",
            self.0
        )
    }
}

impl std::error::Error for InvalidPermitId {}
