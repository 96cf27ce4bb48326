//! How each provider counts: what a call reserves, what a settlement charges, when, and how an amount comes back.

use paceline::config::{Config, Fault, Typical, check};
use paceline::core::{Algorithm, Boundaries, Counting, Metric};
use paceline::provider::{Call, Profile, Usage};

use super::{NOW, bucket, compiled, ids, ledger, limit, refused, sliding};

const CALL: [u64; 3] = [1_000, 400, 2_000];

fn call() -> Call {
    let [input, cached, most] = CALL;
    Call::new()
        .input_tokens(input)
        .cached_input_tokens(cached)
        .max_output_tokens(most)
        .expected_output_tokens(300)
}

fn usage() -> Usage {
    Usage::new().input_tokens(1_000).cached_input_tokens(400).cache_write_tokens(100).output_tokens(250)
}

/// What a provider reserves and charges of a metric.
fn amounts(provider: &str, metric: &str) -> (Option<u64>, Option<u64>) {
    let profile = Profile::named(provider).unwrap_or_else(|| panic!("there is no {provider}"));
    (profile.reserve(&call()).get(metric), profile.settle(&usage()).get(metric))
}

#[test]
fn what_each_provider_reserves_and_charges() {
    let cases = [
        ("plain", "tokens", Some(3_000), Some(1_250)),
        ("unknown", "tokens", Some(3_000), Some(1_250)),
        ("openai", "tokens", Some(2_000), None),
        ("azure", "tokens", Some(3_000), None),
        ("anthropic", "input_tokens", Some(600), Some(600)),
        ("anthropic", "output_tokens", Some(300), Some(250)),
        ("gemini", "input_tokens", Some(1_000), Some(1_000)),
        ("gemini", "tokens", Some(1_000), Some(1_000)),
        ("vertex", "input_tokens", Some(600), Some(600)),
        ("bedrock", "tokens", Some(3_000), Some(850)),
        ("bedrock-mantle", "input_tokens", Some(3_000), Some(600)),
        ("bedrock-mantle", "output_tokens", Some(300), Some(250)),
        ("groq", "tokens", Some(3_000), Some(850)),
        ("mistral", "tokens", Some(3_000), Some(1_250)),
        ("xai", "tokens", Some(3_000), Some(1_250)),
        ("cerebras", "tokens", Some(3_000), Some(1_250)),
        ("cerebras", "uncached_tokens", Some(3_000), Some(850)),
        ("fireworks", "uncached_input_tokens", Some(600), Some(600)),
        ("deepseek", "concurrent_requests", Some(1), None),
        ("cohere", "requests", Some(1), None),
    ];
    for (provider, metric, reserved, charged) in cases {
        assert_eq!(amounts(provider, metric), (reserved, charged), "{provider} {metric}");
    }
}

#[test]
fn when_each_metric_counts() {
    let counting =
        |provider: &str, metric: &str| Profile::named(provider).expect("it is there").counting(metric);
    for (provider, metric) in [
        ("openai", "tokens"),
        ("azure", "tokens"),
        ("anthropic", "input_tokens"),
        ("gemini", "input_tokens"),
        ("bedrock", "tokens"),
        ("cerebras", "tokens"),
        ("plain", "tokens"),
        ("mistral", "requests"),
    ] {
        assert_eq!(counting(provider, metric), Counting::AtGrant, "{provider} {metric}");
    }
    for (provider, metric) in [
        ("anthropic", "output_tokens"),
        ("mistral", "tokens"),
        ("groq", "tokens"),
        ("unknown", "tokens"),
        ("xai", "tokens"),
    ] {
        assert_eq!(counting(provider, metric), Counting::UntilSettled, "{provider} {metric}");
    }
}

