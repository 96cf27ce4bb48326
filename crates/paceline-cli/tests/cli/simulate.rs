//! Simulations worked out by hand, and days that are the same each time.

use super::run::{Scratch, run, run_with};

const CONFIG: &str = "resources:\n  mine:\n    limits: [{metric: requests, amount: 60, window: 1m, algorithm: token_bucket, burst: 2}]\n";

#[test]
fn a_small_case_comes_out_as_worked_out_by_hand() {
    let config = Scratch::new("small.yaml", CONFIG);
    // Two at once, then one a second; the last call lasts half a second.
    let calls = "{\"at_s\": 0}\n{\"at_s\": 0}\n{\"at_s\": 0}\n{\"at_s\": 0, \"duration_s\": 0.5}\n";
    let ended = run_with(&["simulate", "-", "--config", config.path(), "--json"], calls);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let report = &ended.json()["ledgers"][0];
    assert_eq!((&report["granted"], &report["overtaken"]), (&4.into(), &0.into()));
    assert_eq!((&report["last_grant_ms"], &report["makespan_ms"]), (&2_000.into(), &2_500.into()));
    assert_eq!(report["lanes"][0]["wait_p50_ms"], 0);
    assert_eq!(report["lanes"][0]["wait_max_ms"], 2_000);
}

#[test]
fn calls_may_come_as_csv() {
    let config = Scratch::new("csv.yaml", CONFIG);
    let calls = Scratch::new("calls.csv", "at_s,resource,duration_s\n0,mine,1\n0.5,mine,1\n1,,2\n");
    let report = run(&["simulate", calls.path(), "--config", config.path(), "--json"]).json();
    assert_eq!(report["ledgers"][0]["makespan_ms"], 3_000);
    let wrong = Scratch::new("wrong.csv", "at_s,colour\n0,red\n");
    let ended = run(&["simulate", wrong.path(), "--config", config.path()]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("wrong.csv") && ended.stderr.contains("colour"), "{}", ended.stderr);
}

#[test]
fn an_unknown_resource_is_named() {
    let config = Scratch::new("unknown.yaml", CONFIG);
    let calls = "{\"at_s\": 0, \"resource\": \"yours\"}\n";
    let ended = run_with(&["simulate", "-", "--config", config.path()], calls);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("call 1: there is no resource yours"), "{}", ended.stderr);
}

#[test]
fn a_generated_day_is_the_same_each_time() {
    let config = Scratch::new(
        "day.yaml",
        "openai:\n  gpt-4o: {requests_per_minute: 500, tokens_per_minute: 90_000}\n",
    );
    let (chart, other) = (Scratch::new("day.svg", ""), Scratch::new("other.svg", ""));
    let day = |seed: &str, svg: &Scratch| {
        let ended = run(&[
            "simulate",
            "--config",
            config.path(),
            "--rate",
            "10",
            "--seed",
            seed,
            "--svg",
            svg.path(),
        ]);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        (ended.stdout, std::fs::read_to_string(svg.path()).unwrap())
    };
    let first = day("7", &chart);
    assert_eq!(first, day("7", &other));
    assert_ne!(first, day("8", &other));
    assert!(first.0.contains("0 overtaken in their lane"), "{}", first.0);
    assert!(first.1.starts_with("<svg") && first.1.contains("part in use"));
}

#[test]
fn written_traffic_runs_again_to_the_same_end() {
    let config = Scratch::new("again.yaml", CONFIG);
    let traffic = Scratch::new("again.jsonl", "");
    let generated = ["simulate", "--config", config.path(), "--length", "1h", "--rate", "80", "--json"];
    let first = run(&[&generated[..], &["--write-traffic", traffic.path()]].concat());
    let again = run(&["simulate", traffic.path(), "--config", config.path(), "--json"]);
    assert_eq!(first.stdout, again.stdout);
}
