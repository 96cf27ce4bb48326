//! The demo in several processes that share one line through Redis, in a fraction of its time.

use paceline_testkit::RedisServer;
use serde_json::Value;

use super::run::{paceline, run};

const SMALL: [&str; 8] = [
    "demo",
    "--json",
    "--time-scale",
    "20",
    "--limit",
    "requests_per_minute=5_000",
    "--limit",
    "tokens_per_minute=400_000",
];

fn demo(more: &[&str]) -> Value {
    let arguments: Vec<&str> = SMALL.iter().chain(more).copied().collect();
    let ended = run(&arguments);
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    ended.json()
}

/// Everybody was served, nobody refused or overtaken, and nobody beat the bound.
fn assert_kept(summary: &Value) {
    assert_eq!((&summary["refused"], &summary["overtaken"]), (&0.into(), &0.into()), "{summary}");
    let served: u64 = processes(summary).iter().filter_map(|process| process["served"].as_u64()).sum();
    assert_eq!(Some(served), summary["requests"].as_u64(), "{summary}");
    let (last, bound) = (summary["last_grant_s"].as_f64().unwrap(), summary["bound_s"].as_f64().unwrap());
    assert!(last >= 0.999 * bound, "{summary}");
}

fn processes(summary: &Value) -> &[Value] {
    summary["processes"].as_array().unwrap()
}

#[test]
fn several_processes_share_a_line_and_nobody_is_refused() {
    let server = RedisServer::start();
    let summary = demo(&["--store", &server.url(), "--processes", "3"]);
    assert_kept(&summary);
    assert_eq!(processes(&summary).len(), 3);
    assert!(processes(&summary).iter().all(|process| process["served"].as_u64() > Some(10)), "{summary}");
    assert_eq!(server.cli(&["KEYS", "paceline:*"]).array().len(), 0, "other keys than the demo's own");
}

#[test]
fn what_a_killed_process_had_not_finished_is_finished_by_the_others() {
    let summary = demo(&["--private-redis", "--processes", "3", "--kill-one"]);
    assert_kept(&summary);
    let killed: Vec<&Value> =
        processes(&summary).iter().filter(|process| process["killed"] == true).collect();
    assert_eq!(killed.len(), 1, "{summary}");
    assert!(summary["handed_back"].as_u64() > Some(0), "{summary}");
}

#[test]
fn a_store_that_is_not_there_is_said_at_once_and_without_secrets() {
    let arguments: Vec<&str> =
        SMALL.iter().copied().chain(["--store", "redis://:geheim@127.0.0.1:1"]).collect();
    let ended = run(&arguments);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""));
    assert!(ended.stderr.contains("connection refused"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("geheim"), "{}", ended.stderr);
}

#[test]
fn a_machine_without_redis_server_is_told_what_to_do() {
    let arguments: Vec<&str> = SMALL.iter().copied().chain(["--store", "redis"]).collect();
    let output = paceline(&arguments).env("PATH", "/nowhere").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("redis-server is not installed"));
}

#[test]
fn killing_one_needs_another() {
    for arguments in
        [&["demo", "--kill-one"][..], &["demo", "--private-redis", "--processes", "1", "--kill-one"]]
    {
        let ended = run(arguments);
        assert_eq!(ended.code, Some(1));
        assert!(ended.stderr.contains("--kill-one needs"), "{}", ended.stderr);
    }
}
