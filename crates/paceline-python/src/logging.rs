//! Hands what the library logs to Python's logger `paceline`.
//!
//! The library may log while it holds a lock, and a thread that waits for that lock may hold the interpreter; so a
//! record is queued, and handed over by the call that caused it, or by a thread of its own.

use std::sync::atomic::{AtomicBool, Ordering};

use log::{Level, LevelFilter, Log, Metadata, Record};
use pyo3::prelude::*;

use crate::ending::attached;
use crate::process::OfProcess;

struct Forward;

struct Queue {
    records: Vec<(Level, String)>,
    /// Whether a thread is on its way to hand them over.
    carried: bool,
}

impl Queue {
    const fn new() -> Self {
        Self { records: Vec::new(), carried: false }
    }
}

static QUEUE: OfProcess<Queue> = OfProcess::new(Queue::new());
static SOME: AtomicBool = AtomicBool::new(false);

/// How many records wait at most; more are dropped.
const MOST: usize = 1_000;

/// Takes over the library's log.
pub(crate) fn install() {
    if log::set_logger(&Forward).is_ok() {
        log::set_max_level(LevelFilter::Info);
    }
}

impl Log for Forward {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("paceline")
    }

    fn log(&self, record: &Record<'_>) {
        // A server that the package's command runs writes its own.
        if !self.enabled(record.metadata()) || paceline_cli::log(record) {
            return;
        }
        let mut queue = QUEUE.lock();
        if queue.records.len() < MOST {
            queue.records.push((record.level(), record.args().to_string()));
        }
        SOME.store(true, Ordering::Release);
        if !queue.carried {
            queue.carried = std::thread::Builder::new().name("paceline-log".into()).spawn(carry).is_ok();
        }
    }

    fn flush(&self) {}
}

fn carry() {
    // While the interpreter ends nobody reads the log.
    let carried = attached(|py| {
        QUEUE.lock().carried = false;
        deliver(py);
    });
    if carried.is_none() {
        QUEUE.lock().carried = false;
    }
}

/// Hands over what was logged.
pub(crate) fn deliver(py: Python<'_>) {
    if !SOME.swap(false, Ordering::AcqRel) {
        return;
    }
    let records = std::mem::take(&mut QUEUE.lock().records);
    if let Err(error) = hand_over(py, records) {
        error.write_unraisable(py, None);
    }
}

fn hand_over(py: Python<'_>, records: Vec<(Level, String)>) -> PyResult<()> {
    let logger = py.import("logging")?.call_method1("getLogger", ("paceline",))?;
    for (level, message) in records {
        let level = match level {
            Level::Error => 40,
            Level::Warn => 30,
            Level::Info => 20,
            Level::Debug | Level::Trace => 10,
        };
        logger.call_method1("log", (level, "%s", message))?;
    }
    Ok(())
}

/// Begins anew in a forked child, which has no thread that carries.
pub(crate) fn forked() {
    QUEUE.renew(Queue::new());
}
