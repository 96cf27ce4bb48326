"""What programs of token-throttle rely on, and what the original did not keep."""

from __future__ import annotations

import asyncio
import pickle
import time
from typing import Any

import pytest
import redis as sync_redis

import paceline
from paceline.compat import token_throttle
from paceline.compat.token_throttle import (
    CapacityReservation,
    CardinalityLimitExceededError,
    DuplicateRefundError,
    Quota,
    RateLimiter,
    RateLimiterCallbacks,
    RedisBackendBuilder,
    SyncMemoryBackendBuilder,
    SyncRateLimiter,
    SyncRedisBackendBuilder,
    UnknownReservationError,
    UsageQuotas,
    create_openai_redis_sync_rate_limiter,
    frozen_usage,
)

from .throttling import config, left, memory, queued


async def test_a_refund_wakes_who_waits() -> None:
    limiter = memory(config(tokens=1_000))
    first = await limiter.acquire_capacity({"tokens": 1_000}, "m")
    second = asyncio.create_task(limiter.acquire_capacity({"tokens": 900}, "m"))
    await queued(limiter, 1)
    started = time.monotonic()
    await limiter.refund_capacity({"tokens": 50}, first)
    await second
    assert time.monotonic() - started < 5, "900 tokens refill in 54 s"


async def test_first_come_first_served_also_for_large_calls() -> None:
    """In the original small calls pass a large one for ever."""
    limiter = memory(config(per_seconds=1, tokens=100))
    await limiter.acquire_capacity({"tokens": 100}, "m")
    granted: list[int] = []

    async def call(number: int, tokens: int) -> None:
        await limiter.acquire_capacity({"tokens": tokens}, "m")
        granted.append(number)

    calls = []
    for number, tokens in enumerate([100, 1, 20, 1]):
        calls.append(asyncio.create_task(call(number, tokens)))
        await queued(limiter, number + 1)
    await asyncio.gather(*calls)
    assert granted == [0, 1, 2, 3]


async def test_a_cancelled_call_leaves_nothing() -> None:
    limiter = memory(config(tokens=1_000, requests=10))
    held = await limiter.acquire_capacity({"tokens": 1_000, "requests": 1}, "m")
    second = asyncio.create_task(limiter.acquire_capacity({"tokens": 1_000, "requests": 1}, "m"))
    await queued(limiter, 1)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    await queued(limiter, 0)
    assert limiter.snapshot_state()["in_flight_reservations"] == 1
    await limiter.refund_capacity({"tokens": 0, "requests": 0}, held)
    assert await left(limiter) == {"tokens": 1_000, "requests": 10}


async def test_cancelled_in_a_callback_it_is_given_back() -> None:
    entered = asyncio.Event()

    async def slow(**facts: Any) -> None:
        entered.set()
        await asyncio.Event().wait()

    limiter = memory(config(tokens=1_000), callbacks=RateLimiterCallbacks(on_capacity_consumed=slow))
    call = asyncio.create_task(limiter.acquire_capacity({"tokens": 1_000}, "m"))
    await entered.wait()
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    assert limiter.snapshot_state()["in_flight_reservations"] == 0
    assert await left(limiter) == {"tokens": 1_000}


async def test_all_or_nothing() -> None:
    limiter = memory(config(tokens=1_000, requests=1))
    await limiter.acquire_capacity({"tokens": 100, "requests": 1}, "m")
    with pytest.raises(TimeoutError):
        await limiter.acquire_capacity({"tokens": 100, "requests": 1}, "m", timeout=0)
    assert (await left(limiter))["tokens"] >= 900


async def test_time_outs() -> None:
    limiter = memory(config(tokens=60, per_seconds=60))
    await limiter.acquire_capacity({"tokens": 60}, "m")
    with pytest.raises(TimeoutError, match="m/tokens_per_60s") as error:
        await limiter.acquire_capacity({"tokens": 1}, "m", timeout=0.1)
    assert isinstance(error.value, paceline.AcquireTimeout)
    assert error.value.retry_after <= 1.1
    started = time.monotonic()
    await limiter.acquire_capacity({"tokens": 1}, "m", timeout=5)
    assert time.monotonic() - started < 2