#[test]
fn how_each_window_comes_back() {
    let text = "
openai: {a: {requests_per_minute: 60, requests_per_day: 1_000}}
anthropic: {a: {output_tokens_per_minute: 8_000}}
gemini: {a: {requests_per_minute: 60, requests_per_day: 250}}
azure: {a: {tokens_per_minute: 60_000}}
bedrock: {a: {tokens_per_minute: 60_000}}
groq: {a: {tokens_per_day: 60_000}}
mistral: {a: {requests_per_second: 5, tokens_per_month: 1_000_000}}
openrouter: {a: {requests_per_day: 50}}
elsewhere: {a: {requests_per_day: 50}}
";
    let compiled = compiled(text);
    let algorithm = |id: &str| limit(&compiled, id).algorithm.clone();
    assert_eq!(algorithm("openai/a/requests_per_minute"), bucket(60_000, 60));
    assert_eq!(algorithm("openai/a/requests_per_day"), bucket(86_400_000, 1_000));
    assert_eq!(algorithm("anthropic/a/output_tokens_per_minute"), bucket(60_000, 8_000));
    assert_eq!(algorithm("gemini/a/requests_per_minute"), sliding(60_000));
    assert_eq!(algorithm("azure/a/tokens_per_minute"), sliding(60_000));
    assert_eq!(algorithm("bedrock/a/tokens_per_minute"), sliding(60_000));
    assert_eq!(algorithm("groq/a/tokens_per_day"), bucket(86_400_000, 60_000));
    assert_eq!(algorithm("mistral/a/requests_per_second"), sliding(1_000));
    assert_eq!(algorithm("mistral/a/tokens_per_month"), sliding(31 * 86_400_000));
    let utc = Boundaries::Every { period: 86_400_000, phase: 0 };
    assert_eq!(
        algorithm("openrouter/a/requests_per_day"),
        Algorithm::FixedWindow { boundaries: utc, margin: 2_250 }
    );
    assert_eq!(algorithm("elsewhere/a/requests_per_day"), sliding(86_400_000));
}

#[test]
fn a_day_at_gemini_ends_at_midnight_pacific() {
    let compiled = compiled("gemini: {a: {requests_per_day: 250}}");
    let Algorithm::FixedWindow { boundaries: Boundaries::At(midnights), margin } =
        &limit(&compiled, "gemini/a/requests_per_day").algorithm
    else {
        panic!("its days are listed");
    };
    assert_eq!(*margin, 2_250);
    assert_eq!(midnights[1], 1_795_248_000_000, "2026-11-21T00:00:00-08:00, NOW being four hours later");
    assert!(midnights[1] <= NOW && NOW < midnights[2]);
    let lengths: Vec<u64> = midnights.windows(2).map(|day| (day[1] - day[0]) / 3_600_000).collect();
    assert_eq!(lengths.iter().filter(|hours| **hours == 23).count(), 2, "two springs");
    assert_eq!(lengths.iter().filter(|hours| **hours == 25).count(), 2, "two autumns");
    assert!(midnights.last().is_some_and(|last| *last >= NOW + 729 * 86_400_000));
}

#[test]
fn months_are_of_the_calendar() {
    let compiled = compiled("resources: {mine: {usd_micros_per_month: 5}}");
    let Algorithm::FixedWindow { boundaries: Boundaries::At(months), margin: 0 } =
        &limit(&compiled, "mine/usd_micros_per_month").algorithm
    else {
        panic!("months are listed");
    };
    assert_eq!(months[1], 1_793_491_200_000, "2026-11-01T00:00:00Z");
    assert_eq!(months.len(), 26);
}

