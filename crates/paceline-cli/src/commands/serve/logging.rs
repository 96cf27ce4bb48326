//! What the server logs, and how: lines for people, or JSON for programs, filtered by `RUST_LOG`.

use std::io::Write;

use crate::clock;
use crate::failure::Failure;

/// Begins to log to the standard error.
pub(super) fn start(json: bool) -> Result<(), Failure> {
    let mut builder = env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("info"));
    builder.target(env_logger::Target::Stderr).format(move |out, record| {
        let at = clock::written(clock::unix_ms());
        let (level, target) = (record.level(), record.target());
        if !json {
            return writeln!(out, "{at} {level:<5} {}", record.args());
        }
        let message = record.args().to_string();
        let line =
            serde_json::json!({"at": at, "level": level.as_str(), "target": target, "message": message});
        writeln!(out, "{line}")
    });
    builder.try_init().map_err(|error| Failure::Input(error.to_string()))
}
