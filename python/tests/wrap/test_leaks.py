"""Wrapped calls that are cancelled at any instant leave nothing behind."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

import anthropic
import httpx
import httpx2
import openai
import pytest
import uvloop

import paceline

from .scripted import MESSAGES

CALLS = 60
TOGETHER = 20


async def whole(client: Any) -> None:
    await client.chat.completions.create(model="gpt-4o", messages=MESSAGES, max_tokens=20)


async def streamed(client: Any) -> None:
    async with await client.chat.completions.create(
        model="gpt-4o", messages=MESSAGES, max_tokens=20, stream=True, stream_options={"include_usage": True}
    ) as stream:
        async for _ in stream:
            pass


async def message(client: Any) -> None:
    await client.messages.create(model="gpt-4o", max_tokens=20, messages=MESSAGES)


async def streamed_message(client: Any) -> None:
    async with client.messages.stream(model="gpt-4o", max_tokens=20, messages=MESSAGES) as stream:
        async for _ in stream:
            pass


def openai_by(module: Any, url: str) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="k", max_retries=1, http_client=module.AsyncClient())


def waiting(limiter: Any) -> int:
    accounts = limiter.snapshot().wait().values()
    return sum(resource["waiting"] for account in accounts for resource in account["resources"].values())


def assert_nothing_is_left(limiter: Any) -> None:
    """A reply that crosses a cancellation takes a moment; nothing may stay."""
    deadline = time.monotonic() + 5
    while (limiter.permits().wait() or waiting(limiter)) and time.monotonic() < deadline:
        time.sleep(0.005)
    assert limiter.permits().wait() == []
    assert waiting(limiter) == 0


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(
    ("dialect", "make", "call"),
    [
        ("openai", lambda url: openai_by(httpx, url), whole),
        ("openai", lambda url: openai_by(httpx2, url), whole),
        ("openai", lambda url: openai_by(httpx2, url), streamed),
        ("anthropic", lambda url: anthropic.AsyncAnthropic(base_url=url, api_key="k", max_retries=1), message),
        ("anthropic", lambda url: anthropic.AsyncAnthropic(base_url=url, api_key="k", max_retries=1), streamed_message),
    ],
    ids=["openai on httpx", "openai on httpx2", "openai streamed", "anthropic", "anthropic streamed"],
)
def test_tasks_cancelled_at_random(
    provider: Any, limiter: Any, dialect: str, make: Callable[[str], Any], call: Callable[[Any], Awaitable[None]], seed: int
) -> None:
    fake = provider(dialect, latency_ms=4, per_token_us=200)
    # Few at a time, so that calls are cancelled in line as well as on their way.
    gpt = limiter("gpt-4o", requests_per_minute=100_000, tokens_per_minute=100_000_000, concurrency=8)
    dice = random.Random(seed)
    ends = {"done": 0, "cancelled": 0}

    async def one(client: Any, gate: asyncio.Semaphore, as_a_rule: float) -> None:
        async with gate:
            task = asyncio.ensure_future(call(client))
            await asyncio.wait([task], timeout=dice.uniform(0, 2 * as_a_rule))
            task.cancel()
            try:
                await task
            except asyncio.CancelledError:
                ends["cancelled"] += 1
            else:
                ends["done"] += 1

    async def main() -> None:
        gate = asyncio.Semaphore(TOGETHER)
        async with paceline.wrap(make(fake.url), gpt) as client:
            await call(client)
            begun = time.monotonic()
            await asyncio.gather(*(call(client) for _ in range(TOGETHER)))
            as_a_rule = time.monotonic() - begun
            await asyncio.gather(*(one(client, gate, as_a_rule) for _ in range(CALLS)))

    (uvloop if seed else asyncio).run(main())
    assert_nothing_is_left(gpt)
    assert min(ends.values()) > CALLS // 20, ends


def test_threads_that_stop_reading_at_random(provider: Any, limiter: Any) -> None:
    fake = provider(latency_ms=2, per_token_us=200)
    gpt = limiter("gpt-4o", requests_per_minute=100_000, tokens_per_minute=100_000_000, concurrency=8)
    client = paceline.wrap(openai.OpenAI(base_url=fake.openai, api_key="k"), gpt)
    failures: list[BaseException] = []

    def work(seed: int) -> None:
        dice = random.Random(seed)
        try:
            for _ in range(6):
                # Streams must be closed: httpx deadlocks when the collector closes them.
                with client.chat.completions.create(
                    model="gpt-4o", messages=MESSAGES, max_tokens=20, stream=True
                ) as stream:
                    for _ in range(dice.randrange(20)):
                        if next(stream, None) is None:
                            break
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(seed,), daemon=True) for seed in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert failures == []
    assert not any(thread.is_alive() for thread in threads)
    assert_nothing_is_left(gpt)
    assert fake.report()["peak_in_flight"] <= 8
