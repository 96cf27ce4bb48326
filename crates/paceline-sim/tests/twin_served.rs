//! The twin on a real server: every trace, and a slice of the random stories.

mod exam;
mod traces;
mod twin;

use std::cell::Cell;

use exam::generate::{cases, world};
use paceline_testkit::RedisServer;
use proptest::prelude::*;
use proptest::test_runner::{FileFailurePersistence, TestRunner};
use twin::Twin;
use twin::compare::compare;
use twin::served::Served;

const MOVES: usize = 60;

#[test]
fn every_trace_holds_on_a_server() {
    let server = RedisServer::start();
    let ledgers = Cell::new(0);
    traces::check(|| {
        ledgers.set(ledgers.get() + 1);
        Twin::on(Served::on(&server, &format!("trace{}", ledgers.get())))
    });
}

#[test]
fn the_ledger_and_its_twin_on_a_server_agree() {
    let server = RedisServer::start();
    let ledgers = Cell::new(0);
    let config = ProptestConfig {
        cases: cases(MOVES, 3_000),
        max_shrink_iters: 500,
        failure_persistence: Some(Box::new(FileFailurePersistence::Off)),
        ..ProptestConfig::default()
    };
    let told = TestRunner::new(config).run(&world(MOVES), |world| {
        ledgers.set(ledgers.get() + 1);
        let mut twin = Twin::on(Served::on(&server, &format!("world{}", ledgers.get())));
        compare(&world, &mut twin).map_err(TestCaseError::fail)
    });
    assert!(told.is_ok(), "{}", told.err().map(|error| error.to_string()).unwrap_or_default());
}
