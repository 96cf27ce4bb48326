//! The fake provider over real sockets, in each vendor's words.
#![cfg(feature = "provider")]

mod anthropic;
mod client;
mod faults;
mod gemini;
mod limits;
mod openai;
mod others;
mod report;
