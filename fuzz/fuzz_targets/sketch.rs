//! What the file of a host keeps.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| paceline::fuzzing::sketch(bytes));
