//! What a shared store shows of its ledgers, and that looking changes nothing.

use std::time::Duration;

use paceline::core::{Algorithm, LaneSpec, LimitSpec, ResourceSpec};
use paceline::{Demand, Limiter};
use paceline_testkit::{Redis, RedisCluster, RedisServer, until};

use super::run::run;

/// A limiter of one call at a time, whose session lives so long that it says nothing of itself during a test.
fn limiter(url: &str) -> Limiter {
    let calls = LimitSpec::new("calls", "concurrent_requests", 1, Algorithm::Concurrency).member("gpt");
    let window = Algorithm::TokenBucket { window: 3_600_000, burst: 10_000 };
    let tokens = LimitSpec::new("tokens_per_hour", "tokens", 10_000, window).member("gpt");
    let resource = ResourceSpec::new("gpt").lane(LaneSpec::new("batch")).lane(LaneSpec::new("chat"));
    let builder = Limiter::builder().store(url).session_timeout(Duration::from_mins(10));
    builder.limits([calls, tokens], [resource]).build().unwrap()
}

#[test]
fn who_holds_and_who_waits_is_seen_and_nothing_changes() {
    let server = RedisServer::start();
    let limiter = limiter(&server.url());
    let resource = limiter.resource("gpt").unwrap();
    let held = resource.acquire(Demand::tokens(1_500)).lane("chat").wait().unwrap();
    let mut waits = Box::pin(resource.acquire(Demand::tokens(100)).lane("batch").into_future());
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(waits.as_mut().poll(&mut context).is_pending());
    until("the second call is in line", || {
        (resource.snapshot().wait().unwrap().resource.waiting == 1).then_some(())
    });
    let before = server.cli(&["DEBUG", "DIGEST"]);

    let url = server.url();
    let ended = run(&["status", "--store", &url]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stdout.lines().all(|line| line.chars().count() <= 80), "{}", ended.stdout);
    for text in ["default", "tokens_per_hour", "1,500", "8,500", "batch", "chat"] {
        assert!(ended.stdout.contains(text), "{text} in {}", ended.stdout);
    }

    let told = run(&["status", "default", "--json", "--store", &url]).json();
    let ledger = &told["ledgers"][0];
    assert_eq!(ledger["sessions"].as_array().map(Vec::len), Some(1), "{ledger}");
    let session = &ledger["sessions"][0];
    assert_eq!((&session["holds"], &session["waiting"]), (&1.into(), &1.into()), "{session}");
    assert_eq!(ledger["limits"][1]["left"], 8_500, "{ledger}");
    let lanes = ledger["resources"][0]["lanes"].as_array().unwrap();
    let batch = lanes.iter().find(|lane| lane["name"] == "batch").unwrap();
    assert_eq!((&batch["waiting"], &batch["demand"]["tokens"]), (&1.into(), &100.into()), "{batch}");
    assert!(batch["oldest_ms"].is_u64(), "{batch}");

    assert_eq!(server.cli(&["DEBUG", "DIGEST"]), before);
    drop(waits);
    held.give_back().wait().unwrap();
}

#[test]
fn ledgers_are_found_on_all_nodes_of_a_cluster() {
    let cluster = RedisCluster::start();
    let limiter = limiter(&cluster.url());
    limiter.resource("gpt").unwrap().acquire(Demand::new()).lane("chat").wait().unwrap().give_back();
    for node in cluster.nodes() {
        let told = run(&["status", "--json", "--store", &node.url()]).json();
        assert_eq!(told["ledgers"][0]["name"], "default", "{told}");
    }
}

#[test]
fn what_is_not_there_is_said_without_secrets() {
    let server = RedisServer::start();
    let closed = Redis::default().password("richtig").start();
    let (url, secret) = (server.url(), closed.url().replace("richtig", "geheim"));
    for (arguments, said) in [
        (&["status", "--store", &url][..], "no ledger under the prefix \"paceline:\""),
        (&["status", "openai", "--prefix", "other:", "--store", &url], "no ledger openai under"),
        (&["status", "--store", "redis://:geheim@127.0.0.1:1"], "connection refused"),
        (&["status", "--store", &secret], "WRONGPASS"),
        (&["status", "--store", "redis://:geheim@h/x"], "database"),
        (&["status", "--store", "memory://"], "its own process alone"),
        (&["status", "a{b", "--store", &url], "brace"),
    ] {
        let ended = run(arguments);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{arguments:?}");
        assert!(ended.stderr.contains(said), "{arguments:?}: {}", ended.stderr);
        assert!(!ended.stderr.contains("geheim"), "{}", ended.stderr);
    }
    assert_eq!(server.cli(&["DBSIZE"]).to_string(), "0");
}

#[test]
fn a_ledger_that_lost_a_key_is_not_touched() {
    let server = RedisServer::start();
    let limiter = limiter(&server.url());
    limiter
        .resource("gpt")
        .unwrap()
        .acquire(Demand::new())
        .lane("chat")
        .wait()
        .unwrap()
        .give_back()
        .wait()
        .unwrap();
    server.cli(&["DEL", "paceline:{default}:line"]);
    let ended = run(&["status", "--store", &server.url()]);
    assert_eq!(ended.code, Some(1), "{}", ended.stdout);
    assert!(ended.stderr.contains("1 of the five keys"), "{}", ended.stderr);
    assert_eq!(server.cli(&["DBSIZE"]).to_string(), "4");
}
