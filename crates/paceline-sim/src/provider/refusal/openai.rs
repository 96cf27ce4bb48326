//! `OpenAI`, and those who took over its words.

use serde_json::{Value, json};

use super::{Case, Words, noun, told_us, unit};
use crate::judge::{Metric, Violation, Wait};
use crate::provider::answer::{Answer, header};
use crate::provider::durations::{go, whole_seconds};

/// The texts of help.openai.com/en/articles/5955604, 2026.
pub(super) fn openai(case: &Case<'_>, violation: &Violation) -> Words {
    const VISIT: &str = "Visit https://platform.openai.com/account/rate-limits to learn more.";
    let place = format!("for {} in organization org-fake{}", case.model, case.account);
    let message = match violation.wait {
        Wait::Never => format!(
            "Request too large {place} on {}: Limit {}, Requested {}. The input or output tokens must be reduced in \
             order to run successfully. {VISIT}",
            measure(violation),
            violation.limit.amount,
            violation.requested,
        ),
        _ => format!("Rate limit reached {place} on {} {VISIT}", numbers(violation)),
    };
    let answer = Answer::new(429, body(&message, violation));
    Words::new(message, answer.with(case.retry_after(violation)))
}

/// The text of console.groq.com/docs/rate-limits, 2026-10.
pub(super) fn groq(case: &Case<'_>, violation: &Violation) -> Words {
    let place = format!("for model `{}` in organization `org_fake{}`", case.model, case.account);
    let message = match violation.wait {
        Wait::Never => format!(
            "Request too large {place} on {}: Limit {}, Requested {}, please reduce your message size and try again.",
            measure(violation),
            violation.limit.amount,
            violation.requested,
        ),
        _ => format!("Rate limit reached {place} on {}", numbers(violation)),
    };
    let answer = Answer::new(429, body(&message, violation));
    Words::new(message, answer.with(case.retry_after(violation)))
}

/// Azure names neither the limit's amount nor its use.
pub(super) fn azure(case: &Case<'_>, violation: &Violation) -> Words {
    let rate = if violation.limit.metric == Metric::Requests { "call" } else { "token" };
    let message = format!(
        "Requests to the ChatCompletions_Create Operation under Azure OpenAI API have been limited: the {rate} rate \
         limit of your current pricing tier was exceeded. Please retry after {} seconds.",
        whole_seconds(told_us(violation)),
    );
    let body = json!({"error": {"code": "429", "message": message}});
    let mut answer = Answer::new(429, body).with(case.retry_after(violation));
    if let Some(us) = case.hint_us(violation) {
        answer.headers.push(header("retry-after-ms", us.div_ceil(1_000)));
    }
    Words::new(message, answer)
}

fn body(message: &str, violation: &Violation) -> Value {
    let kind = if violation.limit.metric == Metric::Requests { "requests" } else { "tokens" };
    json!({"error": {"message": message, "type": kind, "param": null, "code": "rate_limit_exceeded"}})
}

fn numbers(violation: &Violation) -> String {
    format!(
        "{}: Limit {}, Used {}, Requested {}. Please try again in {}.",
        measure(violation),
        violation.limit.amount,
        violation.used(),
        violation.requested,
        go(told_us(violation)),
    )
}

/// For example `tokens per min (TPM)`.
fn measure(violation: &Violation) -> String {
    let limit = &violation.limit;
    let (unit, letter) = match unit(limit) {
        "second" => ("sec", 'S'),
        "minute" => ("min", 'M'),
        "hour" => ("hour", 'H'),
        _ => ("day", 'D'),
    };
    let letters = match limit.metric {
        Metric::Requests => "RP",
        Metric::Tokens | Metric::UncachedTokens => "TP",
        Metric::InputTokens => "ITP",
        Metric::OutputTokens => "OTP",
        Metric::ConcurrentRequests => return "concurrent requests".to_owned(),
    };
    format!("{} per {unit} ({letters}{letter})", noun(limit.metric))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::{Dialect, Limit, Refusal};

    fn message(limit: Limit, available: i64, requested: u64, wait: Wait) -> String {
        let violation = Violation { index: 0, limit, available, requested, wait };
        let refusal = Refusal { violations: vec![violation] };
        let dialect = Dialect::Openai;
        let case = Case { dialect, account: 1, model: "gpt-4o", refusal: &refusal, hint_divisor: 1 };
        openai(&case, &violation).message
    }

    #[test]
    fn the_text_is_the_vendors() {
        let limit = Limit::bucket(Metric::Tokens, 30_000, 60_000);
        assert_eq!(
            message(limit, 7_001, 12_528, Wait::Us(11_054_000)),
            "Rate limit reached for gpt-4o in organization org-fake1 on tokens per min (TPM): Limit 30000, Used 22999, \
             Requested 12528. Please try again in 11.054s. Visit https://platform.openai.com/account/rate-limits to \
             learn more."
        );
        assert!(message(limit, 30_000, 34_307, Wait::Never).starts_with(
            "Request too large for gpt-4o in organization org-fake1 on tokens per min (TPM): Limit 30000, \
                 Requested 34307."
        ));
    }

    #[test]
    fn a_day_of_requests_is_named_so() {
        let text = message(Limit::bucket(Metric::Requests, 200, 86_400_000), 0, 1, Wait::Us(432_000_000));
        assert!(text.contains(
            "on requests per day (RPD): Limit 200, Used 200, Requested 1. Please try again in 7m12s."
        ));
    }
}
