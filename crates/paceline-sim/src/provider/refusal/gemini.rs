//! Gemini, which says everything in the body (ai.google.dev/gemini-api/docs/rate-limits, 2026-08-18).

use serde_json::{Value, json};

use super::{Case, Words, told_us, unit};
use crate::judge::{Metric, Violation};
use crate::provider::answer::Answer;
use crate::provider::durations::whole_seconds;

const MINUTE_US: u64 = 60_000_000;

pub(super) fn gemini(case: &Case<'_>, violation: &Violation) -> Words {
    let us = promised_us(violation);
    let exceeded: Vec<String> =
        case.refusal.violations.iter().map(|violation| line(case, violation)).collect();
    let message = format!(
        "You exceeded your current quota, please check your plan and billing details.\n{}\nPlease retry in {}.{:06}s.",
        exceeded.join("\n"),
        us / 1_000_000,
        us % 1_000_000,
    );
    let violations: Vec<Value> =
        case.refusal.violations.iter().map(|violation| detail(case, violation)).collect();
    let delay = format!("{}s", whole_seconds(us / case.hint_divisor));
    let details = json!([
        {"@type": "type.googleapis.com/google.rpc.Help", "links": []},
        {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": violations},
        {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay},
    ]);
    let error = json!({"code": 429, "status": "RESOURCE_EXHAUSTED", "message": message, "details": details});
    Words::new(message, Answer::new(429, json!({"error": error})))
}

/// The vendor names less than a minute even where the day is exhausted.
fn promised_us(violation: &Violation) -> u64 {
    let us = told_us(violation);
    if us > MINUTE_US { us % MINUTE_US } else { us }
}

fn line(case: &Case<'_>, violation: &Violation) -> String {
    let limit = &violation.limit;
    format!(
        "* Quota exceeded for metric: {}, limit: {}, model: {}",
        metric(limit.metric),
        limit.amount,
        case.model
    )
}

fn detail(case: &Case<'_>, violation: &Violation) -> Value {
    let limit = &violation.limit;
    let kind =
        if limit.metric == Metric::Requests { "GenerateRequests" } else { "GenerateContentInputTokens" };
    let window = if unit(limit) == "day" { "PerDay" } else { "PerMinute" };
    json!({
        "quotaMetric": metric(limit.metric),
        "quotaId": format!("{kind}{window}PerProjectPerModel-FreeTier"),
        "quotaDimensions": {"model": case.model, "location": "global"},
        "quotaValue": limit.amount.to_string(),
    })
}

fn metric(metric: Metric) -> &'static str {
    match metric {
        Metric::Requests => "generativelanguage.googleapis.com/generate_content_free_tier_requests",
        _ => "generativelanguage.googleapis.com/generate_content_free_tier_input_token_count",
    }
}
