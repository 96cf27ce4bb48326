//! Batches that pass through a server.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| paceline::fuzzing::route(bytes));
