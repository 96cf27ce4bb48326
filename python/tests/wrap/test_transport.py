"""Transports for HTTP clients of one's own, and HTTP clients that are wrapped."""

from __future__ import annotations

import asyncio
import json

import httpx
import httpx2
import pytest

import paceline
import paceline.transport

from .scripted import CHAT, MESSAGES, Answer, chat_stream

BODY = {"model": "gpt-4o", "messages": MESSAGES, "max_tokens": 500}


@pytest.fixture
def gpt(limiter):
    return limiter("gpt-4o", requests_per_minute=100, tokens_per_minute=100_000)


@pytest.mark.parametrize("module", [httpx, httpx2])
@pytest.mark.parametrize("made", ["transport", "derived", "wrapped"])
def test_a_client_of_ones_own(scripted, gpt, held, used, module, made):
    if made == "wrapped":
        client = paceline.wrap(module.Client(), gpt)
    elif made == "derived":
        client = module.Client(transport=paceline.transport.make_transport(module)[0](gpt))
    else:
        client = module.Client(transport=paceline.transport.Transport(gpt, module.HTTPTransport(retries=1)))
    with client:
        answer = client.post(f"{scripted.url}/v1/chat/completions", json=BODY)
        assert answer.json() == CHAT
        assert (used(gpt, "requests_per_minute"), used(gpt, "tokens_per_minute"), held(gpt)) == (1, 15, 0)
        scripted.told(Answer(body=chat_stream("Hello")))
        with client.stream("POST", f"{scripted.url}/v1/chat/completions", json={**BODY, "stream": True}) as stream:
            assert held(gpt) == 1
            assert list(stream.iter_lines())[-2] == "data: [DONE]"
        assert (used(gpt, "requests_per_minute"), used(gpt, "tokens_per_minute"), held(gpt)) == (2, 30, 0)
        client.get(f"{scripted.url}/v1/models")
        client.post(f"{scripted.url}/v1/files", json=BODY)
        client.post(f"{scripted.url}/v1/chat/completions", json={"no": "model"})
    assert used(gpt, "requests_per_minute") == 2


@pytest.mark.parametrize("module", [httpx, httpx2])
def test_an_async_client_of_ones_own(scripted, gpt, held, used, module):
    async def main():
        async with module.AsyncClient(transport=paceline.transport.AsyncTransport(gpt)) as client:
            answer = await client.post(f"{scripted.url}/v1/chat/completions", json=BODY)
            assert answer.json() == CHAT
            scripted.told(Answer(body=chat_stream("Hello")))
            request = {**BODY, "stream": True}
            async with client.stream("POST", f"{scripted.url}/v1/chat/completions", json=request) as stream:
                assert held(gpt) == 1
                assert len([line async for line in stream.aiter_lines()]) == 8

    asyncio.run(main())
    assert (used(gpt, "requests_per_minute"), used(gpt, "tokens_per_minute"), held(gpt)) == (2, 30, 0)


def test_a_redirect_asks_for_one_permit_where_the_answer_is(scripted, gpt, held, used):
    scripted.told(Answer(307, {}, {"location": f"{scripted.url}/v1/chat/completions"}), Answer())
    with httpx.Client(transport=paceline.transport.Transport(gpt), follow_redirects=True) as client:
        client.post(f"{scripted.url}/old/chat/completions", json=BODY)
    assert len(scripted.seen) == 2
    assert (used(gpt, "requests_per_minute"), used(gpt, "tokens_per_minute"), held(gpt)) == (1, 15, 0)


def test_two_limiters_may_stand_under_one_client(scripted, gpt, limiter, used):
    team = limiter("team", requests_per_minute=5)
    client = paceline.wrap(paceline.wrap(httpx.Client(), gpt), team)
    client.post(f"{scripted.url}/v1/chat/completions", content=json.dumps(BODY))
    assert used(gpt, "requests_per_minute") == used(team, "requests_per_minute") == 1


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ("/v1/chat/completions", "gpt-4o"),
        ("/openai/deployments/gpt-4o/chat/completions", "gpt-4o"),
        ("/v1beta/models/gemini-2.5-flash:streamGenerateContent", "gemini-2.5-flash"),
        ("/v1/projects/p/locations/l/publishers/anthropic/models/claude:streamRawPredict", "claude"),
    ],
)
def test_the_model_is_in_the_body_or_in_the_path(path, model):
    from paceline import _endpoint

    body = {"model": "gpt-4o"} if "chat" in path else {"contents": []}
    assert _endpoint.may_be_call("POST", path)
    found = _endpoint.asked(path, json.dumps(body).encode())
    assert found is not None and found.model == model


@pytest.mark.parametrize(
    ("host", "provider"),
    [
        ("api.openai.com", "openai"),
        ("mine.openai.azure.com", "azure"),
        ("us-east5-aiplatform.googleapis.com", "vertex"),
        ("bedrock-runtime.us-east-1.amazonaws.com", "bedrock"),
        ("localhost", None),
    ],
)
def test_the_host_names_the_provider(host, provider):
    from paceline import _endpoint

    assert _endpoint.provider_of(host) == provider
