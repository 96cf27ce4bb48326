//! The file of a host.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| paceline::fuzzing::state_file(bytes));
