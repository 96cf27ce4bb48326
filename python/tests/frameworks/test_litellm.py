"""LiteLLM under a limiter: SDK, Router, streams, caches, failures; and what it does not let wait."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time
import types
from collections.abc import Callable, Iterator
from typing import Any

import paceline
import pytest
from readings import in_flight, settles, used

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import litellm  # noqa: E402
import paceline.litellm  # noqa: E402
from paceline.litellm import Limits  # noqa: E402

ASK = {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 500}


@pytest.fixture(autouse=True)
def fresh_litellm() -> Iterator[None]:
    """LiteLLM keeps callbacks, clients and caches in its module."""
    litellm.suppress_debug_info = True
    yield
    litellm.logging_callback_manager._reset_all_callbacks()
    litellm.in_memory_llm_clients_cache.flush_cache()
    litellm.cache = None
    litellm.num_retries = None
    litellm.client_session = None


def use(limiter: Any, resource: str | None = None) -> None:
    litellm.callbacks = [Limits(limiter, resource)]


async def ask(**options: Any) -> Any:
    return await litellm.acompletion(**{"model": "openai/gpt-4o", **ASK, **options})


def router(fake: Any, **options: Any) -> litellm.Router:
    def deployment(account: str, key: str) -> dict[str, Any]:
        params = {"model": "openai/gpt-4o", "api_key": key, "api_base": fake.openai}
        return {"model_name": "chat", "litellm_params": params, "model_info": {"paceline": f"{account}/gpt-4o"}}

    return litellm.Router(model_list=[deployment("openai", "one"), deployment("openai-eu", "two")], **options)


TWO = """
openai: {gpt-4o: {requests_per_minute: 60}}
openai-eu: {provider: openai, gpt-4o: {requests_per_minute: 60}}
"""


def test_a_call_waits_and_is_settled(openai_env: Any, still: Callable[..., Any]) -> None:
    one = still("gpt", rpm=9, tpm=60_000)
    use(one, "gpt")
    response = asyncio.run(ask())
    assert used(one, "gpt/tokens_per_minute") == response.usage.total_tokens
    assert used(one, "gpt/requests_per_minute") == 1
    assert in_flight(one) == 0


def test_the_resource_is_found_by_the_model(openai_env: Any, limits: Any) -> None:
    use(limits)

    async def both() -> None:
        await ask()
        await litellm.aembedding(model="openai/text-embedding-3-small", input=["a", "b"])

    asyncio.run(both())
    assert used(limits, "openai/gpt-4o/requests_per_minute") == 1
    assert used(limits, "openai/text-embedding-3-small/requests_per_minute") == 1
    assert in_flight(limits) == 0


@pytest.mark.parametrize("include_usage", [False, True])
def test_a_stream_is_settled_when_it_ends(openai_env: Any, still: Callable[..., Any], include_usage: bool) -> None:
    one = still("gpt", tpm=60_000)
    use(one, "gpt")

    async def stream() -> None:
        options = {"stream_options": {"include_usage": True}} if include_usage else {}
        async for _ in await ask(stream=True, **options):
            pass
        until = asyncio.get_running_loop().time() + 5
        while in_flight(one):
            assert asyncio.get_running_loop().time() < until
            await asyncio.sleep(0.01)

    asyncio.run(stream())
    assert 0 < used(one, "gpt/tokens_per_minute") < 500


def test_a_stream_that_is_left_is_charged_as_reserved(
    provider: Any, still: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = provider("openai", output_tokens=400, per_token_us=20_000)
    monkeypatch.setenv("OPENAI_BASE_URL", fake.openai)
    monkeypatch.setenv("OPENAI_API_KEY", "key")
    one = still("gpt", tpm=60_000)
    use(one, "gpt")

    async def leave() -> None:
        async for _ in await ask(stream=True):
            break

    asyncio.run(leave())
    settles(one)
    assert used(one, "gpt/tokens_per_minute") >= 500


def test_a_cancelled_call_leaves_nothing_open(
    provider: Any, limits: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = provider("openai", latency_ms=3_000)
    monkeypatch.setenv("OPENAI_BASE_URL", fake.openai)
    monkeypatch.setenv("OPENAI_API_KEY", "key")
    use(limits)

    async def cancelled() -> None:
        task = asyncio.create_task(ask())
        while not in_flight(limits):
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(0)
        assert in_flight(limits) == 0

    asyncio.run(cancelled())


def test_the_router_draws_on_the_key_it_chose(openai_env: Any, still: Callable[..., Any]) -> None:
    one = still(config=TWO)
    use(one)

    async def many() -> None:
        chooser = router(openai_env)
        await asyncio.gather(*(chooser.acompletion(model="chat", **ASK) for _ in range(12)))

    asyncio.run(many())
    shares = [used(one, f"{account}/gpt-4o/requests_per_minute") for account in ("openai", "openai-eu")]
    assert sum(shares) == openai_env.report()["served"] == 12
    assert in_flight(one) == 0


def test_the_routers_retries_are_calls_of_their_own(provider: Any, still: Callable[..., Any]) -> None:
    fake = provider("openai", faults={"500": 1.0})
    one = still(config=TWO)
    use(one)

    async def fails() -> None:
        chooser = router(fake, num_retries=2, disable_cooldowns=True, retry_after=0)
        with pytest.raises(litellm.InternalServerError):
            await chooser.acompletion(model="chat", **ASK)

    asyncio.run(fails())
    shares = [used(one, f"{account}/gpt-4o/requests_per_minute") for account in ("openai", "openai-eu")]
    assert sum(shares) == fake.report()["requests"] == 3
    assert in_flight(one) == 0


def test_repeats_behind_the_hooks_are_off(
    provider: Any, limits: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fake = provider("openai", faults={"500": 1.0})
    monkeypatch.setenv("OPENAI_BASE_URL", fake.openai)
    monkeypatch.setenv("OPENAI_API_KEY", "key")
    use(limits)
    with caplog.at_level(logging.WARNING, "paceline"):
        with pytest.raises(litellm.InternalServerError):
            asyncio.run(ask())
        assert _said(caplog) == []
        for options in ({"max_retries": 2}, {"num_retries": 2}):
            with pytest.raises(litellm.InternalServerError):
                asyncio.run(ask(**options))
    assert fake.report()["requests"] == used(limits, "openai/gpt-4o/requests_per_minute") == 3
    assert _said(caplog) == [
        "num_retries and max_retries of a LiteLLM call would repeat it behind the hooks, unlimited: they are turned off. "
        "Use litellm.Router(num_retries=...), whose retries wait in line"
    ]


def test_a_refusal_of_the_provider_pauses_everyone(
    provider: Any, limits: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = provider("openai", requests_per_minute=1)
    monkeypatch.setenv("OPENAI_BASE_URL", fake.openai)
    monkeypatch.setenv("OPENAI_API_KEY", "key")
    use(limits)
    asyncio.run(ask())
    with pytest.raises(litellm.RateLimitError):
        asyncio.run(ask())
    paused = limits.explain("openai/gpt-4o", tokens=1).wait()["paused_for"]
    assert 30 < paused < 75
    assert in_flight(limits) == 0


def test_a_refusal_of_ours_is_final(openai_env: Any, limiter: Callable[..., Any]) -> None:
    one = limiter("openai/gpt-4o", rpm=1)
    use(one)

    async def refused() -> None:
        await ask()
        with paceline.using(timeout=0.05):
            with pytest.raises(paceline.AcquireTimeout):
                await ask()
            with pytest.raises(paceline.AcquireTimeout):
                await ask(num_retries=3)
            chooser = router(openai_env, num_retries=3)
            with pytest.raises((paceline.AcquireTimeout, paceline.UnknownResource)):
                await chooser.acompletion(model="chat", **ASK)

    asyncio.run(refused())
    assert openai_env.report()["requests"] == 1


def test_a_refusal_of_ours_does_not_cool_a_deployment_down(openai_env: Any, limiter: Callable[..., Any]) -> None:
    one = limiter(config=TWO.replace("60", "1"))
    use(one)

    async def refused() -> list[Any]:
        chooser = router(openai_env, num_retries=2)
        answers = await asyncio.gather(
            *(chooser.acompletion(model="chat", **ASK) for _ in range(8)), return_exceptions=True
        )
        healthy, _ = await chooser._async_get_healthy_deployments(model="chat", parent_otel_span=None)
        assert len(healthy) == 2
        return answers

    with paceline.using(timeout=0.05):
        answers = asyncio.run(refused())
    kinds = {type(answer).__name__ for answer in answers}
    assert kinds <= {"ModelResponse", "AcquireTimeout"} and "AcquireTimeout" in kinds


def test_a_call_that_never_left_is_given_back(limits: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "key")
    use(limits)
    with pytest.raises(litellm.InternalServerError):
        asyncio.run(ask(api_base="http://127.0.0.1:9/v1"))
    assert used(limits, "openai/gpt-4o/requests_per_minute") == 0
    assert in_flight(limits) == 0


def test_what_the_cache_answers_is_given_back(
    openai_env: Any, limits: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # LiteLLM imports this audio package on every hit, and does not require it.
    monkeypatch.setitem(sys.modules, "soundfile", types.ModuleType("soundfile"))
    use(limits)
    litellm.cache = litellm.Cache(type="local")

    async def twice() -> None:
        for _ in range(2):
            await ask(caching=True)
            until = asyncio.get_running_loop().time() + 5
            while in_flight(limits):
                assert asyncio.get_running_loop().time() < until
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.1)  # LiteLLM stores the answer in a task that it does not await

    asyncio.run(twice())
    assert openai_env.report()["requests"] == used(limits, "openai/gpt-4o/requests_per_minute") == 1


def test_fallbacks_of_a_plain_call_count_once_each(openai_env: Any, limits: Any) -> None:
    use(limits)
    asyncio.run(ask(fallbacks=["openai/gpt-4o-mini"]))
    assert openai_env.report()["requests"] == used(limits, "openai/gpt-4o/requests_per_minute") == 1
    assert in_flight(limits) == 0


def test_calls_that_litellm_makes_of_others_count_once(openai_env: Any, still: Callable[..., Any]) -> None:
    pytest.importorskip("mcp", reason="LiteLLM imports it for responses")
    one = still("gpt", rpm=9, tpm=60_000)
    use(one, "gpt")

    async def three() -> None:
        await litellm.aresponses(model="openai/gpt-4o", input="hello", max_output_tokens=500)
        async for _ in await litellm.aresponses(
            model="openai/gpt-4o", input="hello", max_output_tokens=500, stream=True
        ):
            pass
        await litellm.anthropic_messages(model="openai/gpt-4o", **ASK)
        until = asyncio.get_running_loop().time() + 5
        while in_flight(one):
            assert asyncio.get_running_loop().time() < until
            await asyncio.sleep(0.01)

    asyncio.run(three())
    report = openai_env.report()
    assert used(one, "gpt/requests_per_minute") == report["requests"] == 3
    assert used(one, "gpt/tokens_per_minute") == report["input_tokens_served"] + report["output_tokens_served"]


def test_a_mocked_response_is_no_call(limits: Any) -> None:
    use(limits)
    asyncio.run(ask(mock_response="hi"))
    assert used(limits, "openai/gpt-4o/requests_per_minute") == 0


def test_a_synchronous_call_is_charged_and_told(
    openai_env: Any, limits: Any, caplog: pytest.LogCaptureFixture
) -> None:
    use(limits)
    with caplog.at_level(logging.WARNING, "paceline"):
        litellm.completion(model="openai/gpt-4o", **ASK)
        litellm.completion(model="openai/gpt-4o", **ASK)
    assert _said(caplog) == [
        "LiteLLM does not let synchronous calls wait: this call is charged, not limited. Use litellm.acompletion(), or "
        "limit the HTTP client: litellm.client_session = paceline.litellm.client_session(limiter)"
    ]
    _until(lambda: used(limits, "openai/gpt-4o/requests_per_minute") == 2)


def test_a_synchronous_router_is_refused(openai_env: Any, still: Callable[..., Any]) -> None:
    use(still(config=TWO))
    with pytest.raises(paceline.ConfigError) as refused:
        router(openai_env).completion(model="chat", **ASK)
    assert str(refused.value) == (
        "LiteLLM does not let synchronous calls of a Router wait. Use Router.acompletion(), or limit the HTTP client: "
        "litellm.client_session = paceline.litellm.client_session(limiter)"
    )
    assert openai_env.report()["requests"] == 0


def test_a_limited_session_limits_synchronous_calls(
    openai_env: Any, limits: Any, caplog: pytest.LogCaptureFixture
) -> None:
    use(limits)
    litellm.client_session = paceline.litellm.client_session(limits)
    with caplog.at_level(logging.WARNING, "paceline"):
        litellm.completion(model="openai/gpt-4o", **ASK)
        for _ in litellm.completion(model="openai/gpt-4o", **ASK, stream=True):
            pass
    assert used(limits, "openai/gpt-4o/requests_per_minute") == openai_env.report()["requests"] == 2
    assert in_flight(limits) == 0
    assert [line for line in _said(caplog) if "LiteLLM" in line] == []
    limits.pause("openai/gpt-4o", 60).wait()
    with paceline.using(timeout=0.05), pytest.raises(litellm.RateLimitError, match="openai/gpt-4o"):
        litellm.completion(model="openai/gpt-4o", **ASK)


def test_limits_that_are_no_callback_say_so(
    openai_env: Any, limits: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "paceline"):
        asyncio.run(ask(callbacks=[Limits(limits)]))
    assert _said(caplog) == [
        "paceline.litellm.Limits is not in litellm.callbacks, and limits nothing: LiteLLM lets only those wait before a "
        "call. Set litellm.callbacks = [Limits(limiter)]"
    ]


def _said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "paceline"]


def _until(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + 5
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.01)
