//! Refusals and faults of configurations, by name.

use paceline_core::{Refusal, SpecError};

use super::reader::{Reader, WireError};

/// The values of a configuration that a fault can name.
const FIELDS: [&str; 14] = [
    "amount",
    "burst",
    "window",
    "period",
    "phase",
    "slots",
    "margin",
    "transit",
    "boundaries",
    "counting",
    "members",
    "metrics",
    "line_max",
    "weight",
];

impl Reader<'_> {
    /// Reads the values of a refusal, and returns it with how many there were.
    pub(super) fn refusal(&mut self) -> Result<(Refusal, usize), WireError> {
        let refusal = match self.text()? {
            "impossible" => {
                Refusal::Impossible { limit: self.name()?, wanted: self.uint()?, most: self.uint()? }
            }
            "too_late" => Refusal::TooLate { limit: self.name()?, ready_in: self.millis()? },
            "line_full" => Refusal::LineFull { waiting: self.count()?, most: self.count()? },
            "busy" => Refusal::Busy { limit: self.name_or_none()?, ready_in: self.millis()? },
            "paused" => Refusal::Paused { ends_in: self.millis()? },
            "unknown_lane" => Refusal::UnknownLane { lane: self.name()? },
            "no_resource" => Refusal::NoResource,
            "purged" => Refusal::Purged,
            _ => return Err(WireError::Expected("a refusal")),
        };
        let values = match &refusal {
            Refusal::Impossible { .. } => 4,
            Refusal::TooLate { .. } | Refusal::LineFull { .. } | Refusal::Busy { .. } => 3,
            Refusal::Paused { .. } | Refusal::UnknownLane { .. } => 2,
            Refusal::NoResource | Refusal::Purged => 1,
        };
        Ok((refusal, values))
    }

    fn count(&mut self) -> Result<u32, WireError> {
        Ok(u32::try_from(self.uint()?).unwrap_or(u32::MAX))
    }

    /// Reads `kind, id, field or resource, value, most`, of which `values` are there.
    pub(super) fn fault(&mut self, values: usize) -> Result<SpecError, WireError> {
        let kind = self.text()?;
        let id = self.name()?;
        let third = if values > 2 && !self.none()? { self.text()? } else { "" };
        let mut number = |at: usize| if values > at && !self.none()? { self.uint() } else { Ok(0) };
        let (value, most) = (number(3)?, number(4)?);
        let field = FIELDS.iter().find(|field| **field == third).copied().unwrap_or("max_head_start");
        Ok(match kind {
            "zero" => SpecError::Zero { id, field },
            "too_large" => SpecError::TooLarge { id, field, value, most },
            "burst_too_small" => SpecError::BurstTooSmall { id, burst: value, least: most },
            "not_ascending" => SpecError::NotAscending { id },
            "duplicate" => SpecError::Duplicate { id },
            "unknown_resource" => SpecError::UnknownResource { id, resource: third.into() },
            "contradiction" => SpecError::Contradiction { id, field },
            _ => return Err(WireError::Expected("a fault of a configuration")),
        })
    }
}
