//! The audit log: who did what of those things that only an administrator may do.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

use super::Caller;
use crate::clock;

/// Where admin actions are written, a line of JSON each.
pub(crate) struct Audit {
    file: Option<Mutex<File>>,
}

impl Audit {
    /// Opens the log; without a path it is the server's own log alone.
    pub(crate) fn open(path: Option<&Path>) -> io::Result<Self> {
        let open = |path: &Path| OpenOptions::new().append(true).create(true).mode(0o600).open(path);
        Ok(Self { file: path.map(open).transpose()?.map(Mutex::new) })
    }

    /// Notes what somebody has done.
    pub(crate) fn note(&self, who: &Caller, what: &str, of: &str, more: &Value) {
        log::info!("{} did {what} of {of}", who.name());
        let Some(file) = &self.file else { return };
        let at = clock::written(clock::unix_ms());
        let line = json!({"at": at, "who": who.name(), "what": what, "of": of, "with": more});
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = writeln!(file, "{line}").and_then(|()| file.sync_data()) {
            log::error!("the audit log cannot be written: {error}; {line} is missing there");
        }
    }
}
