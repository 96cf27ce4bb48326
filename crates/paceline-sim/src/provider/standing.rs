//! The headers in which each dialect says where its limits stand.

use super::answer::{Headers, header};
use super::durations::{float_seconds, go, rfc3339, whole_seconds};
use crate::judge::{Dialect, Metric, Standing};

const MINUTE_MS: u64 = 60_000;

/// Returns the rate-limit headers of an answer given at `unix_us`. Gemini, Bedrock and `DeepSeek` send none.
pub(super) fn headers(dialect: Dialect, standings: &[Standing], unix_us: u64) -> Headers {
    match dialect {
        Dialect::Openai => openai_like(&tightest(standings), &go),
        Dialect::Azure => openai_like(&tightest(standings), &|us| whole_seconds(us).to_string()),
        Dialect::Groq => openai_like(&day_requests_and_minute_tokens(standings), &go),
        Dialect::Anthropic => anthropic(standings, unix_us),
        Dialect::Cerebras => cerebras(standings),
        Dialect::Mistral => mistral(standings),
        Dialect::Gemini | Dialect::Bedrock | Dialect::Deepseek => Headers::new(),
    }
}

/// Per kind, the limit of which least is left, whichever its window.
fn tightest(standings: &[Standing]) -> Vec<(&'static str, Standing)> {
    pick(|metric| of(standings, metric).min_by_key(|standing| standing.available))
}

/// Groq's fixed meaning: `requests` is the day's limit and `tokens` the minute's.
fn day_requests_and_minute_tokens(standings: &[Standing]) -> Vec<(&'static str, Standing)> {
    pick(|metric| match metric {
        Metric::Requests => of(standings, metric).max_by_key(|standing| standing.limit.window_ms),
        _ => of(standings, metric).min_by_key(|standing| standing.limit.window_ms),
    })
}

fn pick<'a>(choose: impl Fn(Metric) -> Option<&'a Standing>) -> Vec<(&'static str, Standing)> {
    let kinds = [("requests", Metric::Requests), ("tokens", Metric::Tokens)];
    kinds.into_iter().filter_map(|(kind, metric)| choose(metric).map(|&standing| (kind, standing))).collect()
}

