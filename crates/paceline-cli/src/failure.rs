//! What ends a command with exit code 1, in the words that its user reads.

use std::fmt;
use std::io;

use paceline::config::ConfigError;

/// Why a command could not do what it was asked.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The configuration is wrong; it says where.
    Config(ConfigError),
    /// The library says no.
    Paceline(paceline::Error),
    /// A file, a socket or a stream fails.
    Io {
        /// What it is.
        what: String,
        /// What went wrong.
        error: io::Error,
    },
    /// A provider answered what nobody expects.
    Call(String),
    /// Something about the input, and what to do.
    Input(String),
}

impl Failure {
    /// Returns a function that names the file or socket behind an error.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |error| Self::Io { what, error }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::Paceline(error) => error.fmt(f),
            Self::Io { what, error } => write!(f, "{what}: {error}"),
            Self::Call(text) | Self::Input(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Config(error) => Some(error),
            Self::Paceline(error) => Some(error),
            Self::Io { error, .. } => Some(error),
            Self::Call(_) | Self::Input(_) => None,
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

impl From<paceline::Error> for Failure {
    fn from(error: paceline::Error) -> Self {
        Self::Paceline(error)
    }
}
