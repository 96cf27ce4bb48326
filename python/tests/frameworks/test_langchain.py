"""LangChain and LangGraph under a limiter: clients, models, agents, and the door for requests."""

from __future__ import annotations

import asyncio
import logging
import operator
from collections.abc import Callable
from typing import Annotated, Any, TypedDict

import paceline
import paceline.langchain
import pytest
from readings import in_flight, settles, used
from langchain.agents import create_agent
from langchain_anthropic import ChatAnthropic
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableLambda
from langchain_openai import AzureChatOpenAI, ChatOpenAI, OpenAIEmbeddings
from langgraph.graph import END, START, StateGraph
from langgraph.types import Send


def chat(limiter: Any, **options: Any) -> ChatOpenAI:
    return ChatOpenAI(model="gpt-4o", max_tokens=10, **paceline.langchain.clients(limiter), **options)


def test_a_chat_model_is_limited_sync_and_async(openai_env: Any, limits: Any) -> None:
    model = chat(limits)
    model.invoke("hello")
    asyncio.run(model.ainvoke("hello"))
    assert openai_env.report()["served"] == 2
    assert used(limits, "openai/gpt-4o/requests_per_minute") == 2
    assert in_flight(limits) == 0


def test_streams_say_their_usage_and_are_settled_by_it(openai_env: Any, still: Callable[..., Any]) -> None:
    one = still("gpt", tpm=60_000)
    model = ChatOpenAI(model="gpt-4o", max_tokens=500, **paceline.langchain.clients(one))
    whole = None
    for chunk in model.stream("hello"):
        whole = chunk if whole is None else whole + chunk
    assert whole is not None and whole.usage_metadata is not None
    assert used(one, "gpt/tokens_per_minute") == whole.usage_metadata["total_tokens"]

    async def stream() -> None:
        async for _ in model.astream("hello"):
            pass

    asyncio.run(stream())
    report = openai_env.report()
    served = report["input_tokens_served"] + report["output_tokens_served"]
    assert used(one, "gpt/tokens_per_minute") == served
    assert in_flight(one) == 0


