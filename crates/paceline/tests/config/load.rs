//! What loads, and what it comes to.

use paceline::config::{Account, Config, Lane, Limit, Own, Resource, Share, UnknownResource};
use paceline::core::{Algorithm, Boundaries, Configuration, Counting, Lanes, Ledger, Member, Outcome};

use super::{NOW, bucket, compiled, ids, ledger, limit, sliding};

const DESIGN: &str = r#"
openai:                       # an account = a ledger; its profile is known by name
  gpt-4o:
    requests_per_minute: 500
    tokens_per_minute: 30_000
    requests_per_day: 10_000
    concurrent_requests: 20
    aliases: ["gpt-4o-2024-*"]
    lanes:
      interactive: {priority: 10}
      batch: {reserve: 10%}
      "tenant-*": {weight: 1}
openai-eu:
  provider: openai
  use: 90%
  gpt-4o: {requests_per_minute: 500, tokens_per_minute: 30_000}
anthropic:
  claude-sonnet-5:
    requests_per_minute: 1000
    input_tokens_per_minute: 2_000_000
    output_tokens_per_minute: 400_000
resources:
  anthropic-claude:
    requests_per_minute: 1000
    tokens_per_minute: 200_000
    concurrent_requests: 10
"#;

/// Returns whether a ledger takes a configuration over.
fn taken_over(configuration: &Configuration) {
    let outcome = Ledger::new().apply(NOW, paceline::core::Command::configure(configuration.clone()));
    assert_eq!(outcome, Outcome::Done);
}

#[test]
fn the_example_of_the_documentation() {
    let compiled = compiled(DESIGN);
    let names: Vec<&str> = compiled.ledgers.iter().map(|ledger| ledger.name.as_str()).collect();
    assert_eq!(names, ["anthropic", "openai", "openai-eu", "anthropic-claude"]);
    compiled.ledgers.iter().for_each(|ledger| taken_over(&ledger.configuration));
    let per_day = limit(&compiled, "openai/gpt-4o/requests_per_day");
    assert_eq!(per_day.algorithm, bucket(86_400_000, 10_000));
    assert_eq!(per_day.transit, 250);
    assert_eq!(limit(&compiled, "openai-eu/gpt-4o/tokens_per_minute").amount, 27_000);
    let own = limit(&compiled, "anthropic-claude/tokens_per_minute");
    assert_eq!((own.algorithm.clone(), own.transit), (sliding(60_000), 0));
    assert_eq!(ledger(&compiled, "openai").resources[0].aliases, ["openai/gpt-4o-2024-*"]);
}

#[test]
fn a_file_that_people_already_have() {
    let text = "
openai:
  gpt-4o:
    requests_per_minute: 500
    tokens_per_minute: 30_000
gemini:
  gemini/gemini-2.5-flash: {requests_per_minute: 10, tokens_per_minute: 250_000}
mycompany:
  llama: {requests_per_minute: 60}
";
    let compiled = compiled(text);
    assert_eq!(limit(&compiled, "openai/gpt-4o/tokens_per_minute").amount, 30_000);
    assert_eq!(limit(&compiled, "gemini/gemini-2.5-flash/tokens_per_minute").amount, 250_000);
    let unknown = &ledger(&compiled, "mycompany").resources[0].profile;
    assert_eq!((unknown.name.as_str(), unknown.transit), ("unknown", 250));
}

#[test]
fn an_empty_file_names_nothing() {
    assert!(compiled("").ledgers.is_empty());
    assert!(compiled("# nothing yet\n").ledgers.is_empty());
}

#[test]
fn short_forms_read_themselves() {
    let text = "
resources:
  mine:
    requests_per_second: 5
    requests_per_10_seconds: 40
    requests_per_minute: 200
    tokens_per_hour: 1_000_000
    images_per_day: 100
    usd_micros_per_month: 9_000_000
    requests_per_250_milliseconds: 2
    concurrent_requests: 3
";
    let compiled = compiled(text);
    let windows: Vec<(&str, Algorithm)> = ledger(&compiled, "mine")
        .configuration
        .limits
        .iter()
        .map(|limit| (&*limit.metric, limit.algorithm.clone()))
        .collect();
    assert_eq!(windows[0], ("requests", sliding(1_000)));
    assert_eq!(windows[1], ("requests", sliding(10_000)));
    assert_eq!(windows[2], ("requests", sliding(60_000)));
    assert_eq!(windows[3], ("tokens", sliding(3_600_000)));
    assert_eq!(windows[4], ("images", sliding(86_400_000)));
    assert!(matches!(windows[5], ("usd_micros", Algorithm::FixedWindow { .. })));
    assert_eq!(windows[6], ("requests", sliding(250)));
    assert_eq!(windows[7], ("concurrent_requests", Algorithm::Concurrency));
    taken_over(&ledger(&compiled, "mine").configuration);
}

