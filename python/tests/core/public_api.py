"""Uses everything public, for the type checker alone."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from typing_extensions import assert_type

import paceline
from paceline import Acquire, Event, Events, Limiter, Permit, Reply


def build() -> Limiter:
    Limiter()
    Limiter(config="limits.yaml", store="redis://localhost:6379", key_prefix="a", name="b", mode="shadow")
    Limiter(config={"openai": {"gpt-4o": {"rpm": 1}}}, private=True, lease=60, store_timeout=1, session_timeout=2.5)
    return Limiter("openai/gpt-4o", rpm=500, tpm=30_000, on_store_failure="allow", on_lost_state="full")


def block(limiter: Limiter) -> None:
    asked = limiter.acquire("openai/gpt-4o", input_tokens=1, max_output_tokens=2, images=3, lane="a", timeout=1, head_start=0.5, max_expected_wait=None)
    assert_type(asked, Acquire[Permit])
    task: Coroutine[Any, Any, Permit] = asked
    task.close()
    assert_type(limiter.try_acquire(tokens=1).wait(), Permit)
    assert_type(limiter.acquire_any(["a", limiter.acquire("b")], tokens=1).wait(), Permit)
    with limiter.acquire_many(["a", "b"]) as permits:
        assert_type(permits, list[Permit])
    with limiter.acquire(request={"model": "gpt-4o"}, on_error="give_back") as permit:
        assert_type(permit, Permit)
        assert_type(permit.settle(3), Reply[dict[str, dict[str, int]]])
        assert_type(permit.settle(input_tokens=1, output_tokens=2, strict=True).wait(), dict[str, dict[str, int]])
        assert_type(permit.give_back(), Reply[dict[str, dict[str, int]]])
        assert_type(permit.amend(tokens=1), Reply[dict[str, dict[str, int]]])
        assert_type(permit.renew(3.5), Reply[None])
        assert_type(permit.detach(), str)
        assert_type(permit.retry(), Acquire[Permit])
        assert_type((permit.id, permit.resource, permit.waited, permit.granted_via, permit.settled), tuple[str, str, float, str, bool])
    with permit as same:
        assert_type(same, Permit)


async def tasks(limiter: Limiter) -> None:
    assert_type(await limiter.acquire(tokens=1), Permit)
    async with limiter.acquire() as permit:
        assert_type(permit, Permit)
        assert_type(await permit.settle({"tokens": 3}), dict[str, dict[str, int]])
    async with permit as same:
        assert_type(same, Permit)
    assert_type(await asyncio.create_task(limiter.acquire()), Permit)
    assert_type(await asyncio.wait_for(limiter.acquire(), 3), Permit)
    assert_type(await limiter.snapshot(), dict[str, Any])
    assert_type(await limiter.permits(), list[dict[str, Any]])
    assert_type(await limiter.explain(tokens=1), dict[str, Any])
    async for event in limiter.events():
        assert_type(event, Event)
    async with limiter as entered:
        assert_type(entered, Limiter)
    await limiter.aclose()


def operate(limiter: Limiter) -> None:
    limiter.record("a", {"tokens": 1}).wait()
    limiter.pause("a", 30, refuse=True).wait()
    limiter.resume().wait()
    limiter.pause_limit("a", 3).wait()
    limiter.resume_limit("a").wait()
    limiter.observe("a", remaining=3, amount=5).wait()
    limiter.purge("a", lane="b").wait()
    assert_type(limiter.settle("id", 3, strict=True).wait(), dict[str, dict[str, int]])
    limiter.give_back("id").wait()
    limiter.renew("id", 60).wait()
    assert_type(limiter.resolve("gpt-4o", "openai"), "str | None")
    assert_type((limiter.resources, limiter.mode, limiter.closed), tuple[list[str], str, bool])
    limiter.configure("other.yaml")
    events = limiter.events()
    assert_type(events, Events)
    for event in events:
        assert_type(event.kind, str)
    with limiter:
        pass


def refusals(limiter: Limiter) -> float:
    try:
        limiter.acquire().wait()
    except paceline.ExpectedWaitTooLong as error:
        return error.expected + error.most
    except paceline.LineFull as error:
        return error.waiting + error.most
    except paceline.Busy as error:
        assert_type((error.resource, error.limit, error.wanted, error.left, error.ahead), "tuple[str, str | None, int, int, int]")
        return error.retry_after + error.waited
    except paceline.Impossible as error:
        return error.most
    except (paceline.ConfigError, paceline.StoreUnavailable, paceline.UnknownResource, paceline.PermitOver, paceline.LimiterClosed, paceline.ForkedStore):
        raise
    return 0.0


def decorated(limiter: Limiter) -> int:
    @limiter.limited(tokens=3)
    def call(text: str) -> int:
        return len(text)

    assert_type(call("a"), int)
    clock = paceline.ManualClock()
    clock.advance(3)
    return call("b")
