//! What is refused, and what is said of it. Each picture of an error is a file under `snapshots`.

use std::io::ErrorKind;

use insta::assert_snapshot;
use paceline::config::{Account, Config, Fault, Lane, Limit, Resource, Share, Style, VARIABLE};

use super::refused;

fn first(text: &str) -> Fault {
    refused(text).problems()[0].fault.clone()
}

#[test]
fn an_unknown_key() {
    assert_snapshot!(refused("openai:\n  gpt-4o:\n    alias: [gpt-4]\n    requests_per_minute: 500\n"));
}

#[test]
fn a_misspelt_metric() {
    assert_snapshot!(refused("openai:\n  gpt-4o: {request_per_minute: 500}\n"));
}

#[test]
fn a_name_that_people_know_from_elsewhere() {
    assert_snapshot!(refused("openai:\n  gpt-4o:\n    max_rpm: 500\n    max_parallel_requests: 20\n"));
}

#[test]
fn a_duplicate_key() {
    assert_snapshot!(refused(
        "openai:\n  gpt-4o:\n    requests_per_minute: 500\n    tokens_per_minute: 1\n    requests_per_minute: 600\n"
    ));
}

#[test]
fn zero() {
    assert_snapshot!(refused("openai:\n  gpt-4o:\n    requests_per_minute: 0\n"));
}

#[test]
fn a_negative_number() {
    assert_snapshot!(refused("openai:\n  gpt-4o:\n    requests_per_minute: -5\n"));
}

#[test]
fn not_a_number() {
    for text in [
        ".nan", "NaN", ".inf", "1e5", "30.5", "30k", "0x1F4", "0500", "_500", "5__0", "\"500\"", "many",
        "[5]", "true",
    ] {
        let fault = first(&format!("openai: {{gpt-4o: {{requests_per_minute: {text}}}}}"));
        assert!(matches!(fault, Fault::Mismatch { .. }), "{text}: {fault}");
    }
}

#[test]
fn nothing_where_a_number_should_be() {
    assert_snapshot!(refused("openai:\n  gpt-4o:\n    requests_per_minute:\n"));
}

#[test]
fn an_overflowing_number() {
    assert_snapshot!(refused("openai:\n  gpt-4o:\n    tokens_per_minute: 99_999_999_999_999_999_999_999\n"));
    let most = (1u64 << 50) - 1;
    super::compiled(&format!("openai: {{gpt-4o: {{tokens_per_minute: {most}}}}}"));
    let fault = first(&format!("openai: {{gpt-4o: {{tokens_per_minute: {}}}}}", most + 1));
    assert!(matches!(fault, Fault::OutOfRange { most: said, .. } if said == most), "{fault}");
}

#[test]
fn windows_that_are_too_long_or_nothing() {
    for key in ["requests_per_0_seconds", "requests_per_99_999_999_days"] {
        let fault = first(&format!("resources: {{mine: {{{key}: 5}}}}"));
        assert!(
            matches!(fault, Fault::OutOfRange { what: "the window in milliseconds", .. }),
            "{key}: {fault}"
        );
    }
    let fault = first("resources: {mine: {requests_per_99999999999999999999_days: 5}}");
    assert!(matches!(fault, Fault::UnknownKey { .. }), "{fault}");
}

#[test]
fn a_burst_too_small_for_its_rate() {
    assert_snapshot!(refused(
        "openai:\n  gpt-4o:\n    limits:\n      - {metric: tokens, amount: 30_000_000, window: minute, burst: 100}\n"
    ));
    let in_code = Config::new().account(
        "openai",
        Account::new().model("gpt-4o", Resource::new().limit(Limit::per_minute("requests", 600).burst(2))),
    );
    assert_snapshot!("a_burst_too_small_in_code", in_code.check().expect_err("the transit takes it"));
}

#[test]
fn a_burst_of_one_may_space_a_slow_rate() {
    super::compiled("openai: {a: {limits: [{metric: requests, amount: 20, window: minute, burst: 1}]}}");
}

#[test]
fn a_shared_limit_that_does_not_exist() {
    assert_snapshot!(refused(
        "anthropic:\n  shared:\n    opus-4.x: {requests_per_minute: 1_000}\n  claude-opus-4-8:\n    shared: opus-4x\n"
    ));
}

#[test]
fn aliases_that_clash() {
    assert_snapshot!(refused(
        "openai:\n  gpt-4o: {requests_per_minute: 1, aliases: [\"gpt-4o-2024-*\"]}\n  gpt-4o-mini: {requests_per_minute: 1, aliases: [\"gpt-4o-*-mini\"]}\n"
    ));
}

