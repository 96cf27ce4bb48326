//! The ledger as bytes: with a version and a checksum, the same state giving the same bytes.

mod parts;
mod wire;

use alloc::vec::Vec;

use crate::ledger::{Ledger, Spot};
use crate::meter::Terms;
pub(crate) use wire::{Code, Reader};

const MAGIC: &[u8; 4] = b"PLdg";
const VERSION: u64 = 1;

/// Why bytes are not a ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecodeError {
    /// They do not begin as a ledger does.
    NotALedger,
    /// They were written by another version.
    Version {
        /// The version that wrote them.
        found: u64,
        /// The version that can be read.
        known: u64,
    },
    /// They end too early, or something in them was changed.
    Damaged,
}

impl core::fmt::Display for DecodeError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::NotALedger => f.write_str("these bytes are not a ledger"),
            Self::Version { found, known } => {
                write!(f, "a ledger of version {found}, the known one is {known}")
            }
            Self::Damaged => f.write_str("the ledger is damaged"),
        }
    }
}

impl core::error::Error for DecodeError {}

impl Ledger {
    /// Returns the ledger as bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::from(MAGIC);
        VERSION.put(&mut out);
        self.put(&mut out);
        let sum = checksum(&out);
        out.extend_from_slice(&sum.to_le_bytes());
        out
    }

    /// Returns the ledger that was encoded to these bytes.
    ///
    /// # Errors
    ///
    /// Says whether the bytes are something else, of another version, or damaged.
    ///
    /// ```
    /// use paceline_core::{DecodeError, Ledger};
    ///
    /// let bytes = Ledger::new().encode();
    /// assert!(Ledger::decode(&bytes).is_ok());
    /// assert_eq!(Ledger::decode(&bytes[1..]).unwrap_err(), DecodeError::NotALedger);
    /// ```
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let Some((MAGIC, rest)) = bytes.split_first_chunk() else { return Err(DecodeError::NotALedger) };
        let (rest, sum) = rest.split_last_chunk::<8>().ok_or(DecodeError::Damaged)?;
        let mut reader = Reader::new(rest);
        let found = u64::get(&mut reader)?;
        if found != VERSION {
            return Err(DecodeError::Version { found, known: VERSION });
        }
        let summed = bytes.get(..bytes.len() - 8).unwrap_or_default();
        if checksum(summed) != u64::from_le_bytes(*sum) {
            return Err(DecodeError::Damaged);
        }
        let mut ledger = Self::get(&mut reader)?;
        ledger.rebuild()?;
        Ok(ledger)
    }

    /// Works out what follows from the rest of the state.
    fn rebuild(&mut self) -> Result<(), DecodeError> {
        for limit in &mut self.limits {
            let observed = limit.observed.map_or(u64::MAX, |(amount, _)| amount);
            let terms = Terms::of(&limit.spec, observed).map_err(|_| DecodeError::Damaged)?;
            limit.adopt_terms(terms);
        }
        for (number, limit) in (0..).zip(&self.limits) {
            self.limit_names.insert(limit.spec.id.clone(), number);
        }
        for (number, resource) in (0..).zip(&self.resources) {
            self.resource_names.insert(resource.spec.name.clone(), number);
        }
        for (number, hold) in self.holds.iter() {
            self.spots.insert(hold.id, Spot::Held(number));
            let resource = self.resources.get_mut(hold.resource as usize).ok_or(DecodeError::Damaged)?;
            resource.in_flight += 1;
            if hold.owner != hold.id.session
                && let Some(owner) = self.sessions.all.get_mut(&hold.owner)
            {
                owner.adopted.insert(hold.id);
            }
        }
        self.rebuild_lanes()?;
        self.sessions.rebuild();
        self.connect();
        Ok(())
    }

    fn rebuild_lanes(&mut self) -> Result<(), DecodeError> {
        for (number, lane) in self.lanes.iter() {
            let resource = self.resources.get_mut(lane.resource as usize).ok_or(DecodeError::Damaged)?;
            match &lane.name {
                Some(name) => {
                    resource.lanes.insert(name.clone(), number);
                }
                None => resource.unnamed = Some(number),
            }
            resource.idle_lanes += 1;
        }
        let tickets: Vec<_> = self.tickets.iter().map(|(number, ticket)| (number, ticket.clone())).collect();
        for (number, ticket) in tickets {
            let resource =
                self.lanes.get(ticket.lane).map(|lane| lane.resource).ok_or(DecodeError::Damaged)?;
            self.stand(number, &ticket, resource);
        }
        Ok(())
    }
}

/// FNV-1a, 64 bits.
fn checksum(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
