"""Gemini through google-genai under a limiter."""

from __future__ import annotations

import asyncio

import pytest
from google import genai
from google.genai import errors, types

import paceline
import paceline.gemini

MODEL = "gemini-2.5-flash"


@pytest.fixture
def flash(limiter):
    return limiter(MODEL, requests_per_minute=100, tokens_per_minute=100_000)


def wrapped(url: str, limiter) -> genai.Client:
    return paceline.wrap(genai.Client(api_key="k", http_options=options_of(url)), limiter)


def by_options(url: str, limiter) -> genai.Client:
    return genai.Client(api_key="k", http_options=paceline.gemini.http_options(limiter, options_of(url)))


def options_of(url: str) -> types.HttpOptions:
    return types.HttpOptions(base_url=url, api_version="v1beta", timeout=9_000, headers={"x-own": "1"})


WAYS = [wrapped, by_options]


@pytest.mark.parametrize("way", WAYS)
def test_calls_and_streams_are_settled(provider, flash, held, used, way):
    client = way(provider("gemini").url, flash)
    assert isinstance(client, genai.Client)
    whole = client.models.generate_content(model=MODEL, contents="Say something.").usage_metadata
    assert used(flash, "tokens_per_minute") == whole.total_token_count
    *_, last = client.models.generate_content_stream(model=MODEL, contents="Say something.")
    assert used(flash, "tokens_per_minute") == whole.total_token_count + last.usage_metadata.total_token_count
    assert (used(flash, "requests_per_minute"), held(flash)) == (2, 0)


@pytest.mark.parametrize("way", WAYS)
def test_the_same_asynchronously(provider, flash, held, used, way):
    url = provider("gemini").url

    async def main():
        client = way(url, flash)
        whole = await client.aio.models.generate_content(model=MODEL, contents="Say something.")
        streamed = [chunk async for chunk in await client.aio.models.generate_content_stream(model=MODEL, contents="Hello.")]
        return whole.usage_metadata.total_token_count + streamed[-1].usage_metadata.total_token_count

    assert asyncio.run(main()) == used(flash, "tokens_per_minute")
    assert (used(flash, "requests_per_minute"), held(flash)) == (2, 0)


def test_one_client_serves_several_event_loops(provider, flash, held):
    client = wrapped(provider("gemini").url, flash)
    for _ in range(3):
        asyncio.run(client.aio.models.generate_content(model=MODEL, contents="Say something."))
    assert held(flash) == 0


def test_a_refusal_pauses_for_as_long_as_the_body_says(provider, flash, caplog):
    client = wrapped(provider("gemini", requests_per_minute=1).url, flash)
    client.models.generate_content(model=MODEL, contents="Say something.")
    with pytest.raises(errors.ClientError) as refused:
        client.models.generate_content(model=MODEL, contents="Say something.")
    assert refused.value.code == 429
    assert 50 < flash.explain(MODEL, tokens=1).wait()["paused_for"] <= 61
    assert len(caplog.records) >= 1


@pytest.mark.parametrize("way", WAYS)
def test_a_refusal_of_ours_surfaces_once(provider, limiter, way):
    fake, one = provider("gemini"), limiter(MODEL, requests_per_minute=1)
    client = way(fake.url, one)
    client.models.generate_content(model=MODEL, contents="Say something.")
    retries = types.GenerateContentConfig(http_options=types.HttpOptions(retry_options=types.HttpRetryOptions(attempts=5)))
    with paceline.using(timeout=0), pytest.raises(paceline.Busy):
        client.models.generate_content(model=MODEL, contents="Say something.", config=retries)
    assert fake.report()["requests"] == 1


def test_the_clients_settings_are_kept_and_the_original_stays_as_it_was(provider, flash, used):
    fake = provider("gemini")
    original = genai.Client(api_key="k", http_options=options_of(fake.url))
    client = paceline.wrap(original, flash)
    assert paceline.wrap(client, flash) is client
    original.models.generate_content(model=MODEL, contents="Say something.")
    assert used(flash, "requests_per_minute") == 0
    own, theirs = client._api_client._http_options, original._api_client._http_options
    assert (own.base_url, own.timeout, own.headers) == (theirs.base_url, theirs.timeout, theirs.headers)
    client.models.generate_content(model=MODEL, contents="Say something.")
    assert used(flash, "requests_per_minute") == 1
