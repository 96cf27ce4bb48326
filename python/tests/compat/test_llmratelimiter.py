"""What programs of LLMRateLimiter rely on, and what the original did not keep."""

from __future__ import annotations

import asyncio
import gc
import logging
import subprocess
import sys
import time
from typing import Any

import pytest

import paceline
from paceline.compat.llmratelimiter import (
    RateLimitConfig,
    RateLimiter,
    RateLimitStatus,
    RedisConnectionManager,
    RetryConfig,
)

from .conftest import Server, stop_redis

_made = iter(range(1_000))


def limiter(model: str = "gpt-4", **said: Any) -> RateLimiter:
    """A limiter in a memory of its own, without smoothing unless it is said."""
    said.setdefault("smooth_requests", False)
    return RateLimiter(f"memory://llmratelimiter-{next(_made)}", model, **said)


async def queued(of: RateLimiter, waiting: int) -> None:
    """Waits until so many are in line."""
    for _ in range(2_000):
        if (await of.get_status()).queue_depth == waiting:
            return
        await asyncio.sleep(0)
    raise AssertionError(f"{waiting} should be in line: {await of.get_status()}")


async def test_an_adjustment_wakes_who_waits(redis_url: str) -> None:
    one = RateLimiter(redis_url, "gpt-4", tpm=1_000, smooth_requests=False)
    first = await one.acquire(input_tokens=500, output_tokens=500)
    second = asyncio.create_task(one.acquire(tokens=400))
    await queued(one, 1)
    started = time.monotonic()
    await one.adjust(first.record_id, actual_output=100)
    result = await second
    assert time.monotonic() - started < 5, "the window is a minute long"
    assert result.queue_position == 1


async def test_an_adjustment_counts_the_burn_down() -> None:
    one = limiter(tpm=10_000, burndown_rate=5.0)
    call = await one.acquire(input_tokens=1_000, output_tokens=1_000)
    assert (await one.get_status()).tokens_used == 6_000
    await one.adjust(call.record_id, actual_output=100)
    assert (await one.get_status()).tokens_used == 1_500


async def test_more_than_was_asked_for_is_charged() -> None:
    one = limiter(output_tpm=1_000, input_tpm=1_000)
    call = await one.acquire(input_tokens=10, output_tokens=100)
    await one.adjust(call.record_id, actual_output=300)
    status = await one.get_status()
    assert (status.input_tokens_used, status.output_tokens_used) == (10, 300)


async def test_another_process_adjusts(redis_url: str) -> None:
    one = RateLimiter(redis_url, "gpt-4", tpm=1_000, output_tpm=1_000, smooth_requests=False)
    call = await one.acquire(input_tokens=500, output_tokens=400)
    program = """
import asyncio, sys
from paceline.compat.llmratelimiter import RateLimiter
limiter = RateLimiter(sys.argv[1], "gpt-4", tpm=1_000, output_tpm=1_000, smooth_requests=False)
asyncio.run(limiter.adjust(sys.argv[2], actual_output=100))
"""
    subprocess.run([sys.executable, "-c", program, redis_url, call.record_id], check=True, timeout=30)
    status = await one.get_status()
    assert (status.tokens_used, status.output_tokens_used) == (600, 100)


async def test_first_come_first_served() -> None:
    one = limiter(tpm=100, window_seconds=1)
    await one.acquire(tokens=100)
    granted: list[int] = []

    async def call(number: int, tokens: int) -> None:
        await one.acquire(tokens=tokens)
        granted.append(number)

    calls = []
    for number, tokens in enumerate([90, 5, 90, 5]):
        calls.append(asyncio.create_task(call(number, tokens)))
        await queued(one, number + 1)
    await asyncio.gather(*calls)
    assert granted == [0, 1, 2, 3]


async def test_a_cancelled_call_leaves_nothing() -> None:
    one = limiter(tpm=1_000)
    first = await one.acquire(input_tokens=500, output_tokens=500)
    second = asyncio.create_task(one.acquire(tokens=1_000))
    third = asyncio.create_task(one.acquire(tokens=400))
    await queued(one, 2)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    await one.adjust(first.record_id, actual_output=100)
    assert (await third).queue_position == 2
    assert (await one.get_status()).tokens_used == 1_000


async def test_what_can_never_fit_is_said_at_once() -> None:
    one = limiter(tpm=1_000)
    with pytest.raises(ValueError, match="5000 wanted of limit gpt-4/tokens_per_minute") as error:
        await one.acquire(tokens=5_000)
    assert isinstance(error.value, paceline.Impossible)
    assert error.value.most == 1_000


