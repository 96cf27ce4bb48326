"""A refusal of ours surfaces once, as what it is, whatever the SDK does with errors."""

from __future__ import annotations

import asyncio
import pickle
import time

import anthropic
import httpx
import httpx2
import openai
import pytest

import paceline
import paceline.transport
from paceline import _wrap

from .scripted import MESSAGES, Scripted

SLOWEST = 2.0
"""Less than the pauses of the SDKs before three retries, in seconds: 0.5, 1 and 2, less a quarter."""


def openai_of(url: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{url}/v1", api_key="k", max_retries=3)


def chat(client: openai.OpenAI, **options):
    return client.chat.completions.create(model="gpt-4o", messages=MESSAGES, max_tokens=10, **options)


def refused(call) -> BaseException:
    """The error that a call raises, which must be ours and must come at once."""
    begun = time.monotonic()
    with pytest.raises(paceline.PacelineError) as raised:
        call()
    assert time.monotonic() - begun < SLOWEST
    return raised.value


@pytest.fixture
def one_a_minute(limiter):
    """A limiter whose only call is out."""
    made = limiter("gpt-4o", requests_per_minute=1)
    made.acquire(requests=1).wait().settle()
    return made


@pytest.mark.parametrize("passes", [True, False], ids=["the SDK lets its own errors pass", "it lets none pass"])
@pytest.mark.parametrize("stream", [False, True])
def test_busy(scripted: Scripted, one_a_minute, monkeypatch, passes, stream):
    monkeypatch.setattr(_wrap, "_lets_its_own_errors_pass", lambda client: passes)
    client = paceline.wrap(openai_of(scripted.url), one_a_minute)
    assert isinstance(client, openai.OpenAI)
    for used in (client, client.with_options(timeout=5)):
        with paceline.using(timeout=0.05):
            error = refused(lambda: chat(used, stream=stream))
        assert isinstance(error, paceline.AcquireTimeout)
        assert isinstance(error, TimeoutError)
        assert (error.resource, error.limit) == ("gpt-4o", "gpt-4o/requests_per_minute")
        assert 50 < error.retry_after <= 61
    assert scripted.seen == []


@pytest.mark.parametrize("passes", [True, False])
def test_busy_asynchronously(scripted: Scripted, one_a_minute, monkeypatch, passes):
    monkeypatch.setattr(_wrap, "_lets_its_own_errors_pass", lambda client: passes)

    async def main():
        base = openai.AsyncOpenAI(base_url=f"{scripted.url}/v1", api_key="k", max_retries=3)
        with paceline.using(max_expected_wait=1):
            await chat(paceline.wrap(base, one_a_minute))

    assert isinstance(refused(lambda: asyncio.run(main())), paceline.ExpectedWaitTooLong)
    assert scripted.seen == []


@pytest.mark.parametrize("module", [httpx, httpx2])
def test_busy_by_a_transport_of_ones_own(scripted: Scripted, one_a_minute, module):
    http = module.Client(transport=paceline.transport.Transport(one_a_minute))
    client = openai.OpenAI(base_url=f"{scripted.url}/v1", api_key="k", max_retries=3, http_client=http)
    with paceline.using(timeout=0):
        assert isinstance(refused(lambda: chat(client)), paceline.Busy)
    assert scripted.seen == []


def test_impossible(scripted: Scripted, limiter):
    client = paceline.wrap(openai_of(scripted.url), limiter("gpt-4o", tokens_per_minute=5))
    error = refused(lambda: chat(client))
    assert isinstance(error, paceline.Impossible)
    assert isinstance(error, ValueError)
    assert scripted.seen == []


def test_an_unknown_resource(scripted: Scripted, limiter):
    known = limiter(config={"resources": {"one": {"requests_per_minute": 5}, "two": {"requests_per_minute": 5}}})
    error = refused(lambda: chat(paceline.wrap(openai_of(scripted.url), known)))
    assert isinstance(error, paceline.UnknownResource)
    assert error.name == "gpt-4o"
    assert scripted.seen == []


def test_an_unknown_resource_that_the_configuration_allows(scripted: Scripted, limiter):
    config = {"unknown_resources": "allow", "resources": {"one": {"requests_per_minute": 5}, "two": {"requests_per_minute": 5}}}
    chat(paceline.wrap(openai_of(scripted.url), limiter(config=config)))
    assert len(scripted.seen) == 1


def test_a_store_that_cannot_be_reached(scripted: Scripted, limiter):
    gone = limiter("gpt-4o", requests_per_minute=5, store="redis://127.0.0.1:9", store_timeout=0.1)
    error = refused(lambda: chat(paceline.wrap(openai_of(scripted.url), gone)))
    assert isinstance(error, paceline.StoreUnavailable)
    assert scripted.seen == []


def test_a_wait_that_would_block_the_event_loop(scripted: Scripted, one_a_minute):
    async def main():
        chat(paceline.wrap(openai_of(scripted.url), one_a_minute))

    begun = time.monotonic()
    with pytest.raises(RuntimeError, match="block the event loop"):
        asyncio.run(main())
    assert time.monotonic() - begun < SLOWEST
    assert scripted.seen == []


@pytest.mark.parametrize("mode", ["shadow", "off"])
def test_a_limiter_that_refuses_nobody(scripted: Scripted, limiter, mode):
    client = paceline.wrap(openai_of(scripted.url), limiter("gpt-4o", requests_per_minute=1, mode=mode))
    for _ in range(3):
        chat(client)
        list(chat(client, stream=True))
    assert len(scripted.seen) == 6


def test_it_survives_a_pickle_as_ours_alone(scripted: Scripted, one_a_minute):
    client = paceline.wrap(openai_of(scripted.url), one_a_minute)
    with paceline.using(timeout=0):
        error = refused(lambda: chat(client))
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is paceline.AcquireTimeout
    assert str(again) == str(error)
    assert again.retry_after == error.retry_after


def test_anthropic(scripted: Scripted, limiter):
    limits = limiter("anthropic/claude-sonnet-5", requests_per_minute=1)
    limits.acquire(requests=1).wait().settle()
    client = paceline.wrap(anthropic.Anthropic(base_url=scripted.url, api_key="k", max_retries=3), limits)

    async def main():
        base = anthropic.AsyncAnthropic(base_url=scripted.url, api_key="k", max_retries=3)
        await paceline.wrap(base, limits).messages.create(model="claude-sonnet-5", max_tokens=10, messages=MESSAGES)

    with paceline.using(timeout=0):
        for call in (
            lambda: client.messages.create(model="claude-sonnet-5", max_tokens=10, messages=MESSAGES),
            lambda: asyncio.run(main()),
        ):
            assert isinstance(refused(call), paceline.Busy)
    assert scripted.seen == []
