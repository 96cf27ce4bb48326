//! Replies to sessions.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| paceline::fuzzing::reply(bytes));
