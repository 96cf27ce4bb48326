//! Every trace, and a slice of the random stories, told to a host of sessions.

mod exam;
mod traces;
mod twin;

use exam::generate::{cases, world};
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use twin::Twin;
use twin::compare::compare;
use twin::sessions::Hosted;

const MOVES: usize = 60;

#[test]
fn every_trace_holds_on_a_host() {
    traces::check(|| Twin::on(Hosted::new()));
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: cases(MOVES, 6_000),
        max_shrink_iters: 500,
        failure_persistence: Some(Box::new(FileFailurePersistence::Off)),
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_ledger_and_the_host_agree(world in world(MOVES)) {
        if let Err(error) = compare(&world, &mut Twin::on(Hosted::new())) {
            return Err(TestCaseError::fail(error));
        }
    }
}
