"""What a provider's answers teach everybody on the store."""

from __future__ import annotations

import logging

import openai
import pytest

import paceline

from .scripted import CHAT, MESSAGES, Answer, Scripted, chat_stream, event

WORDS = "Rate limit reached for gpt-4o on requests per min (RPM): Limit 500, Used 500, Requested 1."
RATE = {"error": {"message": WORDS, "code": "rate_limit_exceeded"}}


@pytest.fixture
def gpt(limiter):
    return limiter("openai/gpt-4o", requests_per_minute=1_000, tokens_per_minute=1_000_000)


def call(server: Scripted, limiter, **options):
    base = openai.OpenAI(base_url=f"{server.url}/v1", api_key="k", max_retries=0)
    return paceline.wrap(base, limiter).chat.completions.create(model="gpt-4o", messages=MESSAGES, max_tokens=10, **options)


def paused(limiter) -> float | None:
    return limiter.explain("openai/gpt-4o", tokens=1).wait()["paused_for"]


def warnings(caplog) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "paceline" and record.levelno == logging.WARNING]


def test_a_429_pauses_the_resource_and_explain_says_so(scripted, gpt, held, caplog):
    scripted.told(Answer(429, RATE, {"retry-after": "20"}))
    for _ in range(2):
        with pytest.raises(openai.RateLimitError):
            call(scripted, gpt)
        assert paused(gpt) == pytest.approx(20, abs=1)
        gpt.resume("openai/gpt-4o").wait()
        gpt.configure({"openai": {"gpt-4o": {"requests_per_minute": 2_000, "tokens_per_minute": 1_000_000}}})
    assert held(gpt) == 0
    assert warnings(caplog) == [
        "openai/gpt-4o: the provider refused a call for which there seemed to be room (Rate limit reached for gpt-4o on "
        "requests per min (RPM): Limit 500, Used 500, Requested 1.); all callers pause for 20 s; if this repeats, others use "
        "the same key or its limits are lower than the configured ones: set `use: 80%` on the account, or correct the amounts"
    ]


def test_everybody_on_the_store_pauses(scripted, limiter):
    limits = {"requests_per_minute": 1_000}
    one = limiter("openai/gpt-4o", store="memory://shared-by-two", private=False, **limits)
    two = limiter("openai/gpt-4o", store="memory://shared-by-two", private=False, **limits)
    scripted.told(Answer(503, {"error": {"message": "busy"}}, {"retry-after": "20"}))
    with pytest.raises(openai.InternalServerError):
        call(scripted, one)
    assert paused(two) == pytest.approx(20, abs=1)
    with paceline.using(timeout=0), pytest.raises(paceline.Busy) as busy:
        call(scripted, two)
    assert busy.value.retry_after == pytest.approx(20, abs=1)
    assert len(scripted.seen) == 1


def test_the_sdks_own_retry_waits_for_the_end_of_the_pause(scripted, gpt):
    scripted.told(Answer(429, RATE, {"retry-after-ms": "300"}), Answer())
    base = openai.OpenAI(base_url=f"{scripted.url}/v1", api_key="k", max_retries=2)
    client = paceline.wrap(base, gpt)
    assert client.chat.completions.create(model="gpt-4o", messages=MESSAGES, max_tokens=10).id == CHAT["id"]
    assert len(scripted.seen) == 2


def test_without_a_hint_the_pause_doubles_with_each_refusal_in_a_row(scripted, gpt):
    scripted.told(Answer(429, {"error": {"message": "no"}}))
    pauses = []
    for _ in range(3):
        with pytest.raises(openai.RateLimitError):
            call(scripted, gpt)
        pauses.append(round(paused(gpt) or 0))
        gpt.resume("openai/gpt-4o").wait()
        _forget_the_time(gpt)
    assert pauses == [1, 2, 4]
    scripted.told(Answer())
    call(scripted, gpt)
    scripted.told(Answer(429, {"error": {"message": "no"}}))
    with pytest.raises(openai.RateLimitError):
        call(scripted, gpt)
    assert round(paused(gpt) or 0) == 1


def _forget_the_time(limiter) -> None:
    """The pause that was guessed last is over."""
    from paceline import _feedback

    guesses = _feedback._lessons[limiter].guesses
    guesses.update({resource: (seconds, 0.0) for resource, (seconds, _) in guesses.items()})


