//! The real binary, as people and programs run it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod check;
mod demo;
mod deploy;
mod explain;
mod fake_provider;
mod help;
mod operate;
mod processes;
mod run;
mod serve;
mod simulate;
mod status;
mod top;
