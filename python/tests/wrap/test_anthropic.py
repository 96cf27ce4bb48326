"""Anthropic's clients under a limiter, by their middleware."""

from __future__ import annotations

import asyncio

import anthropic
import pytest

import paceline
import paceline.anthropic

from .scripted import MESSAGES, Answer, Scripted, event

MODEL = "claude-sonnet-5"


@pytest.fixture
def claude(limiter):
    return limiter(
        "claude-sonnet-5",
        requests_per_minute=100,
        input_tokens_per_minute=100_000,
        output_tokens_per_minute=100_000,
    )


def client_of(url: str, **options) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=url, api_key="k", **options)


def both(used, limiter) -> tuple[int, int]:
    return used(limiter, "input_tokens_per_minute"), used(limiter, "output_tokens_per_minute")


def test_a_call_is_settled_by_its_response(provider, claude, held, used):
    client = paceline.wrap(client_of(provider("anthropic").url), claude)
    assert isinstance(client, anthropic.Anthropic)
    usage = client.messages.create(model=MODEL, max_tokens=500, messages=MESSAGES).usage
    assert both(used, claude) == (usage.input_tokens, usage.output_tokens)
    assert held(claude) == 0


def test_a_stream_is_settled_by_its_last_event(provider, claude, held, used):
    client = paceline.wrap(client_of(provider("anthropic").url), claude)
    with client.messages.stream(model=MODEL, max_tokens=500, messages=MESSAGES) as stream:
        assert held(claude) == 1
        usage = stream.get_final_message().usage
    assert both(used, claude) == (usage.input_tokens, usage.output_tokens)
    assert held(claude) == 0


def test_the_same_asynchronously(provider, claude, held, used):
    url = provider("anthropic").url

    async def main():
        client = paceline.wrap(anthropic.AsyncAnthropic(base_url=url, api_key="k"), claude)
        whole = await client.messages.create(model=MODEL, max_tokens=500, messages=MESSAGES)
        async with client.messages.stream(model=MODEL, max_tokens=500, messages=MESSAGES) as stream:
            streamed = await stream.get_final_message()
        return whole.usage, streamed.usage

    usages = asyncio.run(main())
    assert both(used, claude) == (
        sum(usage.input_tokens for usage in usages),
        sum(usage.output_tokens for usage in usages),
    )
    assert held(claude) == 0


def test_of_a_stream_left_early_the_input_is_known(scripted: Scripted, limiter, held, used):
    plain = limiter("claude", requests_per_minute=9, input_tokens_per_minute=9_000, output_tokens_per_minute=9_000)
    message = {"id": "m", "type": "message", "role": "assistant", "model": "claude", "content": [], "stop_reason": None}
    usage = {"input_tokens": 7, "cache_read_input_tokens": 3, "cache_creation_input_tokens": 0, "output_tokens": 1}
    start = event({"type": "message_start", "message": {**message, "usage": usage}})
    block = event({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})
    scripted.told(Answer(body=[start, block, block], hold=2))
    client = paceline.wrap(client_of(scripted.url), plain)
    with paceline.using(input_tokens=50, max_output_tokens=400):
        stream = client.messages.create(model="claude", max_tokens=400, messages=MESSAGES, stream=True)
    assert next(stream).type == "message_start"
    stream.close()
    assert both(used, plain) == (10, 400)
    assert held(plain) == 0


def test_counting_tokens_and_lists_pass_untouched(scripted: Scripted, claude, used):
    client = paceline.wrap(client_of(scripted.url), claude)
    scripted.told(Answer(body={"input_tokens": 5}))
    client.messages.count_tokens(model=MODEL, messages=MESSAGES)
    client.beta.messages.count_tokens(model=MODEL, messages=MESSAGES)
    scripted.told(Answer(body={"data": [], "has_more": False, "first_id": None, "last_id": None}))
    client.models.list()
    assert used(claude, "requests_per_minute") == 0


def test_each_retry_of_the_sdk_is_a_call_of_its_own(scripted: Scripted, claude, used, held):
    scripted.told(
        Answer(500, {"type": "error", "error": {"type": "api_error", "message": "broken"}}, {"retry-after-ms": "1"}),
        Answer(body={"id": "m", "type": "message", "role": "assistant", "model": MODEL, "content": []}),
    )
    client = paceline.wrap(client_of(scripted.url, max_retries=2), claude)
    client.messages.create(model=MODEL, max_tokens=20, messages=MESSAGES)
    assert len(scripted.seen) == used(claude, "requests_per_minute") == 2
    assert held(claude) == 0


def test_a_call_that_never_left_is_given_back(claude, held, used):
    client = paceline.wrap(client_of("http://127.0.0.1:9", max_retries=0), claude)
    with pytest.raises(anthropic.APIConnectionError):
        client.messages.create(model=MODEL, max_tokens=20, messages=MESSAGES)
    assert held(claude) == used(claude, "requests_per_minute") == 0


def test_the_clients_settings_are_kept_and_the_original_stays_as_it_was(scripted: Scripted, claude, used):
    passed = []

    def own(request, call_next):
        passed.append(request.url)
        return call_next(request)

    original = client_of(scripted.url, timeout=3, max_retries=5, middleware=[own], default_headers={"x-own": "1"})
    scripted.told(Answer(body={"id": "m", "type": "message", "role": "assistant", "model": MODEL, "content": []}))
    client = paceline.wrap(original, claude)
    assert (client.timeout, client.max_retries, client.base_url) == (3, 5, original.base_url)
    assert client._client is original._client
    assert client.middleware[0] is own
    original.messages.create(model=MODEL, max_tokens=20, messages=MESSAGES)
    assert used(claude, "requests_per_minute") == 0
    twice = paceline.wrap(client, claude)
    twice.with_options(timeout=9).messages.create(model=MODEL, max_tokens=20, messages=MESSAGES)
    assert used(claude, "requests_per_minute") == 1
    assert len(passed) == 2


def test_the_middleware_can_be_put_in_by_hand(provider, claude, used):
    client = client_of(provider("anthropic").url, middleware=[paceline.anthropic.Middleware(claude)])
    client.messages.create(model=MODEL, max_tokens=20, messages=MESSAGES)
    assert used(claude, "requests_per_minute") == 1
