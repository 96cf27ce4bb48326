//! The real binary, as people and programs run it.

mod check;
mod demo;
mod explain;
mod fake_provider;
mod help;
mod run;
mod simulate;
