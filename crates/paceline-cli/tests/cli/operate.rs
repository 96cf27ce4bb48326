//! What operators do to a shared store from the command line.

use std::time::Duration;

use paceline::core::{Algorithm, LimitSpec, ResourceSpec};
use paceline::{Demand, Error, Limiter};
use paceline_testkit::RedisServer;

use super::run::{Ended, Scratch, run};

fn limiter(url: &str) -> Limiter {
    let calls = LimitSpec::new("calls", "concurrent_requests", 1, Algorithm::Concurrency).member("gpt");
    let builder = Limiter::builder().store(url).session_timeout(Duration::from_secs(10));
    builder.limits([calls], [ResourceSpec::new("gpt")]).build().unwrap()
}

fn said(arguments: &[&str], code: i32, text: &str) -> Ended {
    let ended = run(arguments);
    let told = format!("{}{}", ended.stdout, ended.stderr);
    assert!(ended.code == Some(code) && told.contains(text), "{:?}: {told}", ended.code);
    ended
}

#[test]
fn a_resource_is_paused_for_all_and_goes_on() {
    let server = RedisServer::start();
    let url = server.url();
    let limiter = limiter(&url);
    let resource = limiter.resource("gpt").unwrap();
    resource.acquire(Demand::new()).wait().unwrap().give_back().wait().unwrap();
    said(&["pause", "gpt", "--refuse", "--for", "10m", "--store", &url], 0, "gpt is paused for 10 m");
    let refused = resource.acquire(Demand::new()).wait();
    assert!(matches!(refused, Err(Error::Paused { ends_in: Some(_), .. })), "{refused:?}");
    said(&["resume", "gpt", "--store", &url], 0, "gpt goes on");
    resource.acquire(Demand::new()).wait().unwrap().give_back().wait().unwrap();
    said(&["pause", "--limit", "calls", "--refuse", "--store", &url], 0, "until it is resumed");
    assert!(matches!(resource.acquire(Demand::new()).wait(), Err(Error::Paused { ends_in: None, .. })));
    said(&["resume", "--limit", "calls", "--store", &url], 0, "calls goes on");
    let held = resource.acquire(Demand::new()).wait().unwrap();
    let waits = {
        let resource = resource.clone();
        std::thread::spawn(move || resource.acquire(Demand::new()).wait())
    };
    paceline_testkit::until("the second call is in line", || {
        (resource.snapshot().wait().unwrap().resource.waiting == 1).then_some(())
    });
    said(&["purge", "gpt", "--store", &url], 0, "who waited for gpt is refused");
    assert!(matches!(waits.join().unwrap(), Err(Error::Purged { .. })));
    held.give_back().wait().unwrap();
}

#[test]
fn what_is_not_there_is_named_with_what_is() {
    let server = RedisServer::start();
    let url = server.url();
    let limiter = limiter(&url);
    limiter.snapshot().wait().unwrap();
    said(&["pause", "gtp", "--store", &url], 1, "did you mean gpt?");
    said(&["resume", "--limit", "call", "--store", &url], 1, "did you mean calls?");
    said(&["purge", "gtp", "--store", &url], 1, "did you mean gpt?");
    said(&["pause", "--store", &url], 2, "required");
    said(&["pause", "gpt", "--for", "soon", "--store", &url], 2, "a number and a unit");
    said(&["pause", "gpt", "--store", "memory://"], 1, "a store in memory");
}

#[test]
fn a_configuration_is_applied_and_a_higher_revision_stays() {
    let server = RedisServer::start();
    let url = server.url();
    let one = Scratch::new("one.yaml", "revision: 3\nopenai:\n  gpt-4o: {requests_per_hour: 100}\n");
    said(&["apply", one.path(), "--store", &url], 0, "in force: openai/gpt-4o");
    let told = run(&["status", "openai", "--json", "--store", &url]).json();
    assert_eq!(told["ledgers"][0]["limits"][0]["amount"], 100, "{told}");
    let older = Scratch::new("older.yaml", "revision: 2\nopenai:\n  gpt-4o: {requests_per_hour: 900}\n");
    said(&["apply", older.path(), "--store", &url], 1, "raise `revision`");
    let told = run(&["status", "openai", "--json", "--store", &url]).json();
    assert_eq!(told["ledgers"][0]["limits"][0]["amount"], 100, "{told}");
    let newer = Scratch::new("newer.yaml", "revision: 4\nopenai:\n  gpt-4o: {requests_per_hour: 900}\n");
    said(&["apply", newer.path(), "--store", &url], 0, "in force");
    let told = run(&["status", "openai", "--json", "--store", &url]).json();
    assert_eq!(told["ledgers"][0]["limits"][0]["amount"], 900, "{told}");
    let wrong = Scratch::new("wrong.yaml", "openai:\n  gpt-4o: {requests_per_hour: -1}\n");
    said(&["apply", wrong.path(), "--store", &url], 1, "wrong.yaml:2");
}
