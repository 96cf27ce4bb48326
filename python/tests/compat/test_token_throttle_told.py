"""What programs of token-throttle are told, and how their requests are counted."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from paceline.compat.token_throttle import (
    OpenAIUsageCounter,
    PerModelConfig,
    Quota,
    RateLimiterCallbacks,
    UsageQuotas,
    create_logging_callbacks,
    create_sync_logging_callbacks,
    openai_model_family_getter,
)

from .throttling import config, left, memory


async def test_callbacks() -> None:
    told: list[tuple[str, dict[str, Any]]] = []

    def note(slot: str) -> Any:
        async def callback(**facts: Any) -> None:
            told.append((slot, facts))

        return callback

    slots = ["on_wait_start", "after_wait_end_consumption", "on_capacity_consumed", "on_capacity_refunded"]
    slots += ["on_missing_consumption_data", "on_lifecycle_event"]
    callbacks = RateLimiterCallbacks(**{slot: note(slot) for slot in slots})
    limiter = memory(config(tokens=100, per_seconds=1), callbacks=callbacks)
    async with limiter.reserve({"tokens": 100}, "m") as handle:
        handle.set_actual_usage({"tokens": 90})
    await limiter.acquire_capacity({"tokens": 80}, "m")
    assert [slot for slot, _ in told] == [
        "on_missing_consumption_data",
        "on_capacity_consumed",
        "on_lifecycle_event",
        "on_capacity_refunded",
        "on_lifecycle_event",
        "on_wait_start",
        "after_wait_end_consumption",
        "on_capacity_consumed",
        "on_lifecycle_event",
    ]
    facts = [facts for _, facts in told]
    assert facts[0] == {"model_family": "m", "usage_metric": "tokens", "per_seconds": 1}
    assert facts[1]["preconsumption_capacities"] == {("tokens", 1): 100.0}
    assert facts[1]["postconsumption_capacities"] == {("tokens", 1): 0.0}
    assert facts[2]["event"].event_type == "capacity_consumed"
    assert facts[3]["refunded_usage"] == {"tokens": 10.0}
    assert facts[6]["wait_time_s"] > 0
    assert facts[6]["usage"] == {"tokens": 80.0}


async def test_a_callback_that_fails_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async def broken(**facts: Any) -> None:
        raise KeyError

    async def slow(**facts: Any) -> None:
        await asyncio.Event().wait()

    callbacks = RateLimiterCallbacks(on_capacity_consumed=broken, on_lifecycle_event=slow)
    limiter = memory(config(tokens=100), callbacks=callbacks, callback_timeout=0.05)
    await limiter.acquire_capacity({"tokens": 80}, "m")
    said = [record.getMessage() for record in caplog.records]
    assert [message for message in said if "callback" in message] == [
        "the callback on_capacity_consumed raised; it goes on without it",
        "the callback on_lifecycle_event took longer than 0.05 s; it goes on without it",
    ]


async def test_logging_callbacks(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="paceline")
    limiter = memory(config(tokens=100), callbacks=create_logging_callbacks(capacity_consumed="INFO", capacity_refunded=None))
    held = await limiter.acquire_capacity({"tokens": 80}, "m")
    await limiter.refund_capacity({"tokens": 80}, held)
    said = [record.getMessage().split(":")[0] for record in caplog.records]
    assert [slot for slot in said if slot.startswith("on_")] == ["on_capacity_consumed"]
    with pytest.raises(ValueError, match="^'LOUD' is not a level of logging$"):
        create_sync_logging_callbacks(wait_start="LOUD")


@pytest.mark.parametrize(
    ("model", "family"),
    [
        ("gpt-4.1", "gpt-4.1"),
        ("openai/gpt-4o-2024-08-06", "gpt-4o"),
        ("gpt-4o-20241203", "gpt-4o"),
        ("gpt-4-0613", "gpt-4"),
        ("gpt-4-1106-preview", "gpt-4"),
        ("gpt-4-turbo-preview", "gpt-4-turbo"),
        ("ft:gpt-4o-mini-2024-07-18:org::abc", "gpt-4o-mini"),
        ("gpt-3.5-turbo-16k-0613", "gpt-3.5-turbo-16k"),
        ("o1-preview-2024-09-12", "o1"),
        ("o3-mini", "o3-mini"),
        ("gpt-4o-audio-preview-2024-10-01", "gpt-4o-audio"),
        ("chatgpt-4o-latest", "chatgpt-4o-latest"),
    ],
)
def test_families(model: str, family: str) -> None:
    """As token-throttle 14.0.0 names them."""
    assert openai_model_family_getter(model) == family


def test_counting() -> None:
    class Words:
        def encode(self, text: str) -> list[str]:
            return text.split()

    body: dict[str, Any] = {"messages": [{"role": "user", "content": "one two three"}], "max_tokens": 100}
    assert OpenAIUsageCounter(lambda model: Words())(model="x", **body) == {"tokens": 106.0, "requests": 1.0}
    assert 100 < OpenAIUsageCounter()(model="gpt-4o", **body)["tokens"] < 120
    with pytest.raises(ValueError, match="^Malformed fine-tuned model id: 'ft:gpt-4o'"):
        openai_model_family_getter("ft:gpt-4o")


async def test_requests_are_counted_and_topped_up() -> None:
    quotas = UsageQuotas([Quota(metric="tokens", limit=1_000), Quota(metric="requests", limit=10)])
    limiter = memory(PerModelConfig(quotas=quotas, usage_counter=OpenAIUsageCounter()))
    request: dict[str, Any] = {"model": "gpt-4o", "input": "Hi", "max_output_tokens": 100}
    held = await limiter.acquire_capacity_for_request(**request, extra_usage={"tokens": 50})
    assert 150 < held.usage["tokens"] < 170
    with pytest.raises(ValueError, match="^extra_usage names usd, which the usage_counter did not count"):
        await limiter.acquire_capacity_for_request(**request, extra_usage={"usd": 1})
    await limiter.refund_capacity_from_response(held, usage={"total_tokens": 7})
    assert 990 <= (await left(limiter, "gpt-4o"))["tokens"] <= 1_000
