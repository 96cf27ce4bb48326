//! What the server logs, and how: lines for people, or JSON for programs, filtered by `RUST_LOG`.

use std::io::Write;
use std::sync::OnceLock;

use log::{Log, Record};

use crate::clock;

/// What writes the log of this process, once it has begun.
static WRITER: OnceLock<env_logger::Logger> = OnceLock::new();

/// Writes a record, and returns whether this process writes logs: a host program's own logger asks.
pub(crate) fn write(record: &Record<'_>) -> bool {
    let writer = WRITER.get();
    writer.inspect(|writer| writer.log(record));
    writer.is_some()
}

struct Written;

impl Log for Written {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        WRITER.get().is_some_and(|writer| writer.enabled(metadata))
    }

    fn log(&self, record: &Record<'_>) {
        write(record);
    }

    fn flush(&self) {}
}

/// Begins to log to the standard error.
pub(super) fn start(json: bool) {
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
    let writer = WRITER.get_or_init(|| builder.build());
    // Inside of Python there is a logger already, which passes on what it is given.
    let _ = log::set_logger(&Written);
    log::set_max_level(writer.filter());
}
