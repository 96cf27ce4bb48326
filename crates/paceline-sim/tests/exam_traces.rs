//! Runs every trace on every store that can be told the time.

mod traces;

use paceline_sim::exam::{InMemory, model::Model};
use traces::check;

#[test]
fn every_trace_holds_on_the_model() {
    check(Model::new);
}

#[test]
fn every_trace_holds_on_the_ledger() {
    check(InMemory::new);
}