async def test_more_than_was_reserved_is_a_debt() -> None:
    limiter = memory(config(tokens=1_000))
    held = await limiter.acquire_capacity({"tokens": 500}, "m")
    await limiter.refund_capacity({"tokens": 1_500}, held)
    assert -501 <= (await left(limiter))["tokens"] <= -490
    await limiter.record_usage({"tokens": 500}, "m")
    assert (await left(limiter))["tokens"] <= -985


async def test_use_that_nobody_asked_for() -> None:
    limiter = memory(config(tokens=1_000))
    recorded = await limiter.record_usage({"tokens": 400}, "m")
    await limiter.refund_capacity({"tokens": 450}, recorded)
    assert 550 <= (await left(limiter))["tokens"] <= 560
    with pytest.raises(DuplicateRefundError):
        await limiter.refund_capacity({"tokens": 450}, recorded)


async def test_misuse() -> None:
    limiter = memory(config(tokens=1_000, requests=10))
    cases: list[tuple[Any, type[Exception], str]] = [
        (limiter.acquire_capacity({"tokens": 1}, "m"), ValueError, r"^Usage keys do not match quota keys: missing=\['requests'\], extra=\[\]. Usage keys=\['tokens'\], quota keys=\['requests', 'tokens'\]$"),
        (limiter.acquire_capacity({"tokens": -1, "requests": 1}, "m"), ValueError, "^Usage value for tokens must be non-negative$"),
        (limiter.acquire_capacity({"tokens": True, "requests": 1}, "m"), ValueError, "^Usage value for tokens must not be a boolean$"),
        (limiter.acquire_capacity("m", {}), ValueError, r"^usage must be a mapping \(got str\)$"),  # type: ignore[arg-type]
        (limiter.acquire_capacity({"tokens": 1, "requests": 1}, "m", timeout=-1), ValueError, r"^timeout must be non-negative or None \(got -1\)$"),
        (limiter.acquire_capacity({"tokens": 2_000, "requests": 1}, "m"), ValueError, "^m: 2000 wanted of limit m/tokens_per_60s, which can never grant more than 1000$"),
        (limiter.set_max_capacity("zz", "tokens", 60, 5), ValueError, r"^No backend for model family 'zz'. Call acquire_capacity or record_usage first.$"),
        (limiter.set_max_capacity("m", "tokns", 60, 5), ValueError, "^Bucket 'tokns/60s' not found$"),
        (limiter.set_max_capacity("tokens", "m", 60, 5), TypeError, "the first two arguments look swapped"),
        (limiter.set_max_capacity("m", "tokens", 60, 0), ValueError, r"^value must be greater than 0 \(got 0\)$"),
        (limiter.acquire_capacity_for_request(messages=[]), ValueError, "^the request has no model"),
        (limiter.acquire_capacity_for_request(model="m"), ValueError, "^usage_counter cannot be None"),
    ]
    held = await limiter.acquire_capacity({"tokens": 1, "requests": 1}, "m")
    cases += [
        (limiter.refund_capacity(held, {"tokens": 1}), TypeError, r"^refund_capacity expects \(actual_usage, reservation\); did you mean"),  # type: ignore[arg-type]
        (limiter.refund_capacity({"tokens": 1}, held), ValueError, "^Usage keys do not match reservation usage keys"),
        (limiter.refund_capacity_from_response(held), ValueError, "^Either 'response' or 'usage'"),
        (limiter.refund_capacity_from_response(held, usage={"prompt_tokens": 1}), ValueError, "^there is no total_tokens in the usage"),
    ]
    for call, kind, message in cases:
        with pytest.raises(kind, match=message):
            await call
    with pytest.raises(TypeError, match="^SyncMemoryBackendBuilder belongs to SyncRateLimiter$"):
        RateLimiter(config(tokens=1), backend=SyncMemoryBackendBuilder())
    with pytest.raises(TypeError, match="^backend must be a MemoryBackendBuilder or RedisBackendBuilder"):
        RateLimiter(config(tokens=1), backend=object())  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="^cfg must be a PerModelConfig or a function that returns one"):
        memory("gpt-4o")
    with pytest.raises(TypeError, match="^RateLimiter is not pickleable"):
        pickle.dumps(limiter)
    with pytest.raises(ValueError, match="^key_prefix must not contain whitespace"):
        RedisBackendBuilder("redis://localhost", key_prefix="a:b")