def test_every_retry_is_a_call_of_its_own(provider: Any, limits: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = provider("openai", faults={"500": 1.0})
    monkeypatch.setenv("OPENAI_BASE_URL", fake.openai)
    monkeypatch.setenv("OPENAI_API_KEY", "key")
    with pytest.raises(Exception, match="500"):
        chat(limits, max_retries=1).invoke("hello")
    assert fake.report()["requests"] == 2
    assert used(limits, "openai/gpt-4o/requests_per_minute") == 2


def test_a_refusal_of_ours_is_typed_and_not_retried(openai_env: Any, limiter: Callable[..., Any]) -> None:
    one = limiter("openai/gpt-4o", rpm=1)
    model = chat(one)
    model.invoke("hello")
    with paceline.using(timeout=0.05), pytest.raises(paceline.AcquireTimeout):
        model.invoke("hello")
    with paceline.using(timeout=0.05), pytest.raises(paceline.AcquireTimeout):
        asyncio.run(model.ainvoke("hello"))
    assert openai_env.report()["requests"] == 1


def test_embeddings_take_the_same_clients(openai_env: Any, limits: Any) -> None:
    embed = OpenAIEmbeddings(
        model="text-embedding-3-small",
        check_embedding_ctx_length=False,
        **paceline.langchain.clients(limits, stream_usage=None),
    )
    embed.embed_documents(["a", "b"])
    assert used(limits, "openai/text-embedding-3-small/requests_per_minute") == 1


def test_azure_takes_the_same_clients(openai_env: Any, limits: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_BASE_URL")
    model = AzureChatOpenAI(
        azure_endpoint=openai_env.url,
        azure_deployment="gpt-4o",
        api_version="2026-01-01",
        api_key="key",  # type: ignore[arg-type]
        max_tokens=10,
        **paceline.langchain.clients(limits),
    )
    model.invoke("hello")
    assert used(limits, "openai/gpt-4o/requests_per_minute") == 1


def test_a_model_that_exists_is_limited(provider: Any, limits: Any) -> None:
    fake = provider("anthropic")
    model = ChatAnthropic(model="claude-sonnet-5", base_url=fake.url, api_key="key", max_tokens=50)  # type: ignore[call-arg]
    limited = paceline.langchain.limit(model, limits)
    assert limited is model
    answer = limited.invoke("hello")
    asyncio.run(limited.ainvoke("hello"))
    assert isinstance(answer, AIMessage) and answer.usage_metadata
    assert used(limits, "anthropic/claude-sonnet-5/requests_per_minute") == 2
    assert used(limits, "anthropic/claude-sonnet-5/input_tokens_per_minute") == 2 * answer.usage_metadata["input_tokens"]


def test_an_openai_model_that_exists_is_limited(openai_env: Any, limits: Any) -> None:
    model = paceline.langchain.limit(ChatOpenAI(model="gpt-4o", max_tokens=10), limits)
    assert model.stream_usage is True
    model.invoke("hello")
    list(model.stream("hello"))
    asyncio.run(model.ainvoke("hello"))
    assert used(limits, "openai/gpt-4o/requests_per_minute") == 3


def test_a_model_without_a_known_client_is_told_what_limits_it(limits: Any) -> None:
    with pytest.raises(paceline.ConfigError) as refused:
        paceline.langchain.limit(FakeListChatModel(responses=["hi"]), limits)
    assert str(refused.value) == (
        "FakeListChatModel holds no SDK client that Paceline knows: limit its agents with "
        "paceline.langchain.Middleware(limiter), or its calls with "
        "rate_limiter=paceline.langchain.RateLimiter(limiter, resource)"
    )


def test_the_door_counts_requests_of_any_model(still: Callable[..., Any]) -> None:
    one = still("gpt", rpm=2)
    model = FakeListChatModel(responses=["hi"], rate_limiter=paceline.langchain.RateLimiter(one))
    model.invoke("a")
    asyncio.run(model.ainvoke("b"))
    assert used(one, "gpt/requests_per_minute") == 2
    door = paceline.langchain.RateLimiter(one, "gpt")
    assert door.acquire(blocking=False) is False
    assert asyncio.run(door.aacquire(blocking=False)) is False


def test_the_door_takes_what_a_call_is_said_to_want(still: Callable[..., Any]) -> None:
    one = still("gpt", rpm=10, tpm=10_000)
    paceline.langchain.RateLimiter(one, tokens=1_500).acquire()
    assert used(one, "gpt/tokens_per_minute") == 1_500
    assert in_flight(one) == 0


def test_the_door_says_that_it_cannot_count_calls_in_flight(
    limiter: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    door = paceline.langchain.RateLimiter(limiter("llama", rpm=10, concurrency=4))
    with caplog.at_level(logging.WARNING, "paceline"):
        door.acquire()
        asyncio.run(door.aacquire())
    assert [record.getMessage() for record in caplog.records] == [
        "llama limits concurrent_requests, and a rate limiter of a framework is not told when a call ends: calls in flight "
        "are not limited here. Use paceline.langchain.clients(limiter)"
    ]


def word_count(text: str) -> int:
    """Counts the words of a text."""
    return len(text.split())


@pytest.mark.parametrize("asynchronous", [False, True])
def test_agents_wait_and_settle_by_the_answers_usage(
    openai_env: Any, still: Callable[..., Any], asynchronous: bool
) -> None:
    one = still("gpt", rpm=10, tpm=60_000)
    model = ChatOpenAI(model="gpt-4o", max_tokens=500)
    agent = create_agent(
        model, [word_count], system_prompt="Be brief.", middleware=[paceline.langchain.Middleware(one, "gpt")]
    )
    question = {"messages": [{"role": "user", "content": "hello"}]}
    state = asyncio.run(agent.ainvoke(question)) if asynchronous else agent.invoke(question)
    usage = state["messages"][-1].usage_metadata
    assert used(one, "gpt/requests_per_minute") == 1
    assert used(one, "gpt/tokens_per_minute") == usage["total_tokens"]


def test_an_agents_call_is_estimated_from_messages_tools_and_bound(limits: Any, openai_env: Any) -> None:
    from paceline._langchain_agents import body_of

    seen: list[dict[str, Any]] = []

    class Look(paceline.langchain.Middleware):
        def wrap_model_call(self, request: Any, handler: Any) -> Any:
            seen.append(body_of(request))  # type: ignore[arg-type]
            return super().wrap_model_call(request, handler)

    agent = create_agent(
        ChatOpenAI(model="gpt-4o", max_tokens=500), [word_count], system_prompt="Be brief.", middleware=[Look(limits)]
    )
    agent.invoke({"messages": [{"role": "user", "content": "hello"}]})
    body, provider = seen[0]
    assert provider == "openai"
    assert body["model"] == "gpt-4o" and body["max_tokens"] == 500
    assert body["messages"] == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hello"}]
    assert body["tools"][0]["function"]["name"] == "word_count"


def test_a_provider_that_refuses_an_agent_pauses_everyone(
    provider: Any, limits: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = provider("openai", requests_per_minute=1)
    monkeypatch.setenv("OPENAI_BASE_URL", fake.openai)
    monkeypatch.setenv("OPENAI_API_KEY", "key")
    agent = create_agent(
        ChatOpenAI(model="gpt-4o", max_tokens=10, max_retries=0), [], middleware=[paceline.langchain.Middleware(limits)]
    )
    question = {"messages": [{"role": "user", "content": "hello"}]}
    agent.invoke(question)
    with pytest.raises(Exception, match="429"):
        agent.invoke(question)
    with pytest.raises(paceline.Busy):
        limits.try_acquire("openai/gpt-4o", tokens=10).wait()
    assert in_flight(limits) == 0


def test_a_cancelled_agent_leaves_nothing_open(provider: Any, limits: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = provider("openai", latency_ms=2_000)
    monkeypatch.setenv("OPENAI_BASE_URL", fake.openai)
    monkeypatch.setenv("OPENAI_API_KEY", "key")
    agent = create_agent(ChatOpenAI(model="gpt-4o"), [], middleware=[paceline.langchain.Middleware(limits)])

    async def cancelled() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(agent.ainvoke({"messages": [{"role": "user", "content": "hello"}]}), 0.3)

    asyncio.run(cancelled())
    settles(limits)
    assert used(limits, "openai/gpt-4o/requests_per_minute") == 1


def test_a_limited_model_under_the_middleware_counts_once(openai_env: Any, limits: Any) -> None:
    agent = create_agent(chat(limits), [], middleware=[paceline.langchain.Middleware(limits)])
    question = {"messages": [{"role": "user", "content": "hello"}]}
    agent.invoke(question)
    asyncio.run(agent.ainvoke(question))
    assert used(limits, "openai/gpt-4o/requests_per_minute") == 2
    assert in_flight(limits) == 0


class Topics(TypedDict):
    topics: list[str]
    notes: Annotated[list[str], operator.add]


def test_a_graph_that_fans_out_never_goes_over(provider: Any, limiter: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = provider("openai", requests_per_second=10)
    monkeypatch.setenv("OPENAI_BASE_URL", fake.openai)
    monkeypatch.setenv("OPENAI_API_KEY", "key")
    one = limiter(config="openai:\n  gpt-4o: {requests_per_second: 10}\n")
    model = chat(one, max_retries=0)

    async def research(task: dict[str, str]) -> dict[str, Any]:
        return {"notes": [(await model.ainvoke(task["topic"])).text]}

    builder = StateGraph(Topics)
    builder.add_node("research", RunnableLambda(research))
    builder.add_conditional_edges(
        START, lambda state: [Send("research", {"topic": topic}) for topic in state["topics"]], ["research"]
    )
    builder.add_edge("research", END)
    state = asyncio.run(builder.compile().ainvoke({"topics": [str(n) for n in range(25)], "notes": []}))
    assert len(state["notes"]) == 25
    report = fake.report()
    assert (report["served"], report["refused"]) == (25, 0)
