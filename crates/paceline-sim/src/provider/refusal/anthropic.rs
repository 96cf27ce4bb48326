//! Anthropic (platform.claude.com/docs/en/api/errors, 2026-10).

use serde_json::json;

use super::{Case, Words, noun, unit};
use crate::judge::Violation;
use crate::provider::answer::Answer;

pub(super) fn anthropic(case: &Case<'_>, violation: &Violation) -> Words {
    let limit = &violation.limit;
    let message = format!(
        "This request would exceed your organization's rate limit of {} {} per {} for {}.",
        with_commas(limit.amount),
        noun(limit.metric),
        unit(limit),
        case.model,
    );
    let body = json!({"type": "error", "error": {"type": "rate_limit_error", "message": message}});
    Words::new(message, Answer::new(429, body).with(case.retry_after(violation)))
}

fn with_commas(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().filter_map(|group| str::from_utf8(group).ok()).collect();
    groups.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        let cases = [(0, "0"), (999, "999"), (1_000, "1,000"), (30_000, "30,000"), (1_234_567, "1,234,567")];
        for (number, text) in cases {
            assert_eq!(with_commas(number), text);
        }
    }
}
