//! The file of keys.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| paceline_server::fuzzing::key_file(bytes));
