//! Whether a call would go, and why not.

use super::run::{Scratch, run};

const CONFIG: &str = "openai:\n  gpt-4o: {requests_per_minute: 600, tokens_per_minute: 60_000}\n";

#[test]
fn a_fresh_ledger_says_goes_or_never() {
    let config = Scratch::new("explain.yaml", CONFIG);
    let ask = |tokens: &str| {
        run(&["explain", "openai/gpt-4o", "--config", config.path(), "--max-output-tokens", tokens])
    };
    let goes = ask("1000");
    assert_eq!(goes.code, Some(0), "{}", goes.stderr);
    assert!(goes.stdout.contains("goes at once"), "{}", goes.stdout);
    let never = ask("60_001".replace('_', "").as_str());
    assert_eq!(never.code, Some(1));
    assert!(never.stdout.contains("can never go: openai/gpt-4o/tokens_per_minute"), "{}", never.stdout);
}

#[test]
fn after_other_calls_it_says_when_and_what_binds() {
    let config = Scratch::new("after.yaml", CONFIG);
    let calls = Scratch::new("after.jsonl", "{\"at_s\": 0, \"max_output_tokens\": 59000}\n");
    let arguments = [
        "explain",
        "openai/gpt-4o",
        "--config",
        config.path(),
        "--max-output-tokens",
        "20000",
        "--json",
        "--after",
        calls.path(),
        "--at",
        "10s",
    ];
    let ended = run(&arguments);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let answer = ended.json();
    assert_eq!((&answer["goes"], &answer["possible"]), (&false.into(), &true.into()));
    assert_eq!(answer["limits"][0]["limit"], "openai/gpt-4o/tokens_per_minute");
    // The bucket holds 60,000 less a quarter of a second's 250: 750 left, 10,000 back after 10 s, 9,250 to come.
    assert_eq!(answer["ready_in_ms"], 9_250);
}

#[test]
fn an_unknown_resource_is_an_error() {
    let config = Scratch::new("who.yaml", CONFIG);
    let ended = run(&["explain", "openai/gpt-5", "--config", config.path()]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("there is no resource openai/gpt-5"), "{}", ended.stderr);
}