#[test]
fn azure_spreads_requests_over_seconds() {
    let compiled = compiled("azure: {a: {requests_per_minute: 600}, b: {requests_per_minute: 30}}");
    let windows = |model: &str| {
        let prefix = format!("azure/{model}/");
        ids(&compiled)
            .into_iter()
            .filter_map(|id| id.strip_prefix(&prefix).map(str::to_owned))
            .collect::<Vec<_>>()
    };
    let all = ["requests_per_minute", "requests_per_minute/1s", "requests_per_minute/10s"];
    assert_eq!(windows("a"), all.map(str::to_owned));
    assert_eq!(limit(&compiled, "azure/a/requests_per_minute/1s").amount, 10);
    assert_eq!(limit(&compiled, "azure/a/requests_per_minute/10s").algorithm, sliding(10_000));
    assert_eq!(windows("b"), ["requests_per_minute", "requests_per_minute/10s"].map(str::to_owned));
}

#[test]
fn who_says_the_algorithm_says_the_windows() {
    let text =
        "azure: {a: {limits: [{metric: requests, amount: 600, window: minute, algorithm: sliding_window}]}}";
    assert_eq!(ids(&compiled(text)), ["azure/a/requests_per_minute"]);
}

#[test]
fn a_model_at_bedrock_burns_its_rate() {
    let compiled = compiled(
        "bedrock: {anthropic.claude-opus-4-8: {tokens_per_minute: 9}, gpt-6-sol: {tokens_per_minute: 9}}",
    );
    let settled = |index: usize| {
        let resources = &ledger(&compiled, "bedrock").resources;
        resources[index].profile.settle(&usage()).known.get(Metric::TOKENS)
    };
    assert_eq!(settled(0), Some(600 + 15 * 250));
    assert_eq!(settled(1), Some(600 + 250));
    let burning = &ledger(&compiled, "bedrock").resources[0].profile;
    assert_eq!(burning.reserve(&call()).get("tokens"), Some(1_000 + 15 * 2_000));
}

#[test]
fn a_resource_can_reserve_another_way() {
    let compiled = compiled("anthropic: {a: {reserve: max, output_tokens_per_minute: 9}}");
    let profile = &ledger(&compiled, "anthropic").resources[0].profile;
    assert_eq!(profile.reserve(&call()).get("output_tokens"), Some(2_000));
}

#[test]
fn expected_is_a_quarter_of_the_most_where_nobody_knows() {
    let anthropic = Profile::named("anthropic").expect("it is there");
    let reserved = anthropic.reserve(&Call::new().max_output_tokens(1_001));
    assert_eq!(reserved.get("output_tokens"), Some(251));
}

#[test]
fn openai_without_a_maximum_counts_the_estimate_alone() {
    let openai = Profile::named("openai").expect("it is there");
    assert_eq!(openai.reserve(&Call::new().input_tokens(29)).get("tokens"), Some(29));
    assert_eq!(openai.reserve(&call().choices(3)).get("tokens"), Some(6_000));
}

#[test]
fn azure_counts_the_prompt_for_each_answer() {
    let azure = Profile::named("azure").expect("it is there");
    assert_eq!(azure.reserve(&call().choices(2)).get("tokens"), Some(6_000));
}

#[test]
fn a_call_of_which_nothing_is_known_is_a_request() {
    let charges = Profile::plain().reserve(&Call::new());
    assert_eq!(charges.known.iter().map(|(_, amount)| amount).collect::<Vec<_>>(), [1, 1]);
    assert!(charges.named.is_empty());
}

#[test]
fn what_is_not_reported_is_used_as_reserved() {
    for name in Profile::names() {
        let profile = Profile::named(name).expect("it is there");
        assert!(profile.settle(&Usage::new()).known.is_empty(), "{name}");
        let cut_short = profile.settle(&Usage::new().input_tokens(5));
        assert_eq!(cut_short.get("output_tokens"), None, "{name}");
    }
}

#[test]
fn what_is_said_outright_wins() {
    let charges = Profile::plain().reserve(&call().amount("tokens", 7).amount("images", 2));
    assert_eq!((charges.get("tokens"), charges.get("images")), (Some(7), Some(2)));
}