async def test_quotas_say_what_is_wrong() -> None:
    for said, message in [
        ({"metric": "", "limit": 1}, "^metric must be a non-empty string"),
        ({"metric": "a b", "limit": 1}, "^metric must not contain whitespace"),
        ({"metric": "tokens", "limit": 0}, "^limit must be greater than 0"),
        ({"metric": "tokens", "limit": True}, "^limit must not be a boolean$"),
        ({"metric": "tokens", "limit": float("inf")}, "^limit must be a finite int or float"),
        ({"metric": "tokens", "limit": 1, "per_seconds": 0.5}, "^per_seconds must be a whole number of seconds above 0"),
    ]:
        with pytest.raises(ValueError, match=message):
            Quota(**said)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="^no quota is given; where there is to be no limit, say UsageQuotas.unlimited"):
        UsageQuotas([])
    with pytest.raises(ValueError, match=r"^Metric tokens with 60 seconds already exists \(existing limit=1.0, new limit=2.0\).$"):
        UsageQuotas([Quota(metric="tokens", limit=1), Quota(metric="tokens", limit=2)])
    with pytest.raises(AttributeError, match="has no SqliteBackendBuilder: processes of one host share a RedisBackendBuilder"):
        token_throttle.SqliteBackendBuilder  # noqa: B018


async def test_refunded_once() -> None:
    limiter = memory(config(tokens=1_000))
    held = await limiter.acquire_capacity({"tokens": 500}, "m")
    results = await asyncio.gather(
        *(limiter.refund_capacity({"tokens": 100}, held) for _ in range(5)), return_exceptions=True
    )
    assert [type(result) for result in results] == [type(None)] + [DuplicateRefundError] * 4
    assert str(results[1]) == f"reservation already refunded (reservation_id='{held.reservation_id}', model_family='m')"
    assert 900 <= (await left(limiter))["tokens"] <= 910
    other = memory(config(tokens=1_000))
    await other.acquire_capacity({"tokens": 1}, "m")
    with pytest.raises(UnknownReservationError, match="^reservation was never acquired by this limiter"):
        await other.refund_capacity({"tokens": 100}, held)
    again = pickle.loads(pickle.dumps(results[1]))
    assert (again.reservation_id, again.reason) == (held.reservation_id, "already_refunded")


async def test_limits_that_are_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PACELINE_MODE", "off")
    limiter = memory(config(tokens=1_000))
    held = [await limiter.acquire_capacity({"tokens": 900}, "m") for _ in range(3)]
    for one in held:
        await limiter.refund_capacity({"tokens": 10}, one)
    with pytest.raises(DuplicateRefundError):
        await limiter.refund_capacity({"tokens": 10}, held[0])


async def test_fractions_of_a_metric_of_ones_own() -> None:
    limiter = memory(config(usd=0.5, requests=0.25, per_seconds=60))
    for _ in range(4):
        await limiter.acquire_capacity({"usd": 0.1, "requests": 0.05}, "m")
    amounts = await left(limiter)
    assert 0.1 <= amounts["usd"] < 0.12
    assert 0.05 <= amounts["requests"] < 0.06
    with pytest.raises(ValueError, match="can never grant more than 500000"):
        await limiter.acquire_capacity({"usd": 0.6, "requests": 0}, "m")


async def test_blocks() -> None:
    limiter = memory(config(tokens=1_000))
    scope = limiter.reserve({"tokens": 800}, "m", usage_on_error={"tokens": 100})
    with pytest.raises(RuntimeError, match="^the block has not been entered$"):
        scope.reservation  # noqa: B018
    with pytest.raises(KeyError):
        async with scope as handle:
            assert isinstance(handle.reservation, CapacityReservation)
            raise KeyError
    assert 900 <= (await left(limiter))["tokens"] < 910
    with pytest.raises(RuntimeError, match=r"^reserve\(\) scopes are single-use; call limiter.reserve\(...\) again$"):
        async with scope:
            pass
    with pytest.warns(RuntimeWarning, match=r"^a reserve\(\) block was left without set_actual_usage\(\)"):
        async with limiter.reserve({"tokens": 800}, "m"):
            pass
    assert 100 <= (await left(limiter))["tokens"] < 120
    assert limiter.snapshot_state()["in_flight_reservations"] == 0