#[test]
fn an_alias_that_is_another_name() {
    let fault = first("openai: {a: {requests_per_day: 1, aliases: b}, b: {requests_per_day: 1}}");
    assert!(matches!(fault, Fault::Clash { .. }), "{fault}");
}

#[test]
fn an_unknown_tier() {
    assert_snapshot!(refused("openai:\n  tier: buidl\n"));
}

#[test]
fn a_model_that_the_tier_does_not_have() {
    assert_snapshot!(refused("openai:\n  tier: build\n  gpt-99:\n"));
}

#[test]
fn an_unknown_provider() {
    assert_snapshot!(refused("work:\n  provider: opnai\n  gpt-4o: {requests_per_minute: 5}\n"));
    assert_snapshot!("a_misspelt_account", refused("antropic:\n  claude: {requests_per_minute: 5}\n"));
    assert_snapshot!(
        "an_account_without_its_provider",
        refused("openai-eu:\n  gpt-4o: {requests_per_minute: 5}\n")
    );
    assert_snapshot!("a_misspelt_root", refused("resorces:\n  mine: {requests_per_minute: 5}\n"));
}

#[test]
fn an_unknown_time_zone() {
    assert_snapshot!(refused(
        "resources:\n  mine:\n    limits:\n      - {metric: requests, amount: 5, period: day, zone: Europe/Berln}\n"
    ));
}

#[test]
fn contradictory_values() {
    for text in [
        "{metric: a, amount: 5, window: 1m, burst: 9, algorithm: sliding_window}",
        "{metric: a, amount: 5, window: 1m, slots: 9, algorithm: token_bucket}",
        "{metric: a, amount: 5, window: 1m, zone: UTC}",
        "{metric: a, amount: 5, window: day, zone: UTC, algorithm: token_bucket}",
        "{metric: a, amount: 5, window: 1m, period: day}",
        "{metric: a, amount: 5, window: 1m, algorithm: concurrency}",
        "{metric: concurrent_requests, amount: 5, counts: until_settled}",
        "{metric: concurrent_requests, amount: 5, algorithm: token_bucket}",
        "{metric: a, amount: 5, window: 1m, burst: 9, slots: 9}",
    ] {
        let fault = first(&format!("resources: {{mine: {{limits: [{text}]}}}}"));
        assert!(matches!(fault, Fault::Contradiction { .. }), "{text}: {fault}");
    }
    assert_snapshot!(refused(
        "resources:\n  mine:\n    limits:\n      - {metric: tokens, amount: 5, window: 1m, burst: 9, algorithm: sliding_window}\n"
    ));
}

#[test]
fn limits_beside_unlimited() {
    let fault = first("resources: {mine: {requests_per_day: 5, unlimited: true}}");
    assert!(matches!(fault, Fault::Contradiction { .. }), "{fault}");
}

#[test]
fn a_resource_without_a_limit() {
    assert_snapshot!(refused("openai:\n  gpt-4o: {max_waiting: 5}\n"));
}

#[test]
fn a_limit_that_lacks_something() {
    assert_snapshot!(refused(
        "resources:\n  mine:\n    limits:\n      - {amount: 5}\n      - {metric: tokens, window: 1m}\n"
    ));
}

#[test]
fn the_same_limit_twice() {
    assert_snapshot!(refused(
        "resources:\n  mine:\n    tokens_per_minute: 5\n    limits: [{metric: tokens, amount: 6, window: 1m}]\n"
    ));
}

#[test]
fn reserves_over_a_hundred_per_cent() {
    assert_snapshot!(refused(
        "openai:\n  gpt-4o:\n    requests_per_minute: 500\n    lanes: {a: {reserve: 70%}, b: {reserve: 30.5%}}\n"
    ));
}

#[test]
fn shares_that_are_none() {
    for share in ["0%", "101%", "30", "0.3", "-5%", "5.555%", "'%'", ".5%", "5.%"] {
        let fault = first(&format!("openai: {{use: {share}, gpt-4o: {{requests_per_day: 5}}}}"));
        assert!(matches!(fault, Fault::Mismatch { .. }), "{share}: {fault}");
    }
    let lane = |lane: &str| first(&format!("openai: {{a: {{requests_per_day: 5, lanes: {{b: {lane}}}}}}}"));
    assert!(matches!(lane("{reserve: 50%, cap: 20%}"), Fault::Contradiction { .. }));
    assert!(matches!(lane("{cap: 120%}"), Fault::Mismatch { .. }));
    assert!(matches!(lane("{weight: 1001}"), Fault::OutOfRange { .. }));
}

