//! The commands, a file each.

pub(crate) mod apply;
pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod demo;
pub(crate) mod explain;
pub(crate) mod fake_provider;
pub(crate) mod operate;
pub(crate) mod schema;
pub(crate) mod serve;
pub(crate) mod simulate;
pub(crate) mod status;
pub(crate) mod top;

use crate::failure::Failure;

/// A command that came to its end: what it prints, and whether the answer is yes.
#[derive(Debug)]
pub(crate) struct Done {
    /// What goes to the standard output.
    pub(crate) text: String,
    /// Whether the exit code is 0.
    pub(crate) success: bool,
}

impl Done {
    /// Returns an end with exit code 0.
    pub(crate) fn well(text: String) -> Self {
        Self { text, success: true }
    }

    /// Returns an end with one line of JSON.
    pub(crate) fn json(value: &impl serde::Serialize, success: bool) -> Result<Self, Failure> {
        let text = serde_json::to_string(value).map_err(|error| Failure::Input(error.to_string()))?;
        Ok(Self { text: text + "\n", success })
    }
}

/// Writes a record to the log of a command that keeps one.
pub(crate) fn log(record: &log::Record<'_>) -> bool {
    serve::log(record)
}

/// Returns a runtime for commands that use sockets.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Failure::io("runtime"))
}
