"""LlamaIndex under a limiter: its rate limiter, and clients."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import paceline
import paceline.llama_index
import pytest
from llama_index.core import MockEmbedding
from llama_index.llms.openai import OpenAI
from readings import in_flight, used


def test_an_llm_waits_at_its_door(openai_env: Any, still: Callable[..., Any]) -> None:
    one = still("gpt", rpm=3)
    llm = OpenAI(model="gpt-4o", api_base=openai_env.openai, rate_limiter=paceline.llama_index.RateLimiter(one))
    llm.complete("a")
    asyncio.run(llm.acomplete("b"))
    assert used(one, "gpt/requests_per_minute") == openai_env.report()["requests"] == 2
    embed = MockEmbedding(embed_dim=2, rate_limiter=paceline.llama_index.RateLimiter(one, "gpt"))
    embed.get_text_embedding("c")
    assert used(one, "gpt/requests_per_minute") == 3
    assert in_flight(one) == 0


def test_what_is_said_of_tokens_is_taken(still: Callable[..., Any]) -> None:
    one = still("gpt", rpm=10, tpm=10_000)
    door = paceline.llama_index.RateLimiter(one, tokens=1_000)
    door.acquire()
    door.acquire(num_tokens=50)
    asyncio.run(door.async_acquire(num_tokens=50))
    assert used(one, "gpt/tokens_per_minute") == 1_100


def test_a_door_that_knows_no_tokens_says_so(limiter: Callable[..., Any]) -> None:
    door = paceline.llama_index.RateLimiter(limiter("gpt", tpm=10_000))
    with pytest.raises(ValueError, match="tokens"):
        door.acquire()


def test_an_openai_llm_is_limited_exactly(openai_env: Any, limits: Any) -> None:
    llm = OpenAI(
        model="gpt-4o", api_base=openai_env.openai, max_tokens=10, **paceline.llama_index.clients(limits)
    )
    llm.complete("hello")
    asyncio.run(llm.acomplete("hello"))
    for _ in llm.stream_complete("hello"):
        pass
    assert openai_env.report()["served"] == 3
    assert used(limits, "openai/gpt-4o/requests_per_minute") == 3
    assert in_flight(limits) == 0