#[test]
fn the_long_form_says_everything() {
    let text = r#"
resources:
  mine:
    limits:
      - {id: burst, metric: requests, amount: 600, window: 1m, burst: 20, transit: 100ms, counts: until_settled}
      - {metric: tokens, amount: 1_000, window: 10s, slots: 40, shadow: true, warn_at: 90%}
      - {metric: tokens, amount: 9_000, period: day, zone: Europe/Berlin, margin: 5s}
      - {metric: images, amount: 9, boundaries: ["2027-01-01T00:00:00Z", "2027-02-01T00:00:00+01:00"]}
      - {metric: gpus, amount: 2, algorithm: concurrency, lane: batch}
      - {metric: requests, amount: 5, period: 6h}
"#;
    let compiled = compiled(text);
    let near = &ledger(&compiled, "mine").warn_at;
    assert_eq!(*near, [("mine/tokens_per_10_seconds".into(), Share::percent(90).unwrap())]);
    let burst = limit(&compiled, "mine/burst");
    assert_eq!((burst.algorithm.clone(), burst.transit), (bucket(60_000, 20), 100));
    assert_eq!(burst.counting, Counting::UntilSettled);
    let slots = limit(&compiled, "mine/tokens_per_10_seconds");
    assert_eq!(
        (slots.algorithm.clone(), slots.shadow),
        (Algorithm::SlidingWindow { window: 10_000, slots: 40 }, true)
    );
    let Algorithm::FixedWindow { boundaries: Boundaries::At(midnights), margin: 5_000 } =
        &limit(&compiled, "mine/tokens_per_day").algorithm
    else {
        panic!("a day in Berlin is listed");
    };
    assert_eq!(midnights[0], 1_795_129_200_000, "2026-11-20T00:00:00+01:00");
    assert!(midnights.len() > 730);
    let instants = Boundaries::At(vec![1_798_761_600_000, 1_801_436_400_000]);
    assert_eq!(
        limit(&compiled, "mine/images_per_period").algorithm,
        Algorithm::FixedWindow { boundaries: instants, margin: 0 }
    );
    let lane = &limit(&compiled, "mine/gpus").members[0];
    assert_eq!(*lane, Member { resource: "mine".into(), lanes: Lanes::Only(vec!["batch".into()]) });
    let every = Boundaries::Every { period: 21_600_000, phase: 0 };
    assert_eq!(
        limit(&compiled, "mine/requests_per_6_hours").algorithm,
        Algorithm::FixedWindow { boundaries: every, margin: 0 }
    );
    taken_over(&ledger(&compiled, "mine").configuration);
}

#[test]
fn shared_limits_have_all_that_draw_on_them() {
    let text = "
anthropic:
  shared:
    opus-4.x: {requests_per_minute: 1000, output_tokens_per_minute: 400_000}
  claude-opus-4-8: {shared: opus-4.x}
  claude-opus-4-7:
    limits:
      - {shared: opus-4.x, lane: batch}
      - {metric: input_tokens, amount: 5_000, window: minute}
resources:
  mine: {ledger: anthropic, shared: [opus-4.x]}
";
    let compiled = compiled(text);
    let members = &limit(&compiled, "anthropic/opus-4.x/requests_per_minute").members;
    let names: Vec<(&str, bool)> =
        members.iter().map(|member| (&*member.resource, member.lanes == Lanes::All)).collect();
    assert_eq!(
        names,
        [("anthropic/claude-opus-4-7", false), ("anthropic/claude-opus-4-8", true), ("mine", true)]
    );
    assert_eq!(compiled.ledgers.len(), 1);
    taken_over(&compiled.ledgers[0].configuration);
}

