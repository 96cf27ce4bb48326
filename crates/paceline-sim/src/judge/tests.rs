//! The judge on cases worked out by hand.

use super::*;

const SECOND: u64 = 1_000_000;
const MINUTE_MS: u64 = 60_000;

fn judge(dialect: Dialect, limits: &[Limit]) -> Judge {
    Judge::new(Rules::of(dialect), limits, 1)
}

fn tokens(prompt_tokens: u64) -> Call {
    Call { prompt_tokens, ..Call::default() }
}

fn usage(input_tokens: u64, output_tokens: u64) -> Usage {
    Usage { input_tokens, output_tokens, ..Usage::default() }
}

#[track_caller]
fn admitted(judge: &mut Judge, now_us: u64, call: &Call) -> CallId {
    judge.arrive(now_us, call).admitted().expect("there is room")
}

#[track_caller]
fn refused(judge: &mut Judge, now_us: u64, call: &Call) -> Violation {
    match judge.arrive(now_us, call) {
        Verdict::Refused(refusal) => *refusal.binding().expect("a refusal names a limit"),
        Verdict::Admitted(_) => panic!("admitted at {now_us} us"),
    }
}

fn available(judge: &mut Judge, now_us: u64) -> i64 {
    judge.standings(now_us)[0].available
}

#[test]
fn a_bucket_refills_without_pause_and_stops_at_its_capacity() {
    let mut judge = judge(Dialect::Gemini, &[Limit::bucket(Metric::InputTokens, 60, MINUTE_MS)]);
    admitted(&mut judge, 0, &tokens(60));
    assert_eq!(refused(&mut judge, SECOND - 1, &tokens(1)).wait, Wait::Us(1));
    admitted(&mut judge, SECOND, &tokens(1));
    assert_eq!(available(&mut judge, 1_000 * SECOND), 60);
}

#[test]
fn a_bucket_smaller_than_its_window_refuses_what_it_can_never_hold() {
    let algorithm = Algorithm::TokenBucket { capacity: 10 };
    let limit = Limit { algorithm, ..Limit::bucket(Metric::InputTokens, 60, MINUTE_MS) };
    let mut judge = judge(Dialect::Gemini, &[limit]);
    assert_eq!(refused(&mut judge, 0, &tokens(11)).wait, Wait::Never);
    admitted(&mut judge, 0, &tokens(10));
}

#[test]
fn a_wait_that_is_waited_is_enough_and_a_microsecond_less_is_not() {
    for limit in [
        Limit::bucket(Metric::InputTokens, 7, 1_000),
        Limit::fixed_window(Metric::InputTokens, 7, 1_000),
        Limit::sliding_log(Metric::InputTokens, 7, 1_000),
    ] {
        let mut judge = judge(Dialect::Gemini, &[limit]);
        admitted(&mut judge, 10, &tokens(6));
        let Wait::Us(wait) = refused(&mut judge, 10, &tokens(3)).wait else { panic!("{limit:?}") };
        refused(&mut judge, 10 + wait - 1, &tokens(3));
        admitted(&mut judge, 10 + wait, &tokens(3));
    }
}

#[test]
fn a_fixed_window_starts_anew_at_its_boundary() {
    let algorithm = Algorithm::FixedWindow { phase_ms: Some(300) };
    let limit = Limit { algorithm, ..Limit::fixed_window(Metric::Requests, 1, 1_000) };
    let mut judge = judge(Dialect::Gemini, &[limit]);
    admitted(&mut judge, 299_999, &tokens(1));
    admitted(&mut judge, 300_000, &tokens(1));
    refused(&mut judge, 1_299_999, &tokens(1));
    admitted(&mut judge, 1_300_000, &tokens(1));
}

#[test]
fn the_phase_of_a_fixed_window_comes_from_the_seed() {
    let limit = [Limit::fixed_window(Metric::Requests, 1, MINUTE_MS)];
    let boundary = |seed| Judge::new(Rules::default(), &limit, seed).standings(0)[0].full_in_us;
    assert_eq!(boundary(1), boundary(1));
    assert_ne!(boundary(1), boundary(2));
}

