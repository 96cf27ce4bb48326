"""The real SDKs against the fake provider: responses, streamed events and raw bytes all tell the same usage."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from paceline._usage import SseUsage, StreamUsage, read

# What the provider is told to count, so that nothing depends on its estimates.
TOLD = {"x-fake-input-tokens": "200", "x-fake-cached-tokens": "120", "x-fake-output-tokens": "33"}
USED = {"input_tokens": 200, "cached_input_tokens": 120, "output_tokens": 33}
ASKED = [{"role": "user", "content": "hello"}]
STREAMED = {"stream": True, "stream_options": {"include_usage": True}}

CALLS: dict[str, tuple[str, str, dict[str, Any], dict[str, Any]]] = {
    "chat": ("openai", "/v1/chat/completions", {"model": "gpt-4o", "messages": ASKED}, STREAMED),
    "responses": ("openai", "/v1/responses", {"model": "gpt-4o", "input": "hello"}, {"stream": True}),
    "messages": (
        "anthropic",
        "/v1/messages",
        {"model": "claude-sonnet-5", "messages": ASKED, "max_tokens": 500},
        {"stream": True},
    ),
    "mistral": ("mistral", "/v1/chat/completions", {"model": "mistral-large", "messages": ASKED}, {"stream": True}),
    "groq": ("groq", "/v1/chat/completions", {"model": "llama-4", "messages": ASKED}, {"stream": True}),
    "gemini": ("gemini", "/v1beta/models/gemini-2.5-flash:", {"contents": [{"parts": [{"text": "hello"}]}]}, {}),
}


def tokens(used: dict[str, int] | None) -> dict[str, int]:
    return {name: number for name, number in (used or {}).items() if name in USED}


def path_of(name: str, stream: bool) -> str:
    path = CALLS[name][1]
    if name != "gemini":
        return path
    return path + ("streamGenerateContent?alt=sse" if stream else "generateContent")


@pytest.mark.parametrize("name", CALLS)
def test_bodies_and_streams_of_every_api(name: str, provider: Callable[..., Any]) -> None:
    dialect, _, body, streamed = CALLS[name]
    base = provider(dialect).url
    headers = {**TOLD, "authorization": "Bearer k"}
    with httpx.Client(base_url=base, headers=headers, timeout=30) as client:
        whole = client.post(path_of(name, False), json=body)
        assert tokens(read(whole)) == tokens(read(whole.json())) == tokens(read(whole.content)) == USED
        usage, seen = SseUsage(), b""
        with client.stream("POST", path_of(name, True), json=body | streamed) as stream:
            for piece in stream.iter_raw():
                usage.feed(piece)
                seen += piece
    assert tokens(usage.result()) == USED
    bytewise = SseUsage()
    for at in range(len(seen)):
        bytewise.feed(seen[at : at + 1])
    assert bytewise.result() == usage.result()
    events = StreamUsage()
    for line in seen.splitlines():
        if line.startswith(b"data: {"):
            events.feed(json.loads(line[6:]))
    assert events.result() == usage.result()


def test_events_of_the_openai_sdk(provider: Callable[..., Any]) -> None:
    from openai import OpenAI

    client = OpenAI(base_url=provider().openai, api_key="k", default_headers=TOLD)
    chat, responses = StreamUsage(), StreamUsage()
    for chunk in client.chat.completions.create(
        model="gpt-4o",
        messages=[{"role": "user", "content": "hi"}],
        stream=True,
        stream_options={"include_usage": True},
    ):
        chat.feed(chunk)
    for event in client.responses.create(model="gpt-4o", input="hi", stream=True):
        responses.feed(event)
    assert tokens(chat.result()) == tokens(responses.result()) == USED
    raw = client.chat.completions.with_raw_response.create(model="gpt-4o", messages=[{"role": "user", "content": "hi"}])
    assert tokens(read(raw)) == tokens(read(raw.parse())) == USED


def test_events_of_the_anthropic_sdk(provider: Callable[..., Any]) -> None:
    from anthropic import Anthropic

    client = Anthropic(base_url=provider("anthropic").url, api_key="k", default_headers=TOLD)
    events = StreamUsage()
    for event in client.messages.create(
        model="claude-sonnet-5", max_tokens=500, messages=[{"role": "user", "content": "hi"}], stream=True
    ):
        events.feed(event)
    assert tokens(events.result()) == USED


def test_a_stream_that_breaks_off_tells_no_output(provider: Callable[..., Any]) -> None:
    base = provider("anthropic").url
    body = {"model": "claude-sonnet-5", "messages": ASKED, "max_tokens": 500, "stream": True}
    usage = SseUsage()
    headers = {**TOLD, "x-fake-fault": "cut", "x-api-key": "k"}
    with (
        pytest.raises(httpx.HTTPError),
        httpx.stream("POST", f"{base}/v1/messages", json=body, headers=headers, timeout=30) as stream,
    ):
        for piece in stream.iter_raw():
            usage.feed(piece)
    assert usage.result() == {"input_tokens": 200, "cached_input_tokens": 120, "cache_write_tokens": 0}
