//! Frames of the session protocol.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| paceline::fuzzing::frames(bytes));
