"""The examples of LLMRateLimiter's README (0.3.2), with the import and the server's address changed."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any

import pytest
from openai import AsyncOpenAI
from redis.asyncio import Redis


@dataclass
class Generated:
    output_tokens: int


class VertexAi:
    async def generate(self) -> Generated:
        return Generated(output_tokens=48)


async def test_basic_usage(redis_url: str, openai_url: str) -> None:
    from paceline.compat.llmratelimiter import RateLimiter

    openai = AsyncOpenAI(base_url=openai_url, api_key="none")

    # Just pass a Redis URL and your limits
    limiter = RateLimiter(redis_url, "gpt-4", tpm=100_000, rpm=100)

    # Recommended: specify input and output tokens separately
    await limiter.acquire(input_tokens=3000, output_tokens=2000)
    response = await openai.chat.completions.create(model="gpt-4", messages=[{"role": "user", "content": "Hi"}])

    assert response.usage is not None
    status = await limiter.get_status()
    assert (status.tokens_used, status.tokens_limit, status.requests_used, status.requests_limit) == (5000, 100_000, 1, 100)


async def test_split_mode(redis_url: str) -> None:
    from paceline.compat.llmratelimiter import RateLimiter

    vertex_ai = VertexAi()

    limiter = RateLimiter(redis_url, "gemini-1.5-pro", input_tpm=4_000_000, output_tpm=128_000, rpm=360)

    # Estimate output tokens upfront
    result = await limiter.acquire(input_tokens=5000, output_tokens=2048)
    response = await vertex_ai.generate()

    # Adjust after getting actual output
    await limiter.adjust(result.record_id, actual_output=response.output_tokens)

    status = await limiter.get_status()
    assert (status.input_tokens_used, status.output_tokens_used, status.tokens_used) == (5000, 48, 5048)


async def test_burndown_rate(redis_url: str) -> None:
    from paceline.compat.llmratelimiter import RateLimiter

    limiter = RateLimiter(redis_url, "claude-sonnet", tpm=100_000, rpm=100, burndown_rate=5.0)

    await limiter.acquire(input_tokens=3000, output_tokens=1000)
    # TPM consumption: 3000 + (5.0 * 1000) = 8000 tokens

    assert (await limiter.get_status()).tokens_used == 8000


@pytest.mark.parametrize(
    ("said", "gap"),
    [
        ({"smooth_requests": True}, 0.1),
        ({"rps": 8}, 0.125),
        ({"smooth_requests": True, "smoothing_interval": 10.0}, 0.1),
    ],
)
async def test_rps_smoothing(redis_url: str, said: dict[str, Any], gap: float) -> None:
    from paceline.compat.llmratelimiter import RateLimiter

    limiter = RateLimiter(redis_url, "gpt-4", tpm=300_000, rpm=600, **said)

    started = time.monotonic()
    for _ in range(4):
        await limiter.acquire(tokens=1)
    took = time.monotonic() - started
    assert 3 * gap - 0.01 <= took < 3 * gap + 0.5


async def test_existing_client(redis_url: str) -> None:
    from paceline.compat.llmratelimiter import RateLimiter

    redis = Redis.from_url(redis_url)
    limiter = RateLimiter(redis=redis, model="gpt-4", tpm=100_000, rpm=100)

    await limiter.acquire(input_tokens=3000, output_tokens=2000)

    assert (await limiter.get_status()).tokens_used == 5000
    assert await redis.dbsize() > 0, "the limits are in the database that the client is connected to"
    await redis.aclose()


async def test_connection_manager(redis_url: str) -> None:
    from paceline.compat.llmratelimiter import RateLimiter, RedisConnectionManager, RetryConfig

    manager = RedisConnectionManager(
        redis_url,
        retry_config=RetryConfig(max_retries=3, base_delay=0.1),
    )
    limiter = RateLimiter(manager, "gpt-4", tpm=100_000, rpm=100)

    await limiter.acquire(input_tokens=3000, output_tokens=2000)

    assert (await limiter.get_status()).tokens_used == 5000
    async with manager as open_manager:
        assert await open_manager.client.ping()


async def test_ssl_connection() -> None:
    from paceline.compat.llmratelimiter import RateLimiter

    limiter = RateLimiter("rediss://localhost:6379", "gpt-4", tpm=100_000, rpm=100)

    assert (limiter.tpm_limit, limiter.rpm_limit) == (100_000, 100)


async def test_many_at_once_never_exceed_the_limit(redis_url: str) -> None:
    """The README's claim, tried: a hundred callers in two limiters share what one may use."""
    from paceline.compat.llmratelimiter import RateLimiter

    limiters = [RateLimiter(redis_url, "gpt-4", tpm=10_000, rpm=1_000, smooth_requests=False) for _ in range(2)]
    calls = [asyncio.create_task(limiters[i % 2].acquire(tokens=500)) for i in range(30)]
    done, waiting = await asyncio.wait(calls, timeout=1)
    assert (len(done), len(waiting)) == (20, 10)
    for call in waiting:
        call.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert (await limiters[0].get_status()).queue_depth == 0