#[test]
fn lanes_that_are_not_declared() {
    assert_snapshot!(refused(
        "openai:\n  gpt-4o:\n    lanes: {batch: }\n    limits: [{metric: requests, amount: 5, window: 1m, lane: bach}]\n"
    ));
}

#[test]
fn lanes_with_a_star_in_the_middle() {
    let fault = first("openai: {a: {requests_per_day: 5, lanes: {'a*b': }}}");
    assert!(matches!(fault, Fault::Mismatch { .. }), "{fault}");
}

#[test]
fn names_that_are_taken() {
    let fault = first("openai: {a: {requests_per_day: 5}}\nresources: {openai: {requests_per_day: 5}}");
    assert!(matches!(fault, Fault::Taken { .. }), "{fault}");
    let fault = first("openai: {a: {requests_per_day: 5}}\nresources: {openai/a: {requests_per_day: 5}}");
    assert!(matches!(fault, Fault::Taken { .. }), "{fault}");
}

#[test]
fn several_errors_at_once() {
    assert_snapshot!(refused(
        "openai:\n  gpt-4o:\n    requests_per_minute: 0\n    tokens_per_minut: 30_000\n    lanes: {batch: {weigth: 2}}\nunknown_resources: reject\n"
    ));
}

#[test]
fn what_is_not_yaml() {
    assert_snapshot!(refused("openai:\n  gpt-4o: {requests_per_minute: 500\n"));
}

#[test]
fn what_is_yaml_and_no_configuration() {
    for text in [
        "- a\n- b\n",
        "hello",
        "a: {b: 5}\n---\nc: {}\n",
        "openai: !!set {a}\n",
        "? [a]\n: b\n",
        "a: &a [*a]\n",
    ] {
        refused(text);
    }
}

#[test]
fn a_deeply_nested_file() {
    let text = format!("openai: {}", "[".repeat(1_000_000));
    assert_snapshot!(refused(&text));
    assert!(matches!(first(&"{a: ".repeat(500_000)), Fault::TooDeep { .. }));
    let blocks: Vec<String> = (0..300).map(|depth| format!("{}a:", " ".repeat(depth))).collect();
    assert!(matches!(first(&blocks.join("\n")), Fault::TooDeep { .. }));
}

#[test]
fn a_hundred_megabytes() {
    let text = "# nothing\n".repeat(10_000_000);
    assert!(matches!(first(&text), Fault::TooLarge { .. }));
    let path = std::env::temp_dir().join(format!("paceline-large-{}.yaml", std::process::id()));
    std::fs::write(&path, text).expect("it can be written");
    let error = Config::load(&path).expect_err("it is too large");
    std::fs::remove_file(&path).expect("it can be removed");
    assert!(matches!(error.problems()[0].fault, Fault::TooLarge { most: 4_194_304 }));
}

#[test]
fn aliases_that_multiply() {
    let mut lines = vec!["x-0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]".to_owned()];
    for level in 1..9 {
        let of = format!("*a{}", level - 1);
        lines.push(format!("x-{level}: &a{level} [{}]", [of.as_str(); 10].join(", ")));
    }
    assert!(matches!(first(&lines.join("\n")), Fault::TooMany { .. }));
}

#[test]
fn as_many_faults_as_anybody_reads() {
    let lines: Vec<String> = (0..10_000).map(|line| format!("key{line}: 5")).collect();
    assert_eq!(refused(&lines.join("\n")).problems().len(), 50);
}

#[test]
fn a_file_that_is_not_there() {
    let error = Config::load("/nonexistent/limits.yaml").expect_err("it is not there");
    assert!(matches!(error.problems()[0].fault, Fault::Unreadable { kind: ErrorKind::NotFound, .. }));
}

#[test]
fn a_variable_that_names_no_file() {
    if std::env::var_os(VARIABLE).is_none() {
        let error = Config::from_env().expect_err("it is not set");
        assert!(matches!(error.problems()[0].fault, Fault::NoFileNamed { variable: VARIABLE }));
    }
}

#[test]
fn credentials_are_struck_out() {
    let error =
        refused("openai:\n  api_key: sk-proj-0123456789abcdefABCDEF\n  gpt-4o: {requests_per_day: 5}\n");
    assert_snapshot!(error);
    assert!(!format!("{error} {error:?}").contains("0123456789"));
}