fn openai_like(kinds: &[(&'static str, Standing)], duration: &dyn Fn(u64) -> String) -> Headers {
    let three = |&(kind, standing): &(&'static str, Standing)| {
        [
            header(format!("x-ratelimit-limit-{kind}"), standing.limit.amount),
            header(format!("x-ratelimit-remaining-{kind}"), standing.available.max(0)),
            header(format!("x-ratelimit-reset-{kind}"), duration(standing.full_in_us)),
        ]
    };
    kinds.iter().flat_map(three).collect()
}

/// Tokens are rounded to the nearest thousand; `tokens` is input and output together where no limit says more.
fn anthropic(standings: &[Standing], unix_us: u64) -> Headers {
    let mut headers = Headers::new();
    let mut both: Option<Standing> = None;
    for standing in standings {
        let kind = match standing.limit.metric {
            Metric::Requests => "requests",
            Metric::Tokens => "tokens",
            Metric::InputTokens => "input-tokens",
            Metric::OutputTokens => "output-tokens",
            _ => continue,
        };
        headers.extend(anthropic_kind(kind, standing, unix_us));
        if matches!(standing.limit.metric, Metric::InputTokens | Metric::OutputTokens) {
            both = Some(both.map_or(*standing, |other| together(&other, standing)));
        }
    }
    match both {
        Some(both) if of(standings, Metric::Tokens).next().is_none() => {
            headers.extend(anthropic_kind("tokens", &both, unix_us));
        }
        _ => {}
    }
    headers
}

fn anthropic_kind(kind: &str, standing: &Standing, unix_us: u64) -> Headers {
    let available = standing.available.max(0);
    let remaining = if kind == "requests" { available } else { (available + 500) / 1_000 * 1_000 };
    let name = |field| format!("anthropic-ratelimit-{kind}-{field}");
    vec![
        header(name("limit"), standing.limit.amount),
        header(name("remaining"), remaining),
        header(name("reset"), rfc3339(unix_us.saturating_add(standing.full_in_us))),
    ]
}

fn together(one: &Standing, other: &Standing) -> Standing {
    let mut sum = *one;
    sum.limit.amount += other.limit.amount;
    sum.available += other.available;
    sum.full_in_us = one.full_in_us.max(other.full_in_us);
    sum
}

/// Seen in clients' code, not in the vendor's pages: a day of requests, a minute of tokens, seconds with a fraction.
fn cerebras(standings: &[Standing]) -> Headers {
    let day = of(standings, Metric::Requests).max_by_key(|standing| standing.limit.window_ms);
    let minute = of(standings, Metric::Tokens).min_by_key(|standing| standing.limit.window_ms);
    let day = day.filter(|standing| standing.limit.window_ms > MINUTE_MS);
    let mut headers = Headers::new();
    for (kind, standing) in [("requests-day", day), ("tokens-minute", minute)] {
        let Some(standing) = standing else { continue };
        headers.push(header(format!("x-ratelimit-limit-{kind}"), standing.limit.amount));
        headers.push(header(format!("x-ratelimit-remaining-{kind}"), standing.available.max(0)));
        headers.push(header(format!("x-ratelimit-reset-{kind}"), float_seconds(standing.full_in_us)));
    }
    headers
}

/// Seen in the wild, not in the vendor's pages; a limit of another window shows in none of them.
fn mistral(standings: &[Standing]) -> Headers {
    let kind = |standing: &Standing| match (standing.limit.metric, standing.limit.window_ms) {
        (Metric::Tokens, MINUTE_MS) => Some("tokens-minute"),
        (Metric::Tokens, window_ms) if window_ms > 27 * 1_440 * MINUTE_MS => Some("tokens-month"),
        (Metric::Requests, MINUTE_MS) => Some("req-minute"),
        (Metric::Requests, 10_000) => Some("req-10-second"),
        _ => None,
    };
    let two = |standing: &Standing| {
        kind(standing).map(|kind| {
            [
                header(format!("x-ratelimit-limit-{kind}"), standing.limit.amount),
                header(format!("x-ratelimit-remaining-{kind}"), standing.available.max(0)),
            ]
        })
    };
    standings.iter().filter_map(two).flatten().collect()
}

fn of(standings: &[Standing], metric: Metric) -> impl Iterator<Item = &Standing> {
    standings.iter().filter(move |standing| standing.limit.metric == metric)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::Limit;

    fn standing(limit: Limit, available: i64, full_in_us: u64) -> Standing {
        Standing { limit, available, full_in_us }
    }

    fn value(headers: &Headers, name: &str) -> Option<String> {
        headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.clone())
    }

    #[test]
    fn openai_shows_whichever_limit_binds() {
        let day = standing(Limit::bucket(Metric::Requests, 10_000, 86_400_000), 5, 1_000);
        let minute = standing(Limit::bucket(Metric::Requests, 500, MINUTE_MS), 499, 120_000);
        let headers = headers(Dialect::Openai, &[minute, day], 0);
        assert_eq!(value(&headers, "x-ratelimit-limit-requests").as_deref(), Some("10000"));
        assert_eq!(value(&headers, "x-ratelimit-reset-requests").as_deref(), Some("1ms"));
    }

    #[test]
    fn anthropic_rounds_tokens_to_thousands_and_adds_them_up() {
        let input = standing(Limit::bucket(Metric::InputTokens, 50_000, MINUTE_MS), 41_499, 10_000_000);
        let output = standing(Limit::bucket(Metric::OutputTokens, 8_000, MINUTE_MS), -70, 61_000_000);
        let headers = headers(Dialect::Anthropic, &[input, output], 0);
        let shown = |name: &str| value(&headers, &format!("anthropic-ratelimit-{name}")).unwrap();
        assert_eq!(shown("input-tokens-remaining"), "41000");
        assert_eq!(shown("output-tokens-remaining"), "0");
        assert_eq!(shown("tokens-limit"), "58000");
        assert_eq!(shown("tokens-reset"), "1970-01-01T00:01:01Z");
    }

    #[test]
    fn groq_shows_the_days_requests_and_the_minutes_tokens() {
        let limits = [
            standing(Limit::bucket(Metric::Requests, 30, MINUTE_MS), 1, 0),
            standing(Limit::bucket(Metric::Requests, 14_400, 86_400_000), 14_370, 180_000_000),
            standing(Limit::bucket(Metric::Tokens, 6_000, MINUTE_MS), 5_997, 30_000),
        ];
        let headers = headers(Dialect::Groq, &limits, 0);
        assert_eq!(value(&headers, "x-ratelimit-limit-requests").as_deref(), Some("14400"));
        assert_eq!(value(&headers, "x-ratelimit-reset-requests").as_deref(), Some("3m0s"));
        assert_eq!(value(&headers, "x-ratelimit-remaining-tokens").as_deref(), Some("5997"));
    }
}