#[test]
fn a_cap_is_one_more_limit_of_its_lane() {
    let text = "
openai:
  gpt-4o:
    requests_per_minute: 500
    lanes: {interactive: {priority: 10, weight: 3, max_head_start: 30s}, batch: {cap: 30%}}
";
    let compiled = compiled(text);
    let cap = limit(&compiled, "openai/gpt-4o/requests_per_minute/cap/batch");
    assert_eq!((cap.amount, cap.algorithm.clone()), (150, bucket(60_000, 150)));
    assert_eq!(cap.members[0].lanes, Lanes::Only(vec!["batch".into()]));
    let lanes = &ledger(&compiled, "openai").configuration.resources[0].lanes;
    assert_eq!((lanes[0].priority, lanes[0].weight, lanes[0].max_head_start), (10, 3, 30_000));
}

#[test]
fn all_reserves_are_one_more_limit_of_the_rest() {
    let text = "
openai:
  shared: {pool: {tokens_per_minute: 1_000}}
  a: {shared: pool, lanes: {batch: {reserve: 10%}, urgent: {reserve: 20%}, rest: {}}}
  b: {shared: pool}
";
    let compiled = compiled(text);
    let rest = limit(&compiled, "openai/pool/tokens_per_minute/unreserved");
    assert_eq!((rest.amount, rest.algorithm.clone()), (700, bucket(60_000, 700)));
    let except = Lanes::Except(vec!["batch".into(), "urgent".into()]);
    assert_eq!(rest.members[0], Member { resource: "openai/a".into(), lanes: except });
    assert_eq!(rest.members[1], Member { resource: "openai/b".into(), lanes: Lanes::All });
    taken_over(&ledger(&compiled, "openai").configuration);
}

#[test]
fn a_tier_seeds_what_is_not_said() {
    let text = "
openai:
  tier: build
  gpt-4o: {tokens_per_minute: 30_000}
  gpt-6-luna:
";
    let compiled = compiled(text);
    assert_eq!(limit(&compiled, "openai/gpt-4o/tokens_per_minute").amount, 30_000);
    assert_eq!(limit(&compiled, "openai/gpt-4o/requests_per_minute").amount, 5_000);
    assert_eq!(limit(&compiled, "openai/gpt-6-luna/tokens_per_minute").amount, 2_000_000);
    assert_eq!(limit(&compiled, "openai/gpt-6-sol/tokens_per_minute").amount, 1_000_000);
}

