//! Configurations and profiles: what loads, what it compiles to, and what is said of what does not load.

#![allow(clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod errors;
mod load;
mod profiles;
mod properties;
mod schema;
mod table;

use paceline::config::{Compiled, CompiledLedger, Config, ConfigError};
use paceline::core::{Algorithm, LimitSpec};

/// The instant at which tests compile: 2026-11-21T12:00:00Z.
const NOW: u64 = 1_795_262_400_000;

fn compiled(text: &str) -> Compiled {
    let config = Config::parse("limits.yaml", text).unwrap_or_else(|error| panic!("{error}"));
    config.compile(NOW).unwrap_or_else(|error| panic!("{error}"))
}

fn refused(text: &str) -> ConfigError {
    match Config::parse("limits.yaml", text) {
        Ok(config) => panic!("it should have been refused: {config:?}"),
        Err(error) => error,
    }
}

fn ledger<'a>(compiled: &'a Compiled, name: &str) -> &'a CompiledLedger {
    compiled.ledgers.iter().find(|ledger| ledger.name == name).expect("the ledger is there")
}

fn limit<'a>(compiled: &'a Compiled, id: &str) -> &'a LimitSpec {
    let mut limits = compiled.ledgers.iter().flat_map(|ledger| &ledger.configuration.limits);
    limits.find(|limit| *limit.id == *id).unwrap_or_else(|| panic!("there is no {id} in {:?}", ids(compiled)))
}

fn ids(compiled: &Compiled) -> Vec<&str> {
    compiled.ledgers.iter().flat_map(|ledger| &ledger.configuration.limits).map(|limit| &*limit.id).collect()
}

fn bucket(window: u64, burst: u64) -> Algorithm {
    Algorithm::TokenBucket { window, burst }
}

fn sliding(window: u64) -> Algorithm {
    Algorithm::SlidingWindow { window, slots: 120 }
}
