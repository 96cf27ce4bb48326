//! A process that published itself, asked over its socket.
#![cfg(all(unix, feature = "host", feature = "remote"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;

use paceline::core::{Algorithm, LimitSpec, ResourceSpec};
use paceline::publish::{Published, published};
use paceline::{Demand, Error, Limiter};
use paceline_testkit::until;
use serde_json::{Value, json};

fn limiter(resource: &str) -> Limiter {
    let calls = LimitSpec::new("calls", "concurrent_requests", 1, Algorithm::Concurrency).member(resource);
    Limiter::builder().private().limits([calls], [ResourceSpec::new(resource)]).build().unwrap()
}

/// Returns a name that no other test has, in this or another process.
fn name(of: &str) -> String {
    format!("test-{of}-{}", std::process::id())
}

fn found(name: &str) -> Option<Published> {
    published().into_iter().find(|found| found.name == name)
}

struct Reader(BufReader<UnixStream>);

impl Reader {
    fn of(name: &str) -> Self {
        Self(BufReader::new(UnixStream::connect(found(name).unwrap().socket).unwrap()))
    }

    fn say(&mut self, asked: &Value) {
        writeln!(self.0.get_mut(), "{asked}").unwrap();
    }

    fn hear(&mut self) -> Value {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_default()
    }

    fn ask(&mut self, asked: &Value) -> Value {
        self.say(asked);
        self.hear()
    }
}

#[test]
fn a_limiter_is_seen_and_paused_over_its_socket() {
    let name = name("seen");
    let limiter = limiter("gpt");
    limiter.publish(&name).unwrap();
    let there = found(&name).unwrap();
    assert_eq!(there.process, std::process::id());
    assert_eq!(there.socket.metadata().unwrap().permissions().mode() & 0o777, 0o600);

    let mut reader = Reader::of(&name);
    let mut follower = Reader::of(&name);
    follower.say(&json!({"ask": "follow"}));
    let held = limiter.resource("gpt").unwrap().acquire(Demand::new()).wait().unwrap();
    let seen = reader.ask(&json!({"ask": "look"}));
    let resource = &seen["snapshot"]["ledgers"][0]["resources"][0];
    assert_eq!((&resource["name"], &resource["in_flight"]), (&"gpt".into(), &1.into()), "{seen}");
    assert_eq!((&resource["limits"][0]["left"], &resource["paused"]), (&0.into(), &false.into()), "{seen}");
    held.give_back().wait().unwrap();

    assert_eq!(reader.ask(&json!({"ask": "pause", "resource": "gpt", "seconds": 60})), json!({"done": true}));
    let seen = reader.ask(&json!({"ask": "look"}));
    let left = seen["snapshot"]["ledgers"][0]["resources"][0]["paused_for_seconds"].as_f64();
    assert!(left.is_some_and(|left| left > 0.0 && left <= 60.0), "{seen}");
    // It may have begun to follow after the grant.
    let paused = std::iter::from_fn(|| Some(follower.hear())).take(10).find(|told| told["event"] == "paused");
    assert_eq!(paused.unwrap()["data"]["target"], "gpt");
    assert_eq!(reader.ask(&json!({"ask": "resume", "resource": "gpt"})), json!({"done": true}));
    limiter.resource("gpt").unwrap().acquire(Demand::new()).wait().unwrap().give_back().wait().unwrap();

    let wrong = reader.ask(&json!({"ask": "pause", "resource": "gtp"}));
    assert!(wrong["error"].as_str().is_some_and(|error| error.contains("did you mean gpt?")), "{wrong}");
    assert!(reader.ask(&json!({"ask": "dance"}))["error"].is_string());
    limiter.close();
    until("the socket is gone with the limiter", || found(&name).is_none().then_some(()));
}

#[test]
fn limiters_of_one_name_are_seen_together() {
    let name = name("both");
    let (one, other) = (limiter("one"), limiter("other"));
    one.publish(&name).unwrap();
    one.publish(&name).unwrap();
    other.publish(&name).unwrap();
    let mut reader = Reader::of(&name);
    let names = |seen: &Value| {
        let ledgers = seen["snapshot"]["ledgers"].as_array().unwrap();
        let named = |ledger: &Value| ledger["resources"][0]["name"].as_str().unwrap_or_default().to_owned();
        ledgers.iter().map(named).collect::<Vec<_>>()
    };
    assert_eq!(names(&reader.ask(&json!({"ask": "look"}))), ["one", "other"]);
    drop(one);
    assert_eq!(names(&reader.ask(&json!({"ask": "look"}))), ["other"]);
    drop(other);
    until("the socket is gone with the last of them", || found(&name).is_none().then_some(()));
}

#[test]
fn a_name_that_cannot_be_one_is_refused() {
    let limiter = limiter("gpt");
    for name in ["", "a b", "../up", ".hidden", "with/slash", &"x".repeat(49)] {
        let refused = limiter.publish(name);
        assert!(matches!(refused, Err(Error::Publish { .. })), "{name}: {refused:?}");
    }
    limiter.close();
    assert!(matches!(limiter.publish("fine"), Err(Error::Closed)));
    let built = Limiter::builder().private().publish("not so").build();
    assert!(matches!(built, Err(Error::Publish { .. })), "{built:?}");
}
