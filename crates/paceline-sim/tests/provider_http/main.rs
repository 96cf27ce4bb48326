//! The fake provider over real sockets, in each vendor's words.
#![cfg(feature = "provider")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its functions too")]

mod anthropic;
mod client;
mod faults;
mod gemini;
mod limits;
mod openai;
mod others;
mod report;