#[test]
fn a_sliding_log_forgets_a_charge_when_it_is_a_window_old() {
    let mut judge = judge(Dialect::Gemini, &[Limit::sliding_log(Metric::Requests, 2, 1_000)]);
    admitted(&mut judge, 0, &tokens(1));
    admitted(&mut judge, 600_000, &tokens(1));
    assert_eq!(refused(&mut judge, 999_999, &tokens(1)).wait, Wait::Us(1));
    admitted(&mut judge, SECOND, &tokens(1));
    refused(&mut judge, SECOND, &tokens(1));
}

#[test]
fn concurrency_comes_back_when_a_call_ends() {
    let mut judge = judge(Dialect::Deepseek, &[Limit::concurrent(1)]);
    let id = admitted(&mut judge, 0, &tokens(1_000));
    assert_eq!(refused(&mut judge, 1_000 * SECOND, &tokens(1)).wait, Wait::Unknown);
    judge.finish(1_000 * SECOND, id, &usage(1_000, 5));
    admitted(&mut judge, 1_000 * SECOND, &tokens(1));
    assert_eq!(judge.tally().peak_in_flight, 1);
}

#[test]
fn a_refusal_charges_no_limit_at_all() {
    let limits =
        [Limit::bucket(Metric::Requests, 10, MINUTE_MS), Limit::bucket(Metric::InputTokens, 5, MINUTE_MS)];
    let mut judge = judge(Dialect::Gemini, &limits);
    refused(&mut judge, 0, &tokens(6));
    assert_eq!(available(&mut judge, 0), 10);
    assert_eq!(judge.tally().limits[1].refused, 1);
    assert_eq!(judge.tally().limits[0].refused, 0);
}

#[test]
fn a_refusal_costs_a_request_where_the_vendor_says_so() {
    let limits = [Limit::bucket(Metric::Requests, 2, MINUTE_MS), Limit::bucket(Metric::Tokens, 5, MINUTE_MS)];
    let mut judge = judge(Dialect::Openai, &limits);
    for left in [1, 0, 0] {
        refused(&mut judge, 0, &tokens(6));
        assert_eq!(available(&mut judge, 0), left);
    }
    assert_eq!(judge.standings(0)[1].available, 5);
}

#[test]
fn openai_counts_the_larger_of_estimate_and_max_tokens_and_returns_nothing() {
    let mut judge = judge(Dialect::Openai, &[Limit::bucket(Metric::Tokens, 1_000, MINUTE_MS)]);
    let id = admitted(&mut judge, 0, &Call { max_tokens: Some(300), ..tokens(100) });
    assert_eq!(available(&mut judge, 0), 700);
    judge.finish(0, id, &usage(100, 10));
    assert_eq!(available(&mut judge, 0), 700);
    admitted(&mut judge, 0, &tokens(100));
    assert_eq!(available(&mut judge, 0), 600);
}

#[test]
fn openai_states_a_shortfall_that_its_own_numbers_give() {
    let mut judge = judge(Dialect::Openai, &[Limit::bucket(Metric::Tokens, 30_000, MINUTE_MS)]);
    admitted(&mut judge, 0, &tokens(22_999));
    let violation = refused(&mut judge, 0, &tokens(12_528));
    assert_eq!((violation.used(), violation.requested), (22_999, 12_528));
    assert_eq!(violation.wait, Wait::Us(11_054_000));
}

#[test]
fn azure_multiplies_by_the_choices() {
    let mut judge = judge(Dialect::Azure, &[Limit::fixed_window(Metric::Tokens, 1_000, MINUTE_MS)]);
    let id = admitted(&mut judge, 0, &Call { max_tokens: Some(50), choices: 3, ..tokens(100) });
    judge.finish(0, id, &usage(100, 1));
    assert_eq!(available(&mut judge, 0), 550);
}

