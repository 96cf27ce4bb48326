"""What providers' refusals mean, and how long they say to wait."""

from __future__ import annotations

import json

import pytest

from paceline._hints import read, seconds_of, until
from paceline._reported import Report, from_words, reports

OPENAI = (
    "Rate limit reached for gpt-4o-mini in organization org-1 on tokens per min (TPM): Limit 50000, Used 47949, Requested "
    "3006. Please try again in 1.146s. Visit https://platform.openai.com to learn more."
)


def openai(message: str = OPENAI, code: str = "rate_limit_exceeded", kind: str = "tokens") -> dict:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def gemini(quota: str) -> dict:
    details = [
        {"@type": "type.googleapis.com/google.rpc.Help", "links": []},
        {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": quota, "quotaValue": "5"}]},
        {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "20s"},
    ]
    message = "You exceeded your current quota.\nPlease retry in 20.70617005s."
    return {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": message, "details": details}}


@pytest.mark.parametrize(
    ("status", "headers", "body", "kind", "seconds"),
    [
        (429, {"retry-after": "56"}, openai(), "rate", 56),
        (429, {"retry-after": "7.5"}, None, "rate", 7.5),
        (429, {"retry-after": "2", "retry-after-ms": "1500"}, None, "rate", 1.5),
        (429, {}, openai(), "rate", 1.146),
        (429, {}, openai("Rate limit reached. Please try again in 84ms."), "rate", 0.084),
        (429, {}, openai("Rate limit reached. Please try again in 7m12s. Visit"), "rate", 432),
        (429, {}, openai("Rate limit is exceeded. Try again in 20 seconds."), "rate", None),
        (429, {}, openai("Requests have been limited. Please retry after 20 seconds."), "rate", 20),
        (429, {}, json.dumps(openai()).encode(), "rate", 1.146),
        (429, {}, openai(code="slow_down", kind="rate_limit_error"), "ramp", 1.146),
        (429, {}, openai("You exceeded your current quota", "insufficient_quota"), "spent", None),
        (429, {}, {"error": {"details": {"error_code": "enforced_spend_limit_reached"}}}, "spent", None),
        (400, {}, {"error": {"message": "You have reached your specified API usage limits."}}, "spent", None),
        (402, {}, {"error": {"message": "Insufficient Balance"}}, "spent", None),
        (429, {"retry-after": "60"}, openai("Request too large for gpt-4o: Limit 30000, Requested 34307"), "too_large", None),
        (429, {}, gemini("GenerateRequestsPerMinutePerProjectPerModel-FreeTier"), "rate", 20.70617005),
        (429, {}, [gemini("GenerateRequestsPerMinutePerProjectPerModel-FreeTier")], "rate", 20.70617005),
        (429, {"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "6m0s"}, None, "rate", 360),
        (429, {"x-ratelimit-remaining-tokens": "9", "x-ratelimit-reset-tokens": "6m0s"}, None, "rate", None),
        (429, {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "10"}, None, "rate", 10),
        (429, {}, {"Error": {"Code": "ThrottlingException", "Message": "Too many tokens"}}, "rate", None),
        (429, {}, b"<html>busy</html>", "rate", None),
        (503, {"retry-after": "3"}, None, "overload", 3),
        (529, {}, {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, "overload", None),
        (429, {}, openai(code="resource_unavailable"), "overload", 1.146),
    ],
)
def test_a_refusal_is_understood(status, headers, body, kind, seconds):
    refusal = read(status, headers, body)
    assert refusal is not None
    assert refusal.kind == kind
    assert refusal.seconds == (pytest.approx(seconds) if seconds is not None else None)


def test_a_day_that_is_used_up_lasts_until_midnight_pacific_whatever_it_says():
    refusal = read(429, {}, gemini("GenerateRequestsPerDayPerProjectPerModel-FreeTier"))
    assert refusal is not None and refusal.kind == "day"
    assert refusal.seconds is not None and 0 < refusal.seconds <= 25 * 3_600


@pytest.mark.parametrize("status", [400, 401, 404, 500, 502])
def test_other_failures_are_no_refusals(status):
    assert read(status, {"retry-after": "5"}, {"error": {"message": "no"}}) is None


def test_points_in_time():
    assert until("2001-01-01T00:00:00Z") == 0
    assert until("Mon, 01 Jan 2001 00:00:00 GMT") == 0
    assert until("3000-01-01T00:00:00Z") > 1e9
    assert until("soon") is None
    assert seconds_of("-1") == 0


OPENAI_HEADERS = {
    "x-ratelimit-limit-requests": "3000",
    "x-ratelimit-remaining-requests": "2999",
    "x-ratelimit-reset-requests": "20ms",
    "x-ratelimit-limit-tokens": "250000",
    "x-ratelimit-remaining-tokens": "249989",
    "x-ratelimit-reset-tokens": "2ms",
}


@pytest.mark.parametrize(
    ("headers", "returns", "told"),
    [
        (
            OPENAI_HEADERS,
            False,
            [Report("requests_per_minute", 3000, 2999, 60), Report("tokens_per_minute", 250000, 249989, 60)],
        ),
        (OPENAI_HEADERS, True, [Report("requests_per_minute", 3000, 2999, 60), Report("tokens_per_minute", 250000, None, 60)]),
        (
            {
                "x-ratelimit-limit-requests": "10000",
                "x-ratelimit-remaining-requests": "9999",
                "x-ratelimit-reset-requests": "8.64s",
            },
            False,
            [Report("requests_per_day", 10000, 9999, 86400)],
        ),
        (
            {
                "x-ratelimit-limit-tokens": "1500000",
                "x-ratelimit-remaining-tokens": "1495621",
                "x-ratelimit-reset-tokens": "4m12.172s",
            },
            False,
            [Report("tokens_per_day", 1500000, 1495621, 86400)],
        ),
        (
            {
                "anthropic-ratelimit-requests-limit": "50",
                "anthropic-ratelimit-requests-remaining": "49",
                "anthropic-ratelimit-input-tokens-limit": "30000",
                "anthropic-ratelimit-input-tokens-remaining": "12000",
                "anthropic-ratelimit-output-tokens-limit": "8000",
                "anthropic-ratelimit-output-tokens-remaining": "8000",
                "anthropic-ratelimit-tokens-limit": "38000",
                "anthropic-ratelimit-tokens-remaining": "20000",
            },
            True,
            [
                Report("requests_per_minute", 50, 49, 60),
                Report("input_tokens_per_minute", 30000, 12500, 60),
                Report("output_tokens_per_minute", 8000, None, 60),
            ],
        ),
        (
            {"x-ratelimit-limit-req-minute": "60", "x-ratelimit-remaining-req-minute": "59"},
            True,
            [Report("requests_per_minute", 60, 59, 60)],
        ),
        ({"x-ratelimit-limit-tokens": "-1", "x-ratelimit-remaining-tokens": "-1"}, False, []),
        ({"x-ratelimit-limit-tokens": "0", "x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "0s"}, False, []),
        ({"x-ratelimit-remaining-tokens": "5"}, False, []),
        ({"x-ratelimit-limit": "5", "x-ratelimit-remaining": "5", "x-ratelimit-reset": "1"}, False, []),
    ],
)
def test_headers_speak_of_a_limit_only_where_it_is_plain_of_which(headers, returns, told):
    assert list(reports(headers.items(), returns)) == told


def test_the_words_of_a_refusal_name_a_limit():
    assert list(from_words(OPENAI, False)) == [Report("tokens_per_minute", 50000, 2051, 60)]
    words = "on requests per day (RPD): Limit 200, Used 200, Requested 1. Please"
    assert list(from_words(words, True)) == [Report("requests_per_day", 200, 0, 86400)]
