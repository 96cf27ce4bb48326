//! Tells every trace to a store.

#![allow(clippy::unwrap_used, reason = "a trace that cannot be read fails the test")]

use std::path::Path;

use paceline_sim::exam::{Subject, trace};

/// Tells each trace to a subject of its own; `PACELINE_TRACE` chooses some by their names.
pub(crate) fn check<S: Subject>(new: impl Fn() -> S) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../traces");
    let only = std::env::var("PACELINE_TRACE").unwrap_or_default();
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|ending| ending == "trace"));
    files.sort();
    assert!(files.len() >= 90, "only {} traces", files.len());
    let mut failures = Vec::new();
    for file in files {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        if !name.contains(&only) {
            continue;
        }
        let text = std::fs::read_to_string(&file).unwrap();
        if let Err(error) = trace::run(&format!("traces/{name}"), &text, &mut new()) {
            failures.push(error);
        }
    }
    assert!(failures.is_empty(), "{} traces do not hold:\n{}", failures.len(), failures.join("\n"));
}
