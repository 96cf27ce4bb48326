//! Every trace, and a slice of the random stories, told to a host through a real `WebSocket`.

mod exam;
mod traces;
mod twin;

use exam::generate::{cases, world};
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use twin::Twin;
use twin::compare::compare;
use twin::wired::Wired;

const MOVES: usize = 60;

#[test]
fn every_trace_holds_through_the_wire() {
    traces::check(|| Twin::on(Wired::new()));
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: cases(MOVES, 3_000),
        max_shrink_iters: 500,
        failure_persistence: Some(Box::new(FileFailurePersistence::Off)),
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_ledger_and_a_host_through_the_wire_agree(world in world(MOVES)) {
        if let Err(error) = compare(&world, &mut Twin::on(Wired::new())) {
            return Err(TestCaseError::fail(error));
        }
    }
}