async def test_misuse() -> None:
    one = limiter(tpm=1_000)
    with pytest.raises(ValueError, match="^Cannot specify both tokens and input_tokens$"):
        await one.acquire(tokens=1, input_tokens=1)
    with pytest.raises(ValueError, match="^Must specify either tokens or input_tokens$"):
        await one.acquire(output_tokens=1)
    with pytest.raises(ValueError, match="^redis parameter is required"):
        RateLimiter(model="gpt-4", rpm=1)
    with pytest.raises(ValueError, match="^model parameter is required$"):
        RateLimiter("memory://", rpm=1)
    with pytest.raises(TypeError, match="^expected a URL or a client of redis-py, got int; pass the server's URL"):
        RateLimiter(7, "gpt-4", rpm=1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="^max_delay must be >= base_delay$"):
        RetryConfig(base_delay=2, max_delay=1)
    with pytest.raises(ValueError, match="^burndown_rate must be >= 0$"):
        RateLimitConfig(rpm=1, burndown_rate=-1)


async def test_a_record_is_adjusted_once(caplog: pytest.LogCaptureFixture) -> None:
    one = limiter(tpm=1_000)
    call = await one.acquire(input_tokens=100, output_tokens=100)
    await one.adjust(call.record_id, actual_output=10)
    await one.adjust(call.record_id, actual_output=10)
    await one.adjust("never-made~1", actual_output=10)
    assert [record.getMessage() for record in caplog.records] == [
        f"gpt-4: there is no record {call.record_id} to adjust, or not any more",
        "gpt-4: there is no record never-made~1 to adjust, or not any more",
    ]
    assert (await one.get_status()).tokens_used == 110


async def test_calls_that_nobody_adjusts_are_no_cause_for_warnings(caplog: pytest.LogCaptureFixture) -> None:
    one = limiter(tpm=1_000, window_seconds=1)
    for _ in range(20):
        await one.acquire(tokens=10)
    del one
    gc.collect()
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_both_spellings_of_a_configuration() -> None:
    config = RateLimitConfig(tpm=100, rpm=10, burst_multiplier=1.5, smooth_requests=False)
    one = RateLimiter("memory://llmratelimiter-config", model_name="gpt-4", config=config)
    assert (one.tpm_limit, one.rpm_limit, one.has_combined_limit, one.is_split_mode) == (150, 15, True, False)
    await one.acquire(tokens=150)
    assert await one.get_status() == RateLimitStatus(
        "gpt-4", 60, tokens_used=150, tokens_limit=150, requests_used=1, requests_limit=15
    )


async def test_no_limits_at_all() -> None:
    one = limiter()
    assert (await one.acquire(tokens=10**9)).wait_time == 0.0


async def test_limits_that_are_switched_off(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("PACELINE_MODE", "off")
    one = limiter(tpm=100)
    calls = [await one.acquire(input_tokens=90) for _ in range(3)]
    for call in calls:
        await one.adjust(call.record_id, actual_output=1)
    assert caplog.records == []


async def test_degradation_keeps_to_the_limits(mortal_redis: Server, caplog: pytest.LogCaptureFixture) -> None:
    """The original lets everything through while the server is gone; here a process keeps to its share."""
    url = mortal_redis.url()
    manager = RedisConnectionManager(url, retry_config=RetryConfig(max_retries=0))
    one = RateLimiter(manager, "gpt-4", tpm=1_000, smooth_requests=False)
    await one.acquire(tokens=10)
    stop_redis(mortal_redis)
    results = await asyncio.gather(*(one.acquire(input_tokens=400, output_tokens=50) for _ in range(2)))
    assert len({result.record_id for result in results}) == 2
    late = asyncio.create_task(one.acquire(tokens=400))
    done, _ = await asyncio.wait([late], timeout=2)
    assert not done, "a third call would exceed the limit"
    late.cancel()
    with pytest.raises(paceline.Impossible):
        await one.acquire(tokens=1_001)
    assert (await one.get_status()).tokens_used == 0
    await one.adjust(results[0].record_id, actual_output=5)
    assert any("cannot be reached, trying again" in record.getMessage() for record in caplog.records)


async def test_a_manager_is_an_address() -> None:
    manager = RedisConnectionManager(host="cache", port=6380, db=2, password="p@ss", ssl=True, username="me")
    assert manager._url == "rediss://me:p%40ss@cache:6380/2"
    assert RedisConnectionManager("redis://cache:1", db=3, password="x")._url == "redis://:x@cache:1/3"
    assert manager.client.connection_pool.connection_kwargs["host"] == "cache"
    await manager.close()