#[test]
fn anthropic_counts_uncached_input_at_the_start_and_output_as_it_appears() {
    let limits = [
        Limit::bucket(Metric::OutputTokens, 60, MINUTE_MS),
        Limit::bucket(Metric::InputTokens, 100, MINUTE_MS),
    ];
    let mut judge = judge(Dialect::Anthropic, &limits);
    let call = Call { cached_tokens: 80, max_tokens: Some(100_000), ..tokens(100) };
    let id = admitted(&mut judge, 0, &call);
    assert_eq!(judge.standings(0)[1].available, 80);
    judge.produce(0, id, 60);
    assert_eq!(refused(&mut judge, 0, &call).wait, Wait::Us(1));
    judge.produce(0, id, 60);
    assert_eq!(available(&mut judge, 0), -60);
    let final_usage = Usage { cached_tokens: 80, ..usage(100, 120) };
    assert_eq!(judge.finish(0, id, &final_usage).expect("open").output_tokens, 120);
    assert_eq!(available(&mut judge, 0), -60);
    refused(&mut judge, 60 * SECOND, &call);
    admitted(&mut judge, 60 * SECOND + 1, &call);
    assert_eq!(judge.tally().limits[0].deepest_debt, 60);
}

#[test]
fn output_that_was_never_reported_while_running_is_charged_at_the_end() {
    let mut judge = judge(Dialect::Anthropic, &[Limit::sliding_log(Metric::OutputTokens, 60, MINUTE_MS)]);
    let id = admitted(&mut judge, 0, &tokens(1));
    judge.finish(SECOND, id, &usage(1, 25));
    assert_eq!(available(&mut judge, SECOND), 35);
}

#[test]
fn gemini_never_counts_output() {
    let mut judge = judge(Dialect::Gemini, &[Limit::sliding_log(Metric::Tokens, 100, MINUTE_MS)]);
    let id = admitted(&mut judge, 0, &Call { max_tokens: Some(9_999), ..tokens(40) });
    judge.produce(0, id, 500);
    judge.finish(0, id, &usage(40, 500));
    assert_eq!(available(&mut judge, 0), 60);
}

#[test]
fn groq_returns_cached_input_only_afterwards() {
    let mut judge = judge(Dialect::Groq, &[Limit::bucket(Metric::Tokens, 100, MINUTE_MS)]);
    let id = admitted(&mut judge, 0, &Call { cached_tokens: 50, ..tokens(60) });
    assert_eq!(available(&mut judge, 0), 40);
    judge.produce(0, id, 20);
    judge.finish(0, id, &Usage { cached_tokens: 50, ..usage(60, 20) });
    assert_eq!(available(&mut judge, 0), 70);
}

#[test]
fn cerebras_settles_both_buckets_to_the_actual_use() {
    let limits = [
        Limit::bucket(Metric::UncachedTokens, 500, MINUTE_MS),
        Limit::bucket(Metric::Tokens, 500, MINUTE_MS),
    ];
    let mut judge = judge(Dialect::Cerebras, &limits);
    let id = admitted(&mut judge, 0, &Call { max_tokens: Some(200), ..tokens(100) });
    assert_eq!(available(&mut judge, 0), 200);
    judge.finish(0, id, &Usage { cached_tokens: 90, ..usage(100, 20) });
    let left: Vec<i64> = judge.standings(0).iter().map(|standing| standing.available).collect();
    assert_eq!(left, [470, 380]);
}

#[test]
fn mistral_counts_input_and_output() {
    let mut judge = judge(Dialect::Mistral, &[Limit::sliding_log(Metric::Tokens, 100, MINUTE_MS)]);
    let id = admitted(&mut judge, 0, &Call { max_tokens: Some(9_999), ..tokens(40) });
    judge.finish(0, id, &usage(40, 15));
    assert_eq!(available(&mut judge, 0), 45);
}

