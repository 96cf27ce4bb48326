//! What can go wrong on purpose.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::dice::Dice;

/// A fault that a request asks for with the header `x-fake-fault`, or that the configuration deals out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Fault {
    /// The call is counted and answered with status 500.
    #[serde(rename = "500")]
    Internal,
    /// The call is counted and answered with status 503.
    #[serde(rename = "503")]
    Unavailable,
    /// The call is counted and answered with status 529, Anthropic's "overloaded".
    #[serde(rename = "529")]
    Overloaded,
    /// The answer takes ten times as long.
    #[serde(rename = "slow")]
    Slow,
    /// The connection closes in the middle of the answer's body.
    #[serde(rename = "cut")]
    Cut,
    /// If the call is refused, the hint when to come back is a tenth of the truth.
    #[serde(rename = "wrong-retry-after")]
    WrongRetryAfter,
    /// The call is counted and the connection reset before the answer.
    #[serde(rename = "reset")]
    Reset,
}

impl Fault {
    /// Every fault, in the order of declaration.
    pub const ALL: [Self; 7] = [
        Self::Internal,
        Self::Unavailable,
        Self::Overloaded,
        Self::Slow,
        Self::Cut,
        Self::WrongRetryAfter,
        Self::Reset,
    ];

    /// Returns the name that the header and the configuration use, for example `503` or `cut`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Internal => "500",
            Self::Unavailable => "503",
            Self::Overloaded => "529",
            Self::Slow => "slow",
            Self::Cut => "cut",
            Self::WrongRetryAfter => "wrong-retry-after",
            Self::Reset => "reset",
        }
    }

    /// Finds a fault by its name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|fault| fault.name() == name)
    }

    /// Returns the status of a fault that is a plain answer.
    pub(super) fn status(self) -> Option<u16> {
        match self {
            Self::Internal => Some(500),
            Self::Unavailable => Some(503),
            Self::Overloaded => Some(529),
            Self::Slow | Self::Cut | Self::WrongRetryAfter | Self::Reset => None,
        }
    }
}

/// Throws for each fault in turn; the first that its probability grants happens.
pub(super) fn deal(probabilities: &BTreeMap<Fault, f64>, mut dice: Dice) -> Option<Fault> {
    probabilities.iter().find(|&(_, &probability)| dice.unit() < probability).map(|(&fault, _)| fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_dealt_as_often_as_configured() {
        let probabilities = BTreeMap::from([(Fault::Internal, 0.0), (Fault::Slow, 0.25)]);
        let dealt = (0..1_000).filter_map(|n| deal(&probabilities, Dice::new(3, n)));
        let slow = dealt.inspect(|&fault| assert_eq!(fault, Fault::Slow)).count();
        assert!((200..300).contains(&slow), "{slow}");
    }

    #[test]
    fn a_name_leads_back_to_its_fault() {
        for fault in Fault::ALL {
            assert_eq!(Fault::named(fault.name()), Some(fault));
        }
        assert_eq!(Fault::named("418"), None);
    }
}
