//! Dialects whose refusals name no numbers.

use serde_json::json;

use super::{Case, Words, unit};
use crate::judge::{Metric, Violation};
use crate::provider::answer::{Answer, header};

/// Says which of the two buckets was hit (inference-docs.cerebras.ai/support/rate-limits, autumn 2026).
pub(super) fn cerebras(case: &Case<'_>, violation: &Violation) -> Words {
    let (what, kind, code) = match violation.limit.metric {
        Metric::Requests => ("Requests", "too_many_requests_error", "request_quota_exceeded"),
        Metric::UncachedTokens => ("Uncached tokens", "too_many_tokens_error", "token_quota_exceeded"),
        _ => ("Total tokens", "too_many_tokens_error", "token_quota_exceeded"),
    };
    let message = format!("{what} per {} limit exceeded.", unit(&violation.limit));
    let body = json!({"message": message, "type": kind, "param": "quota", "code": code});
    Words::new(message, Answer::new(429, body).with(case.retry_after(violation)))
}

/// The body is known from clients only.
pub(super) fn mistral(case: &Case<'_>, violation: &Violation) -> Words {
    let message = "Rate limit exceeded".to_owned();
    let body =
        json!({"object": "error", "message": message, "type": "rate_limited", "param": null, "code": "1300"});
    Words::new(message, Answer::new(429, body).with(case.retry_after(violation)))
}

/// A `ThrottlingException` (docs.aws.amazon.com/bedrock, 2026-09).
pub(super) fn bedrock(violation: &Violation) -> Words {
    let what = if violation.limit.metric == Metric::Requests { "requests" } else { "tokens" };
    let day = if unit(&violation.limit) == "day" { " per day" } else { "" };
    let message = format!("Too many {what}{day}, please wait before trying again.");
    let answer = Answer::new(429, json!({"message": message}));
    Words::new(message, answer.with(vec![header("x-amzn-errortype", "ThrottlingException")]))
}

/// The body is `OpenAI`'s; its text is not documented.
pub(super) fn deepseek(case: &Case<'_>, violation: &Violation) -> Words {
    let message =
        format!("Rate limit reached for {}: {} concurrent requests.", case.model, violation.limit.amount);
    let error =
        json!({"message": message, "type": "rate_limit_error", "param": null, "code": "rate_limit_exceeded"});
    Words::new(message, Answer::new(429, json!({"error": error})))
}
