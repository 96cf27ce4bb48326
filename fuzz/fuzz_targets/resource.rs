//! Resources that are put.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| paceline_server::fuzzing::resource(bytes));
