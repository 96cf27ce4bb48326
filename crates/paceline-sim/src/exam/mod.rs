//! The exam that every store must pass: traces that read like stories, and a slow, obvious model to compare with.

mod ask;
mod ledger;
pub mod model;
mod parts;
mod script;
pub mod trace;
mod words;
mod write;

pub use ask::{Answer, Ask, LimitFacts, On, ResourceFacts, Subject, View, Want, Wants};
pub use ledger::InMemory;
pub use words::{write_answer, write_decision, write_duration, write_ticket};
pub use write::write_ask;
