//! Batches of sessions, carried out by a host.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| paceline::fuzzing::batch(bytes));
