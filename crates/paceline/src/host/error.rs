//! Why a host cannot be opened.

use std::fmt;
use std::path::PathBuf;

/// Why the file of a host cannot be opened. Each message says what to do.
#[derive(Debug)]
#[non_exhaustive]
pub enum HostError {
    /// Another process has it open.
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// A newer version wrote it.
    Newer {
        /// The file.
        path: PathBuf,
        /// The version that wrote it.
        found: u32,
        /// The newest that can be read.
        known: u32,
    },
    /// It is no file of a host, or something in it was changed.
    Damaged {
        /// The file.
        path: PathBuf,
        /// From which byte on it cannot be read.
        at: u64,
    },
    /// It cannot be read or written.
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy { path } => {
                write!(
                    f,
                    "{} is in use by another process: stop that one, or name another file",
                    path.display()
                )
            }
            Self::Newer { path, found, known } => write!(
                f,
                "{} was written by a newer version (format {found}, this one reads up to {known}): \
                 run that version, or name another file",
                path.display()
            ),
            Self::Damaged { path, at } => write!(
                f,
                "{} cannot be read from byte {at} on, so what was granted is not known: restore a copy, or move the \
                 file away to begin anew with every limit full",
                path.display()
            ),
            Self::Io { path, source } => write!(f, "{} cannot be opened: {source}", path.display()),
        }
    }
}

impl std::error::Error for HostError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}
