"""pydantic-ai under a limiter: a model that waits, and the concurrency limiter."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import paceline
import paceline.pydantic_ai
import pytest
from openai import AsyncOpenAI
from paceline.pydantic_ai import ConcurrencyLimiter, LimitedModel, body_of
from pydantic_ai import Agent
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.messages import (
    BinaryContent,
    ImageUrl,
    ModelRequest,
    ModelResponse,
    SystemPromptPart,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.models.concurrency import ConcurrencyLimitedModel
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.models.test import TestModel
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.tools import ToolDefinition
from readings import in_flight, settles, used


def agent(limiter: Any, resource: str | None = None, **settings: Any) -> Agent[None, str]:
    model = LimitedModel(OpenAIChatModel("gpt-4o"), limiter, resource)
    return Agent(model, instructions="Be brief.", model_settings={"max_tokens": 500, **settings})


def test_a_request_waits_and_is_settled_by_its_usage(openai_env: Any, still: Callable[..., Any]) -> None:
    one = still("gpt", rpm=10, tpm=60_000)
    result = agent(one, "gpt").run_sync("hello")
    usage = result.usage
    assert used(one, "gpt/requests_per_minute") == 1
    assert used(one, "gpt/tokens_per_minute") == usage.input_tokens + usage.output_tokens


def test_the_resource_is_found_by_the_models_name(openai_env: Any, limits: Any) -> None:
    agent(limits).run_sync("hello")
    assert used(limits, "openai/gpt-4o/requests_per_minute") == 1
    assert in_flight(limits) == 0


def test_a_stream_is_settled_when_it_ends(
    provider: Any, still: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = provider("openai", per_token_us=10_000)
    monkeypatch.setenv("OPENAI_BASE_URL", fake.openai)
    monkeypatch.setenv("OPENAI_API_KEY", "key")
    one = still("gpt", rpm=10, tpm=60_000)

    async def stream() -> int:
        async with agent(one, "gpt").run_stream("hello") as result:
            assert in_flight(one) == 1
            async for _ in result.stream_text():
                pass
            return int(result.usage.input_tokens + result.usage.output_tokens)

    tokens = asyncio.run(stream())
    assert used(one, "gpt/tokens_per_minute") == tokens > 0
    assert in_flight(one) == 0


def test_a_limited_client_under_the_model_counts_once(openai_env: Any, limits: Any) -> None:
    client = paceline.wrap(AsyncOpenAI(), limits)
    model = OpenAIChatModel("gpt-4o", provider=OpenAIProvider(openai_client=client))

    async def both() -> None:
        await Agent(LimitedModel(model, limits)).run("hello")
        async with Agent(LimitedModel(model, limits)).run_stream("hello") as result:
            await result.get_output()

    asyncio.run(both())
    assert used(limits, "openai/gpt-4o/requests_per_minute") == 2
    assert in_flight(limits) == 0


def test_a_stream_that_is_left_stays_charged_as_reserved(
    provider: Any, still: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = provider("openai", output_tokens=400, per_token_us=20_000)
    monkeypatch.setenv("OPENAI_BASE_URL", fake.openai)
    monkeypatch.setenv("OPENAI_API_KEY", "key")
    one = still("gpt", rpm=10, tpm=60_000)

    async def leave() -> None:
        async with agent(one, "gpt").run_stream("hello") as result:
            async for _ in result.stream_text(debounce_by=None):
                raise KeyError("gone")

    with pytest.raises(KeyError):
        asyncio.run(leave())
    settles(one)
    assert used(one, "gpt/tokens_per_minute") >= 500


def test_a_refusal_of_the_provider_pauses_everyone(
    provider: Any, limits: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = provider("openai", requests_per_minute=1)
    monkeypatch.setenv("OPENAI_BASE_URL", fake.openai)
    monkeypatch.setenv("OPENAI_API_KEY", "key")
    asker = agent(limits)
    asker.run_sync("hello")
    once = OpenAIChatModel("gpt-4o", provider=OpenAIProvider(openai_client=AsyncOpenAI(max_retries=0)))
    with pytest.raises(ModelHTTPError, match="429"):
        Agent(LimitedModel(once, limits)).run_sync("hello")
    with pytest.raises(paceline.Busy):
        limits.try_acquire("openai/gpt-4o", tokens=10).wait()


def test_a_refusal_of_ours_is_raised_as_it_is(openai_env: Any, limiter: Callable[..., Any]) -> None:
    one = limiter("openai/gpt-4o", rpm=1)
    asker = agent(one)
    asker.run_sync("hello")
    with paceline.using(timeout=0.05), pytest.raises(paceline.AcquireTimeout):
        asker.run_sync("hello")


def test_a_cancelled_request_leaves_nothing_open(
    provider: Any, limits: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = provider("openai", latency_ms=2_000)
    monkeypatch.setenv("OPENAI_BASE_URL", fake.openai)
    monkeypatch.setenv("OPENAI_API_KEY", "key")

    async def cancelled() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(agent(limits).run("hello"), 0.3)

    asyncio.run(cancelled())
    settles(limits)


def test_counting_is_limited_by_a_resource_of_its_own(still: Callable[..., Any]) -> None:
    class Counting(TestModel):
        async def count_tokens(self, *args: Any) -> Any:
            from pydantic_ai.usage import RequestUsage

            return RequestUsage(input_tokens=7)

    one = still(config="resources:\n  model: {requests_per_minute: 5}\n  counting: {requests_per_minute: 5}\n")
    model = LimitedModel(Counting(), one, "model", counting="counting")
    assert asyncio.run(model.count_tokens([], None, ModelRequestParameters())).input_tokens == 7
    assert used(one, "counting/requests_per_minute") == 1
    free = LimitedModel(Counting(), one, "model")
    asyncio.run(free.count_tokens([], None, ModelRequestParameters()))
    assert used(one, "counting/requests_per_minute") == 1
    assert used(one, "model/requests_per_minute") == 0


def test_a_body_has_what_the_model_reads() -> None:
    tool = ToolDefinition(name="look", description="Looks.", parameters_json_schema={"type": "object"})
    picture = BinaryContent(b"\x89PNG", media_type="image/png")
    body = body_of(
        "gpt-4o",
        [
            ModelRequest(
                parts=[
                    SystemPromptPart("Be brief."),
                    UserPromptPart(["What is this?", ImageUrl("https://example.com/a.png"), picture]),
                ],
                instructions="In French.",
            ),
            ModelResponse(parts=[TextPart("One moment."), ToolCallPart("look", {"at": 1}, "id")]),
            ModelRequest(parts=[ToolReturnPart("look", {"seen": "a cat"}, "id")]),
        ],
        {"max_tokens": 30},
        ModelRequestParameters(function_tools=[tool]),
    )
    text = [[part.get("text") for part in message["content"]] for message in body["messages"]]
    assert text == [
        ["In French.", "Be brief.", "What is this?", None, None],
        ["One moment.", "look {'at': 1}"],
        ["{'seen': 'a cat'}"],
    ]
    assert [message["role"] for message in body["messages"]] == ["user", "assistant", "user"]
    assert body["messages"][0]["content"][4]["image_url"]["url"].startswith("data:image/png;base64,")
    assert body["tools"][0]["function"]["name"] == "look"
    assert body["max_tokens"] == 30


def test_the_concurrency_limiter_is_shared(limiter: Callable[..., Any]) -> None:
    one = limiter("llama", concurrency=2)
    model = ConcurrencyLimitedModel(TestModel(), limiter=ConcurrencyLimiter(one))
    running = most = 0

    class Slow(TestModel):
        async def request(self, *args: Any) -> Any:
            nonlocal running, most
            running += 1
            most = max(most, running)
            await asyncio.sleep(0.01)
            running -= 1
            return await super().request(*args)

    slow = Agent(ConcurrencyLimitedModel(Slow(), limiter=ConcurrencyLimiter(one, "llama")))

    async def many() -> None:
        await asyncio.gather(*(slow.run("hello") for _ in range(8)))

    asyncio.run(many())
    Agent(model).run_sync("hello")
    assert most == 2
    assert in_flight(one) == 0