def test_credit_that_is_used_up_refuses_for_five_minutes(scripted, gpt, caplog):
    scripted.told(Answer(429, {"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}}))
    with pytest.raises(openai.RateLimitError):
        call(scripted, gpt)
    with pytest.raises(paceline.Paused) as refused:
        call(scripted, gpt)
    assert refused.value.retry_after == pytest.approx(300, abs=1)
    assert warnings(caplog) == [
        "openai/gpt-4o: the provider says that credit or a spending limit is used up (You exceeded your current quota); "
        'calls are refused for 300 s at a time; add credit, then limiter.resume("openai/gpt-4o") lets them go at once'
    ]


def test_a_call_that_is_too_large_pauses_nobody(scripted, gpt, caplog):
    message = "Request too large for gpt-4o on tokens per min (TPM): Limit 30000, Requested 34307."
    scripted.told(Answer(429, {"error": {"message": message, "code": "rate_limit_exceeded"}}, {"retry-after": "60"}))
    with pytest.raises(openai.RateLimitError):
        call(scripted, gpt)
    assert paused(gpt) is None
    assert warnings(caplog) == [
        f"openai/gpt-4o: the provider can never serve a call of this size ({message}); its limit is smaller than the "
        "configured one: lower it, so that such calls are refused before they are sent"
    ]


def test_a_refused_call_costs_a_request_and_no_tokens(scripted, limiter, used):
    plain = limiter("gpt-4o", requests_per_minute=100, tokens_per_minute=100_000)
    scripted.told(Answer(429, {"error": {"message": "no"}}, {"retry-after": "20"}))
    with pytest.raises(openai.RateLimitError):
        call(scripted, plain)
    assert (used(plain, "requests_per_minute"), used(plain, "tokens_per_minute")) == (1, 0)


def test_a_refusal_within_a_stream_pauses_too(scripted, gpt, held):
    error = {"type": "tokens", "code": "rate_limit_exceeded", "message": f"{WORDS} Please try again in 20s."}
    refusal = event({"type": "error", "error": error})
    scripted.told(Answer(body=[*chat_stream("Hello")[:1], refusal]))
    with pytest.raises(openai.APIError):
        list(call(scripted, gpt, stream=True))
    assert paused(gpt) == pytest.approx(20, abs=1)
    assert held(gpt) == 0


def view(limiter, limit: str) -> dict:
    return limiter.snapshot().wait()["openai"]["limits"][f"openai/gpt-4o/{limit}"]


def told(limit: int, remaining: int, reset: str, noun: str = "requests") -> dict[str, str]:
    return {
        f"x-ratelimit-limit-{noun}": str(limit),
        f"x-ratelimit-remaining-{noun}": str(remaining),
        f"x-ratelimit-reset-{noun}": reset,
    }


def test_headers_lower_what_is_left(scripted, gpt):
    scripted.told(Answer(headers={**told(1000, 100, "54s"), **told(1_000_000, 200_000, "48s", "tokens")}))
    call(scripted, gpt)
    assert 100 <= view(gpt, "requests_per_minute")["left"] <= 130
    assert 200_000 <= view(gpt, "tokens_per_minute")["left"] <= 230_000


def test_and_what_there_is(scripted, gpt):
    scripted.told(Answer(headers=told(500, 499, "120ms")))
    call(scripted, gpt)
    assert view(gpt, "requests_per_minute")["amount"] == 500
    words = "on tokens per min (TPM): Limit 30000, Used 29000, Requested 2000. Please try again in 2s"
    scripted.told(Answer(429, {"error": {"message": words, "code": "rate_limit_exceeded"}}))
    with pytest.raises(openai.RateLimitError):
        call(scripted, gpt)
    assert view(gpt, "tokens_per_minute")["amount"] == 30_000


@pytest.mark.parametrize(
    "headers",
    [told(-1, -1, "0s"), told(0, 0, "0s"), told(10, 11, "1s"), told(10, 5, "1000s"), {"x-ratelimit-remaining-requests": "0"}],
)
def test_headers_that_speak_of_no_limit_of_ours_change_nothing(scripted, gpt, headers):
    scripted.told(Answer(headers=headers))
    call(scripted, gpt)
    assert view(gpt, "requests_per_minute")["amount"] == 1_000
    assert view(gpt, "requests_per_minute")["left"] > 900


def test_a_provider_that_enforces_less_is_obeyed(provider, limiter, used):
    fake = provider(requests_per_minute=3)
    ours = limiter("openai/gpt-4o", requests_per_minute=1_000)
    client = paceline.wrap(openai.OpenAI(base_url=fake.openai, api_key="k", max_retries=0), ours)
    with paceline.using(timeout=0), pytest.raises(paceline.Busy):
        for _ in range(9):
            client.chat.completions.create(model="gpt-4o", messages=MESSAGES, max_tokens=5)
    assert fake.report()["refused"] <= 1
    assert fake.report()["requests"] <= 4
