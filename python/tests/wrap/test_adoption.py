"""A wrapped call inside an ``acquire`` block uses the block's permit, for its first attempt."""

from __future__ import annotations

import asyncio

import openai
import pytest

import paceline

from .scripted import MESSAGES, Answer


@pytest.fixture
def gpt(limiter):
    return limiter("gpt-4o", requests_per_minute=100, tokens_per_minute=100_000)


def test_the_first_call_of_a_block_uses_its_permit(scripted, gpt, held, used, caplog):
    client = paceline.wrap(openai.OpenAI(base_url=f"{scripted.url}/v1", api_key="k"), gpt)
    with gpt.acquire("gpt-4o", tokens=900) as permit:
        client.chat.completions.create(model="gpt-4o", messages=MESSAGES, max_tokens=10)
        assert permit.settled
        assert (used(gpt, "requests_per_minute"), used(gpt, "tokens_per_minute")) == (1, 15)
        client.chat.completions.create(model="gpt-4o", messages=MESSAGES, max_tokens=10)
        assert used(gpt, "requests_per_minute") == 2
    assert held(gpt) == 0
    assert caplog.records == []


def test_asynchronously_too(scripted, gpt, held, used):
    async def main():
        client = paceline.wrap(openai.AsyncOpenAI(base_url=f"{scripted.url}/v1", api_key="k"), gpt)
        async with gpt.acquire("gpt-4o", tokens=900):
            await client.chat.completions.create(model="gpt-4o", messages=MESSAGES, max_tokens=10)

    asyncio.run(main())
    assert (used(gpt, "requests_per_minute"), used(gpt, "tokens_per_minute"), held(gpt)) == (1, 15, 0)


def test_a_retry_asks_for_a_permit_of_its_own(scripted, gpt, held, used):
    scripted.told(Answer(500, {"error": {"message": "broken"}}, {"retry-after-ms": "1"}), Answer())
    client = paceline.wrap(openai.OpenAI(base_url=f"{scripted.url}/v1", api_key="k"), gpt)
    with gpt.acquire("gpt-4o", tokens=900):
        client.chat.completions.create(model="gpt-4o", messages=MESSAGES, max_tokens=10)
    assert (used(gpt, "requests_per_minute"), used(gpt, "tokens_per_minute"), held(gpt)) == (2, 915, 0)


def test_the_permit_of_another_resource_or_limiter_is_left_alone(scripted, gpt, limiter, used):
    other = limiter(config={"resources": {"team": {"requests_per_minute": 5}, "gpt-4o": {"requests_per_minute": 5}}})
    client = paceline.wrap(openai.OpenAI(base_url=f"{scripted.url}/v1", api_key="k"), other)
    with other.acquire("team") as team, gpt.acquire("gpt-4o", tokens=10) as foreign:
        client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
        assert not team.settled and not foreign.settled
        team.settle()
        foreign.settle()
    views = {name: view["used"] for one in other.snapshot().wait().values() for name, view in one["limits"].items()}
    assert views == {"team/requests_per_minute": 1, "gpt-4o/requests_per_minute": 1}
