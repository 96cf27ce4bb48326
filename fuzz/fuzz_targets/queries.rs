//! Queries of addresses.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| paceline_server::fuzzing::queries(bytes));
