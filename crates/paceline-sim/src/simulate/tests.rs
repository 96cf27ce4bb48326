//! Small cases worked out by hand, and a day that is the same each time.

use paceline_core::{Algorithm, Configuration, LaneSpec, LimitSpec, Name, ResourceSpec};

use super::*;

fn bucket(metric: &str, amount: u64) -> LimitSpec {
    let algorithm = Algorithm::TokenBucket { window: 60_000, burst: amount };
    LimitSpec::new(metric, metric, amount, algorithm).member("gpt")
}

fn tokens(at_ms: u64, reserved: u64, used: u64, duration_ms: u64) -> Call {
    let of = |amount| vec![(Name::from("tokens"), amount)];
    Call { reserve: of(reserved), used: of(used), duration_ms, ..Call::new(at_ms, "gpt") }
}

#[test]
fn a_bucket_grants_what_comes_back() {
    let configuration = Configuration::new([bucket("requests", 60)], [ResourceSpec::new("gpt")]);
    let calls = vec![Call::new(500, "gpt"); 63];
    let report = run(configuration, 1_000_000, &calls).unwrap();
    assert_eq!((report.granted, report.last_grant_ms, report.makespan_ms), (63, 3_000, 3_000));
    assert_eq!((report.lanes[0].wait_p50_ms, report.lanes[0].wait_max_ms), (0, 3_000));
    // 60 at the start, and 3 that came back.
    assert_eq!((report.limits[0].used, report.limits[0].available), (63, 63));
}

#[test]
fn what_is_not_used_goes_to_the_next() {
    let configuration = Configuration::new([bucket("tokens", 600)], [ResourceSpec::new("gpt")]);
    // The first reserves all and returns 500 after 2 s; the second wants 560: 100 less 20 that came back by then are
    // 40 more tokens to wait for, 4 s at 10 a second.
    let calls = [tokens(0, 600, 100, 2_000), tokens(0, 560, 560, 1_000)];
    let report = run(configuration, 0, &calls).unwrap();
    assert_eq!((report.last_grant_ms, report.makespan_ms), (6_000, 7_000));
    assert_eq!((report.tokens_returned, report.overtaken), (500, 0));
}

#[test]
fn calls_in_flight_follow_each_other() {
    let limit = LimitSpec::new("slots", "concurrent_requests", 1, Algorithm::Concurrency).member("gpt");
    let configuration = Configuration::new([limit], [ResourceSpec::new("gpt")]);
    let calls = vec![Call { duration_ms: 4_000, ..Call::new(0, "gpt") }; 3];
    let report = run(configuration, 0, &calls).unwrap();
    assert_eq!((report.last_grant_ms, report.makespan_ms), (8_000, 12_000));
    assert!((report.limits[0].utilisation - 1.0).abs() < 1e-9);
}

#[test]
fn what_can_never_be_is_refused_and_what_is_unknown_too() {
    let configuration = Configuration::new([bucket("tokens", 600)], [ResourceSpec::new("gpt")]);
    let calls = [tokens(0, 601, 601, 0), Call::new(0, "other")];
    let report = run(configuration, 0, &calls).unwrap();
    assert_eq!((report.granted, report.refused), (0, 2));
    assert_eq!(report.lanes[0].refused.keys().collect::<Vec<_>>(), ["impossible"]);
    assert_eq!(report.lanes[1].refused.keys().collect::<Vec<_>>(), ["unknown resource"]);
}

#[test]
fn lanes_are_reported_apart() {
    let resource =
        ResourceSpec::new("gpt").lane(LaneSpec::new("fast").priority(1)).lane(LaneSpec::new("slow"));
    let configuration = Configuration::new([bucket("requests", 1)], [resource]);
    let call = |lane: &str| Call { lane: Some(lane.into()), ..Call::new(0, "gpt") };
    let calls = [call("slow"), call("slow"), call("fast")];
    let report = run(configuration, 0, &calls).unwrap();
    let waits: Vec<_> = report.lanes.iter().map(|lane| (lane.lane.as_deref(), lane.wait_max_ms)).collect();
    assert_eq!(waits, [(Some("fast"), 60_000), (Some("slow"), 120_000)]);
    assert_eq!(report.overtaken, 0);
}

fn day() -> Vec<Call> {
    let traffic = Traffic {
        length_ms: 86_400_000,
        calls_per_minute: 20.0,
        swing: 0.8,
        input_median: 1_000.0,
        output_median: 300.0,
        factor_least: 2.0,
        factor_most: 20.0,
        first_token_ms: 300.0,
        per_token_ms: 10.0,
        seed: 7,
    };
    let calls = traffic.calls();
    assert!((27_000..31_000).contains(&calls.len()), "{}", calls.len());
    let planned = |call: &Planned| {
        let most = 20_000;
        let used = call.output_tokens.min(most);
        tokens(call.at_ms, call.max_output_tokens.min(most), used, call.duration_ms)
    };
    calls.iter().map(planned).collect()
}

#[test]
fn a_day_is_the_same_each_time() {
    let configuration = || Configuration::new([bucket("tokens", 20_000)], [ResourceSpec::new("gpt")]);
    let calls = day();
    let report = run(configuration(), 0, &calls).unwrap();
    assert_eq!(report, run(configuration(), 0, &calls).unwrap());
    assert_eq!((report.granted, report.overtaken, report.waiting), (report.arrived, 0, 0));
    assert!(report.lanes[0].wait_max_ms > 0);
    assert!(report.series.waiting.len() >= 239);
}

#[test]
fn nothing_at_all_is_a_report_too() {
    let report = run(Configuration::new([], []), 0, &[]).unwrap();
    assert_eq!((report.arrived, report.makespan_ms), (0, 0));
}
