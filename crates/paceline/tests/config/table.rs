//! The shipped table, row by row.

use std::collections::BTreeSet;

use paceline::config::{Account, Config, Fault};
use paceline::core::{Command, Ledger, Outcome};
use paceline::provider::{Profile, Seed, seeds, tiers};
use regex_lite::Regex;

use super::NOW;

fn rows() -> Vec<(&'static str, &'static str, &'static Seed)> {
    let tiers = Profile::names().flat_map(|provider| tiers(provider).map(move |tier| (provider, tier)));
    tiers
        .flat_map(|(provider, tier)| {
            seeds(provider, tier).into_iter().flatten().map(move |row| (provider, tier, row))
        })
        .collect()
}

#[test]
fn every_row_says_where_and_when_it_was_read() {
    let date = Regex::new(r"^20\d\d(-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?)?$").expect("a pattern");
    let source = Regex::new(r"^[A-Za-z][\w./:;, -]*[\w]$").expect("a pattern");
    let all = rows();
    assert!(all.len() > 280, "{}", all.len());
    for (provider, tier, row) in all {
        let name = format!("{provider} {tier} {}", row.name);
        assert!(date.is_match(&row.as_of), "{name}: {}", row.as_of);
        assert!(source.is_match(&row.source) && !row.source.contains("  "), "{name}: {}", row.source);
        assert!(!row.source.to_uppercase().contains("INFERRED"), "{name}");
        assert!(!row.limits.is_empty() && row.limits.iter().all(|limit| limit.amount > 0), "{name}");
    }
}

#[test]
fn no_model_stands_twice_in_a_tier() {
    let mut seen = BTreeSet::new();
    for (provider, tier, row) in rows() {
        assert!(seen.insert((provider, tier, &row.name)), "{provider} {tier} {}", row.name);
    }
}

#[test]
fn every_provider_of_the_table_has_a_profile() {
    let text = include_str!("../../data/provider-limits.yaml");
    let providers =
        text.lines().filter_map(|line| line.strip_suffix(':').filter(|name| !name.starts_with([' ', '#'])));
    let named: Vec<&str> = providers.collect();
    assert!(named.len() > 10, "{named:?}");
    for provider in named {
        assert!(tiers(provider).count() > 0 && Profile::named(provider).is_some(), "{provider}");
    }
}

#[test]
fn every_tier_makes_a_ledger() {
    for provider in Profile::names() {
        for tier in tiers(provider) {
            let config = Config::new().account("key", Account::new().provider(provider).tier(tier));
            let compiled = config.compile(NOW).unwrap_or_else(|error| panic!("{provider} {tier}: {error}"));
            for ledger in compiled.ledgers {
                let outcome = Ledger::new().apply(NOW, Command::configure(ledger.configuration));
                assert_eq!(outcome, Outcome::Done, "{provider} {tier}");
            }
        }
    }
}

#[test]
fn a_tier_that_is_not_there() {
    let config = Config::new().account("anthropic", Account::new().tier("strat"));
    let error = config.check().expect_err("there is no such tier");
    let Fault::UnknownName { what, nearest, .. } = &error.problems()[0].fault else { panic!("{error}") };
    assert_eq!((*what, nearest.as_deref()), ("tier", Some("start")));
}
