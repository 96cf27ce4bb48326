//! Good and bad configurations.

use super::run::{Scratch, paceline, run, run_with};

const GOOD: &str = "
openai:
  gpt-4o: {requests_per_minute: 500, tokens_per_minute: 30_000}
resources:
  mine: {concurrent_requests: 10}
";

#[test]
fn a_good_file_is_shown_with_what_it_sustains() {
    let file = Scratch::new("good.yaml", GOOD);
    let ended = run(&["check", file.path(), "--max-output-tokens", "1500"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    for text in ["openai/gpt-4o", "token bucket", "30,000", "Sustains 20.0 such calls a minute", "in flight"]
    {
        assert!(ended.stdout.contains(text), "{text} in {}", ended.stdout);
    }
}

#[test]
fn programs_get_json() {
    let parts = run_with(&["check", "-", "--json"], GOOD).json();
    let limits = parts["resources"][0]["limits"].as_array().unwrap();
    assert_eq!(parts["resources"][0]["resource"], "openai/gpt-4o");
    assert_eq!(limits[1]["limit"], "tokens_per_minute");
    assert_eq!((&limits[1]["amount"], &limits[1]["window_ms"]), (&30_000.into(), &60_000.into()));
    assert_eq!(limits[1]["calls_per_minute"], 30.0);
}

#[test]
fn the_environment_names_the_default() {
    let file = Scratch::new("env.yaml", GOOD);
    let output = paceline(&["check"]).env("PACELINE_CONFIG", file.path()).output().unwrap();
    assert!(output.status.success());
    let ended = run(&["check"]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("PACELINE_CONFIG"), "{}", ended.stderr);
}

#[test]
fn a_bad_file_is_shown_where_it_is_bad() {
    let file = Scratch::new("bad.yaml", "openai:\n  gpt-4o: {request_per_minute: 500}\n");
    let ended = run(&["check", file.path()]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""));
    let place = format!("{}:2:12", file.path());
    for text in [place.as_str(), "^^^^^^^^^^^^^^^^^^", "did you mean `requests_per_minute`?"] {
        assert!(ended.stderr.contains(text), "{text} in {}", ended.stderr);
    }
    let problems = run(&["check", file.path(), "--json"]).json();
    assert_eq!(
        (&problems["problems"][0]["line"], &problems["problems"][0]["column"]),
        (&2.into(), &12.into())
    );
}

#[test]
fn a_call_that_can_never_go_ends_with_1() {
    let ended = run_with(&["check", "-", "--max-output-tokens", "31000"], GOOD);
    assert_eq!(ended.code, Some(1), "{}", ended.stdout);
    assert!(ended.stdout.contains("tokens_per_minute can never hold such a call"), "{}", ended.stdout);
}
