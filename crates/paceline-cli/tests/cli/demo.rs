//! The demo in a fraction of its time: what it shows is that the referee refuses nobody.

use serde_json::Value;

use super::run::{Scratch, run};

const SMALL: [&str; 4] = ["--limit", "requests_per_minute=5_000", "--limit", "tokens_per_minute=400_000"];

fn demo(more: &[&str]) -> Value {
    let mut arguments = vec!["demo", "--json", "--time-scale", "20"];
    arguments.extend_from_slice(more);
    let ended = run(&arguments);
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    ended.json()
}

fn number(summary: &Value, name: &str) -> f64 {
    summary[name].as_f64().unwrap_or_else(|| panic!("{name} in {summary}"))
}

/// The job was done, nobody was refused or overtaken, and nobody beat the bound.
fn assert_kept(summary: &Value) {
    assert_eq!(summary["refused"], 0, "{summary}");
    assert_eq!(summary["overtaken"], 0, "{summary}");
    assert_eq!(summary["granted"], summary["requests"], "{summary}");
    assert_eq!(summary["served"], summary["requests"], "{summary}");
    assert!(number(summary, "last_grant_s") >= 0.999 * number(summary, "bound_s"), "{summary}");
    assert!(number(summary, "makespan_s") >= number(summary, "last_grant_s"), "{summary}");
}

#[test]
fn with_paceline_openai_refuses_nobody() {
    let summary = demo(&SMALL);
    assert_kept(&summary);
    assert!(number(&summary, "bound_s") > 2.9, "{summary}");
}

#[test]
fn with_paceline_anthropic_refuses_nobody_and_tokens_come_back() {
    let summary = demo(&["--provider", "anthropic", "--limit", "output_tokens_per_minute=100_000"]);
    assert_kept(&summary);
    assert!(number(&summary, "tokens_returned") > 100_000.0, "{summary}");
}

#[test]
fn with_paceline_azure_refuses_nobody() {
    let summary = demo(&["--provider", "azure", "--limit", "tokens_per_minute=400_000"]);
    assert_kept(&summary);
    assert!((number(&summary, "bound_s") - 3.0).abs() < 1e-9, "{summary}");
}

#[test]
fn without_paceline_many_are_refused_and_all_are_served_in_the_end() {
    let arguments: Vec<&str> = SMALL.iter().copied().chain(["--without"]).collect();
    let summary = demo(&arguments);
    assert!(number(&summary, "refused") > 10.0, "{summary}");
    assert_eq!(summary["served"], summary["requests"], "{summary}");
}

#[test]
fn both_are_shown_side_by_side() {
    let ended = run(&["demo", "--compare", "--time-scale", "40", "--limit", "tokens_per_minute=400_000"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("100 workers share one key of a fake openai"), "{}", ended.stderr);
    for text in ["with Paceline", "without", "refused with 429", "not one refused", "The bound"] {
        assert!(ended.stdout.contains(text), "{text} in {}", ended.stdout);
    }
}

#[test]
fn a_call_that_can_never_go_ends_the_demo() {
    let ended = run(&["demo", "--json", "--requests", "3", "--limit", "tokens_per_minute=1"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""));
    assert!(ended.stderr.contains("tokens_per_minute"), "{}", ended.stderr);
}

#[test]
fn a_resource_whose_limits_nobody_enforces_is_said_so() {
    let config = Scratch::new("own.yaml", "resources: {mine: {requests_per_minute: 5}}\n");
    let ended = run(&["demo", "--config", config.path()]);
    assert_eq!(ended.code, Some(1), "{}", ended.stdout);
    assert!(ended.stderr.contains("nobody is known to enforce the limits of mine"), "{}", ended.stderr);
}