#[test]
fn huge_numbers_do_not_overflow() {
    let most = Call::new().input_tokens(u64::MAX).max_output_tokens(u64::MAX).choices(u64::MAX);
    let all = Usage::new().input_tokens(u64::MAX).cached_input_tokens(u64::MAX).output_tokens(u64::MAX);
    for name in Profile::names() {
        let profile = Profile::named(name).expect("it is there");
        profile.reserve(&most);
        profile.settle(&all);
    }
}

#[test]
fn a_user_describes_a_provider() {
    let text = "
profiles:
  acme:
    like: openai
    also: [acme-eu]
    transit: 100ms
    windows: {day: {fixed_window: Asia/Tokyo}}
    metrics: {tokens: {reserve: input + 5 * output, settle: uncached + 5 * output, counts: until_settled}}
acme-eu: {large: {tokens_per_minute: 60_000, requests_per_day: 9}}
";
    let compiled = compiled(text);
    let tokens = limit(&compiled, "acme-eu/large/tokens_per_minute");
    assert_eq!((tokens.transit, tokens.counting), (100, Counting::UntilSettled));
    assert!(matches!(
        limit(&compiled, "acme-eu/large/requests_per_day").algorithm,
        Algorithm::FixedWindow { .. }
    ));
    let profile = &ledger(&compiled, "acme-eu").resources[0].profile;
    assert_eq!(profile.reserve(&call()).get("tokens"), Some(1_000 + 5 * 2_000));
    assert_eq!(profile.settle(&usage()).get("tokens"), Some(600 + 5 * 250));
}

#[test]
fn a_profile_that_is_wrong() {
    let fault = |text: &str| refused(&format!("profiles: {{acme: {{{text}}}}}")).problems()[0].fault.clone();
    assert!(matches!(fault("like: opneai"), Fault::UnknownName { what: "profile", .. }));
    assert!(matches!(fault("transit: 5"), Fault::Mismatch { .. }));
    assert!(matches!(
        fault("metrics: {tokens: {reserve: inptu + output}}"),
        Fault::UnknownName { what: "quantity", .. }
    ));
    assert!(matches!(fault("metrics: {tokens: {settle: input}}"), Fault::Missing { .. }));
    assert!(matches!(fault("windows: {day: {fixed_window: Mars/Base}}"), Fault::Mismatch { .. }));
    assert!(matches!(fault("widows: {}"), Fault::UnknownKey { .. }));
}

#[test]
fn what_limits_sustain() {
    let text = "
anthropic: {a: {output_tokens_per_minute: 60_000}}
azure: {b: {tokens_per_minute: 60_000}}
resources: {mine: {concurrent_requests: 10}}
";
    let config = Config::parse("limits.yaml", text).expect("it is valid");
    let compiled = config.compile(NOW).expect("it compiles");
    let typical = Typical {
        call: Call::new().input_tokens(1_000).max_output_tokens(40_000),
        usage: Usage::new().input_tokens(1_000).output_tokens(500),
        duration: 30_000,
    };
    let all: Vec<_> = compiled.ledgers.iter().flat_map(|ledger| check(ledger, &typical)).collect();
    let calls = |limit: &str| {
        let found = all.iter().find(|sustained| sustained.limit.starts_with(limit)).expect("it is there");
        (found.calls_per_minute, found.share, found.impossible)
    };
    let (anthropic, share, impossible) = calls("anthropic");
    assert!(
        (11.9..=12.0).contains(&anthropic),
        "a burst of 59,750 holds 5.975 reservations of 10,000 at once: {anthropic}"
    );
    assert!(share < 0.11 && !impossible);
    let (azure, share, _) = calls("azure");
    assert!((1.4..1.5).contains(&azure) && share > 0.99, "{azure} {share}");
    let (mine, ..) = calls("mine");
    assert!((mine - 20.0).abs() < 1e-9, "{mine}");
    let large = Typical { call: Call::new().max_output_tokens(90_000), ..typical };
    assert!(check(&compiled.ledgers[1], &large).iter().any(|sustained| sustained.impossible));
}
