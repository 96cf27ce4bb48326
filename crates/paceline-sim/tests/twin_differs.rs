//! The ledger against its twin in an embedded Lua.

mod exam;
mod twin;

use exam::generate::{cases, world};
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use twin::Twin;
use twin::compare::compare;
use twin::server::Embedded;

const MOVES: usize = 60;

proptest! {
    #![proptest_config(ProptestConfig {
        cases: cases(MOVES, 6_000),
        max_shrink_iters: 3_000,
        failure_persistence: Some(Box::new(FileFailurePersistence::Off)),
        ..ProptestConfig::default()
    })]

    #[test]
    fn ledger_and_twin_agree(world in world(MOVES)) {
        if let Err(error) = compare(&world, &mut Twin::on(Embedded::new())) {
            return Err(TestCaseError::fail(error));
        }
    }
}
