//! Bytes that are nearly right, for everything that reads what others wrote. `fuzz/` looks for longer.
#![cfg(feature = "fuzzing")]

use paceline_server::fuzzing::{TARGETS, seeds};
use paceline_testkit::mutate;

/// Results of each target; `PACELINE_MUTATIONS` says otherwise.
const MANY: u64 = 20_000;

#[test]
fn no_bytes_make_a_reader_panic() {
    let many = std::env::var("PACELINE_MUTATIONS").ok().and_then(|text| text.parse().ok()).unwrap_or(MANY);
    for (name, target) in TARGETS {
        mutate(name, &seeds(name), many, target);
    }
}