async def test_a_changed_configuration_comes_into_force() -> None:
    limits: dict[str, Any] = {"tokens": 1_000}
    limiter = memory(lambda model: config("family", **limits))
    held = await limiter.acquire_capacity({"tokens": 900}, "a")
    await limiter.refund_capacity({"tokens": 0}, held)
    limits["tokens"] = 500
    with pytest.raises(ValueError, match="can never grant more than 500"):
        await limiter.acquire_capacity({"tokens": 600}, "a")
    limits.update(tokens=2_000, requests=5)
    await limiter.acquire_capacity({"tokens": 10, "requests": 1}, "a", timeout=5)


async def test_two_models_of_a_family_say_the_same() -> None:
    limiter = memory(lambda model: config("family", tokens=1_000 if model == "a" else 2_000))
    await limiter.acquire_capacity({"tokens": 1}, "a")
    with pytest.raises(ValueError, match="^Config for model_family 'family' is inconsistent across models: 'b' and 'a'"):
        await limiter.acquire_capacity({"tokens": 1}, "b")


def test_the_client_is_closed_where_it_belongs_to_the_limiter(redis_url: str) -> None:
    closed = []

    class Client(sync_redis.Redis):
        def close(self) -> None:
            closed.append(self)

    client = Client.from_url(redis_url)
    with create_openai_redis_sync_rate_limiter(client, key_prefix="p", rpm=10, tpm=1_000) as limiter:
        limiter.acquire_capacity_for_request(model="gpt-4o", messages=[{"role": "user", "content": "Hi"}], max_tokens=10)
    assert closed == []
    owned = SyncRedisBackendBuilder(client, key_prefix="p", owns_redis_client=True)
    SyncRateLimiter(config(tokens=1), backend=owned).close()
    assert closed == [client]


async def test_after_closing() -> None:
    limiter = memory(config(tokens=10))
    await limiter.acquire_capacity({"tokens": 10}, "m")
    waiting = asyncio.create_task(limiter.acquire_capacity({"tokens": 10}, "m"))
    await queued(limiter, 1)
    with pytest.raises(RuntimeError, match="^RateLimiter.close.. cannot run inside an event loop; use await aclose..$"):
        limiter.close()
    await limiter.aclose()
    with pytest.raises(RuntimeError):
        await waiting
    with pytest.raises(RuntimeError, match="^RateLimiter is closed$"):
        await limiter.acquire_capacity({"tokens": 1}, "m")


async def test_how_much_is_kept() -> None:
    limiter = memory(
        lambda model: config(tokens=1_000), max_model_families=2, max_in_flight_reservations=3, max_aliases=10
    )
    held = [await limiter.acquire_capacity({"tokens": 1}, model) for model in "aab"]
    with pytest.raises(CardinalityLimitExceededError, match="^3 reservations are not refunded yet"):
        await limiter.acquire_capacity({"tokens": 1}, "a")
    for one in held:
        await limiter.refund_capacity({"tokens": 1}, one)
    with pytest.raises(CardinalityLimitExceededError, match="^max_model_families is 2, and 'c' is one more"):
        await limiter.acquire_capacity({"tokens": 1}, "c")
    keep = await limiter.acquire_capacity({"tokens": 1}, "a")
    assert limiter.clear_unused_model_families(0) == 1
    assert limiter.snapshot_state()["model_families"] == 1
    await limiter.refund_capacity({"tokens": 1}, keep)
    await limiter.acquire_capacity({"tokens": 1}, "c")


def test_what_is_handed_out_is_not_changed() -> None:
    usage = frozen_usage({"tokens": 1})
    with pytest.raises(TypeError):
        usage["tokens"] = 2
    assert pickle.loads(pickle.dumps(usage)) == usage == {"tokens": 1.0}
    assert len({usage, frozen_usage({"tokens": 1})}) == 1
