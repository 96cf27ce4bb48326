//! The switch for a bad night.

use std::str::FromStr;

use crate::Error;

/// How much the limits say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Callers wait for room.
    #[default]
    Enforce,
    /// Every limit is charged and none is asked: nobody waits, snapshots show what would have been over.
    Shadow,
    /// Nothing is asked and nothing is counted.
    Off,
}

impl Mode {
    /// Returns what `PACELINE_MODE` says, [`Mode::Enforce`] where it is not set.
    pub fn from_env() -> Result<Self, Error> {
        match std::env::var("PACELINE_MODE") {
            Ok(mode) => mode.parse(),
            Err(std::env::VarError::NotPresent) => Ok(Self::Enforce),
            Err(std::env::VarError::NotUnicode(mode)) => {
                Err(Error::UnknownMode(mode.to_string_lossy().into()))
            }
        }
    }
}

impl FromStr for Mode {
    type Err = Error;

    fn from_str(mode: &str) -> Result<Self, Error> {
        match mode.trim().to_ascii_lowercase().as_str() {
            "" | "enforce" => Ok(Self::Enforce),
            "shadow" => Ok(Self::Shadow),
            "off" => Ok(Self::Off),
            _ => Err(Error::UnknownMode(mode.to_owned())),
        }
    }
}