#[test]
fn models_of_a_pool_share_its_seeds() {
    let compiled = compiled("anthropic: {tier: start, claude-opus-4-8: {requests_per_minute: 50}}");
    let pool = |metric: &str| {
        let limit = limit(&compiled, &format!("anthropic/opus-4.x/{metric}_per_minute"));
        limit
            .members
            .iter()
            .map(|member| member.resource.rsplit('/').next().unwrap_or("").to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        pool("requests"),
        ["claude-opus-4-5", "claude-opus-4-6", "claude-opus-4-7"].map(str::to_owned)
    );
    assert_eq!(pool("input_tokens").len(), 4);
    taken_over(&ledger(&compiled, "anthropic").configuration);
}

#[test]
fn seeds_with_globs_serve_the_models_that_are_named() {
    let compiled = compiled(
        "mistral: {tier: free, codestral: }\nopenrouter: {tier: free-10-credits-or-more, 'a:free': }",
    );
    assert_eq!(limit(&compiled, "mistral/codestral/requests_per_second").amount, 1);
    assert_eq!(limit(&compiled, "openrouter/free/requests_per_day").members.len(), 1);
}

#[test]
fn unknown_resources_can_have_limits() {
    let compiled = compiled("unknown_resources: {requests_per_minute: 10, max_waiting: 5}");
    let UnknownResource::Default(ledger) = &compiled.unknown else { panic!("limits were given") };
    assert_eq!(&*ledger.configuration.limits[0].id, "{name}/requests_per_minute");
    assert_eq!(&*ledger.configuration.limits[0].members[0].resource, "{name}");
    assert_eq!(ledger.configuration.resources[0].line_max, 5);
    assert!(matches!(super::compiled("unknown_resources: allow").unknown, UnknownResource::Allow));
    assert!(matches!(super::compiled("").unknown, UnknownResource::Refuse));
}

#[test]
fn the_nearest_bound_of_the_line_holds() {
    let text = "
max_waiting: 100
revision: 7
openai: {max_waiting: 50, revision: 8, a: {requests_per_day: 1}, b: {requests_per_day: 1, max_waiting: 10}}
resources: {mine: {requests_per_day: 1}}
";
    let compiled = compiled(text);
    let bounds: Vec<u32> = compiled
        .ledgers
        .iter()
        .flat_map(|ledger| &ledger.configuration.resources)
        .map(|it| it.line_max)
        .collect();
    assert_eq!(bounds, [50, 10, 100]);
    assert_eq!(compiled.ledgers.iter().map(|ledger| ledger.revision).collect::<Vec<_>>(), [8, 7]);
}

#[test]
fn anchors_and_merges_save_repetition() {
    let text = "
x-usual: &usual {requests_per_minute: 500, tokens_per_minute: 30_000}
openai:
  gpt-4o: *usual
  gpt-4o-mini: {<<: *usual, tokens_per_minute: 200_000}
";
    let compiled = compiled(text);
    assert_eq!(limit(&compiled, "openai/gpt-4o/tokens_per_minute").amount, 30_000);
    assert_eq!(limit(&compiled, "openai/gpt-4o-mini/tokens_per_minute").amount, 200_000);
    assert_eq!(limit(&compiled, "openai/gpt-4o-mini/requests_per_minute").amount, 500);
}

#[test]
fn an_unlimited_resource_says_so() {
    let compiled = compiled("resources: {mine: {unlimited: true}}");
    assert!(ids(&compiled).is_empty());
    assert_eq!(compiled.ledgers[0].configuration.resources.len(), 1);
}

#[test]
fn code_says_what_a_file_says() {
    let percent = |percent| Share::percent(percent).expect("a share");
    let built = Config::new()
        .account(
            "openai",
            Account::new().usable(percent(90)).shared("pool", Limit::per_minute("tokens", 30_000)).model(
                "gpt-4o",
                Resource::new()
                    .limit(Limit::per_minute("requests", 500))
                    .limit(Limit::concurrent(20))
                    .shared("pool")
                    .alias("gpt-4o-2024-*")
                    .lane(Lane::new("batch").reserve(percent(10)).priority(-1)),
            ),
        )
        .resource(
            "mine",
            Own::new(Resource::new().limit(Limit::per_day("images", 9).zone("UTC"))).ledger("openai"),
        );
    let text = "
openai:
  use: 90%
  shared: {pool: {tokens_per_minute: 30_000}}
  gpt-4o:
    requests_per_minute: 500
    concurrent_requests: 20
    shared: pool
    aliases: gpt-4o-2024-*
    lanes: {batch: {reserve: 10%, priority: -1}}
resources:
  mine:
    ledger: openai
    limits: [{metric: images, amount: 9, window: day, zone: UTC}]
";
    let read = Config::parse("limits.yaml", text).expect("it is valid");
    assert_eq!(read, built);
    assert_ne!(read, built.clone().revision(1));
    built.compile(NOW).expect("it compiles");
}

#[test]
fn a_file_is_read_from_disk() {
    let path = std::env::temp_dir().join(format!("paceline-config-{}.yaml", std::process::id()));
    std::fs::write(&path, DESIGN).expect("it can be written");
    let loaded = Config::load(&path);
    std::fs::remove_file(&path).expect("it can be removed");
    assert_eq!(loaded.expect("it is valid"), Config::parse("limits.yaml", DESIGN).expect("it is valid"));
}

#[test]
fn a_resource_draws_once_on_what_it_shares_twice() {
    let text = "
openai:
  shared: {pool: {tokens_per_minute: 1_000}}
  a: {limits: [{shared: pool, lane: x}, {shared: pool, lane: y}]}
  b: {shared: [pool, pool]}
";
    let compiled = compiled(text);
    let members = &limit(&compiled, "openai/pool/tokens_per_minute").members;
    assert_eq!(members[0].lanes, Lanes::Only(vec!["x".into(), "y".into()]));
    assert_eq!((members.len(), &members[1].lanes), (2, &Lanes::All));
}

#[test]
fn what_is_shared_with_nobody_reaches_no_ledger() {
    assert!(ids(&compiled("openai: {shared: {pool: {tokens_per_minute: 9}}}")).is_empty());
}