#[test]
fn a_long_line_is_shortened() {
    let far = " ".repeat(300);
    assert_snapshot!(refused(&format!("openai: {{gpt-4o: {{requests_per_day: 5, {far}max_rpm: 5}}}}")));
}

#[test]
fn facts_are_in_fields() {
    let error = refused("openai:\n  gpt-4o:\n    requests_per_minuet: 500\n");
    let [problem] = error.problems() else { panic!("one problem") };
    assert_eq!(problem.path, ["openai", "gpt-4o", "requests_per_minuet"]);
    let location = problem.location.as_ref().expect("a place in the file");
    assert_eq!(
        (location.file.as_str(), location.line, location.column, location.length),
        ("limits.yaml", 3, 5, 19)
    );
    let Fault::UnknownKey { key, nearest, .. } = &problem.fault else { panic!("{problem}") };
    assert_eq!((key.as_str(), nearest.as_deref()), ("requests_per_minuet", Some("requests_per_minute")));
}

#[test]
fn code_is_checked_as_a_file_is() {
    let limit = |limit: Limit| {
        let config = Config::new().resource("mine", Resource::new().limit(limit));
        config.check().expect_err("it is wrong").problems()[0].fault.clone()
    };
    assert!(matches!(limit(Limit::per_minute("requests", 0)), Fault::OutOfRange { .. }));
    assert!(matches!(limit(Limit::per_minute("requests", u64::MAX)), Fault::OutOfRange { .. }));
    assert!(matches!(
        limit(Limit::per_minute("requests", 5).style(Style::Concurrency)),
        Fault::Contradiction { .. }
    ));
    assert!(matches!(limit(Limit::per_minute("", 5)), Fault::Mismatch { .. }));
    let half = Share::percent(50).expect("a share");
    let lane = |name: &str| Lane::new(name).reserve(half);
    let lanes = Resource::new().limit(Limit::per_minute("requests", 5)).lane(lane("a")).lane(lane("b"));
    let error = Config::new().resource("mine", lanes).check().expect_err("nothing is left");
    assert!(matches!(error.problems()[0].fault, Fault::OverReserved { hundredths: 10_000, .. }));
}

#[test]
fn the_largest_file_is_read_in_time() {
    let lines: Vec<String> = (0..15_000)
        .map(|model| format!("  model-{model}: {{requests_per_minute: 5, shared: pool, lanes: {{a: }}}}"))
        .collect();
    let text = format!("openai:\n  shared: {{pool: {{tokens_per_minute: 9}}}}\n{}", lines.join("\n"));
    let compiled = super::compiled(&text);
    assert_eq!(compiled.ledgers[0].configuration.limits.len(), 15_001);
    let lines: Vec<String> = (0..15_000)
        .map(|name| format!("  own-{name}: {{requests_per_minute: 5, ledger: openai, shared: pool}}"))
        .collect();
    let text =
        format!("openai:\n  shared: {{pool: {{tokens_per_minute: 9}}}}\nresources:\n{}", lines.join("\n"));
    assert_eq!(super::compiled(&text).ledgers[0].configuration.resources.len(), 15_000);
}

#[test]
fn strange_names() {
    for text in [
        "'': {a: {requests_per_day: 5}}",
        "openai: {'a{b}': {requests_per_day: 5}}",
        "openai: {\"a\\nb\": {requests_per_day: 5}}",
        "resources: {mine: {requests_per_day: 5, ledger: 'a}'}}",
        "resources: {mine: {limits: [{id: 'x{', metric: requests, amount: 5, window: 1m}]}}",
        "resources: {mine: {requests_per_day: 5, lanes: {'{x}': }}}",
    ] {
        assert!(matches!(first(text), Fault::Mismatch { .. }), "{text}: {}", first(text));
    }
    let long = "a".repeat(201);
    assert!(matches!(first(&format!("openai: {{{long}: {{requests_per_day: 5}}}}")), Fault::Mismatch { .. }));
}

#[test]
fn a_transit_longer_than_its_window() {
    let fault = first("mistral: {a: {requests_per_100_milliseconds: 5}}");
    assert!(
        matches!(fault, Fault::OutOfRange { what: "the transit in milliseconds", most: 100, .. }),
        "{fault}"
    );
}

#[test]
fn more_metrics_than_a_ledger_knows() {
    let limits: Vec<String> =
        (0..1_001).map(|metric| format!("metric_{metric}_of_ours_per_minute: 5")).collect();
    let fault = first(&format!("resources: {{mine: {{{}}}}}", limits.join(", ")));
    assert!(matches!(fault, Fault::Unworkable { .. }), "{fault}");
}