#[test]
fn bedrock_burns_output_down_at_the_models_rate() {
    let rules = Rules { burndown: 5, ..Rules::of(Dialect::Bedrock) };
    let mut judge = Judge::new(rules, &[Limit::bucket(Metric::Tokens, 100_000, MINUTE_MS)], 1);
    let id = admitted(&mut judge, 0, &tokens(1_000));
    assert_eq!(available(&mut judge, 0), 35_000);
    judge.finish(0, id, &Usage { cached_tokens: 200, ..usage(1_000, 100) });
    assert_eq!(available(&mut judge, 0), 98_700);
}

#[test]
fn a_return_into_a_window_that_has_passed_is_lost() {
    let fixed = Algorithm::FixedWindow { phase_ms: Some(0) };
    for algorithm in [fixed, Algorithm::SlidingLog] {
        let limit = Limit { algorithm, ..Limit::sliding_log(Metric::Tokens, 300, 1_000) };
        let mut judge = judge(Dialect::Cerebras, &[limit]);
        let id = admitted(&mut judge, 0, &Call { max_tokens: Some(200), ..tokens(0) });
        admitted(&mut judge, SECOND, &Call { max_tokens: Some(200), ..tokens(0) });
        judge.finish(SECOND, id, &usage(0, 0));
        assert_eq!(available(&mut judge, SECOND), 100, "{algorithm:?}");
    }
}

#[test]
fn time_that_goes_back_stands_still() {
    let mut judge = judge(Dialect::Gemini, &[Limit::bucket(Metric::Requests, 60, MINUTE_MS)]);
    admitted(&mut judge, 5 * SECOND, &tokens(0));
    assert_eq!(available(&mut judge, 0), 59);
    assert_eq!(available(&mut judge, 6 * SECOND), 60);
}

#[test]
fn a_limit_of_nothing_refuses_for_ever() {
    let mut judge = judge(Dialect::Mistral, &[Limit::bucket(Metric::Tokens, 0, MINUTE_MS)]);
    assert_eq!(refused(&mut judge, 0, &tokens(1)).wait, Wait::Never);
    assert_eq!(refused(&mut judge, 0, &tokens(0)).wait, Wait::Never);
}

#[test]
fn the_tally_keeps_peaks_and_what_was_counted() {
    let mut judge = judge(Dialect::Cerebras, &[Limit::bucket(Metric::Tokens, 1_000, MINUTE_MS)]);
    let id = admitted(&mut judge, 0, &Call { max_tokens: Some(200), ..tokens(100) });
    judge.finish(0, id, &usage(100, 20));
    let tally = judge.tally();
    assert_eq!(tally.limits[0].peak_used, 300);
    assert_eq!((tally.counted.tokens, tally.counted.requests), (120, 1));
    assert_eq!((tally.arrived, tally.admitted, tally.in_flight), (1, 1, 0));
}

#[test]
fn a_call_that_is_not_open_is_ignored() {
    let mut judge = judge(Dialect::Anthropic, &[Limit::bucket(Metric::OutputTokens, 60, MINUTE_MS)]);
    let id = admitted(&mut judge, 0, &tokens(1));
    judge.finish(0, id, &usage(1, 0));
    judge.produce(0, id, 10);
    assert_eq!(judge.finish(0, id, &usage(1, 9)), None);
    assert_eq!(available(&mut judge, 0), 60);
}

#[test]
fn limits_and_rules_read_from_json() {
    let text = r#"{"metric":"input_tokens","amount":5,"window_ms":60000,"algorithm":{"token_bucket":{"capacity":2}}}"#;
    let limit: Limit = serde_json::from_str(text).unwrap();
    assert_eq!(limit.algorithm, Algorithm::TokenBucket { capacity: 2 });
    let cap: Limit =
        serde_json::from_str(r#"{"metric":"concurrent_requests","amount":5,"algorithm":"concurrency"}"#)
            .unwrap();
    assert_eq!(cap, Limit::concurrent(5));
}
