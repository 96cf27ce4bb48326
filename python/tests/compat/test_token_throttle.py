"""What programs of token-throttle rely on, and what the original did not keep."""

from __future__ import annotations

import asyncio
import logging
import os
import pickle
import subprocess
import sys
import threading
import time
import warnings
from typing import Any

import pytest
import redis as sync_redis

import paceline
from paceline.compat import token_throttle
from paceline.compat.token_throttle import (
    CapacityReservation,
    CardinalityLimitExceededError,
    DuplicateRefundError,
    MemoryBackendBuilder,
    OpenAIUsageCounter,
    PerModelConfig,
    Quota,
    RateLimiter,
    RateLimiterCallbacks,
    RedisBackendBuilder,
    SyncMemoryBackendBuilder,
    SyncRateLimiter,
    SyncRateLimiterCallbacks,
    SyncRedisBackendBuilder,
    UnknownReservationError,
    UsageQuotas,
    create_logging_callbacks,
    create_openai_redis_sync_rate_limiter,
    create_sync_logging_callbacks,
    frozen_usage,
    openai_model_family_getter,
)

from .conftest import Server


def config(family: str | None = None, per_seconds: int = 60, **limits: float) -> PerModelConfig:
    """Quotas by metric."""
    quotas = [Quota(metric=metric, limit=limit, per_seconds=per_seconds) for metric, limit in limits.items()]
    return PerModelConfig(quotas=UsageQuotas(quotas), model_family=family)


def memory(cfg: Any, **said: Any) -> RateLimiter:
    return RateLimiter(cfg, backend=MemoryBackendBuilder(), **said)


async def queued(limiter: RateLimiter, waiting: int, family: str = "m") -> None:
    """Waits until so many are in line."""
    one = limiter._engine._families[family].limiter
    for _ in range(2_000):
        accounts = await one.snapshot()
        if sum(account["resources"][family]["waiting"] for account in accounts.values()) == waiting:
            return
        await asyncio.sleep(0)
    raise AssertionError(f"{waiting} should be in line")


async def left(limiter: RateLimiter, family: str = "m") -> dict[str, float]:
    """What is left of each metric."""
    from paceline.compat.token_throttle._plan import awaited

    return {bucket[0]: amount for bucket, amount in (await awaited(limiter._engine._families[family].left())).items()}


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
    limits = {"tokens": 1_000.0}
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


async def test_a_limit_changed_by_one_process_holds_for_all(redis_url: str) -> None:
    def made() -> RateLimiter:
        return RateLimiter(config("gpt-4o", tokens=1_000), backend=RedisBackendBuilder(redis_url, key_prefix="p"))

    one, other = made(), made()
    await one.acquire_capacity({"tokens": 1}, "gpt-4o")
    await other.acquire_capacity({"tokens": 1}, "gpt-4o")
    await one.set_max_capacity("gpt-4o", "tokens", 60, 100)
    deadline = time.monotonic() + 10
    while (await left(other, "gpt-4o"))["tokens"] > 100:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
    with pytest.raises(ValueError, match="can never grant more than 100"):
        await other.acquire_capacity({"tokens": 500}, "gpt-4o")


async def test_two_processes_share_a_server(redis_url: str) -> None:
    limiter = RateLimiter(config("m", tokens=1_000), backend=RedisBackendBuilder(redis_url, key_prefix="p"))
    held = await limiter.acquire_capacity({"tokens": 600}, "m")
    program = """
import asyncio, pickle, sys
from paceline.compat.token_throttle import *
quotas = UsageQuotas([Quota(metric="tokens", limit=1_000)])
async def main():
    limiter = RateLimiter(PerModelConfig(quotas=quotas, model_family="m"), backend=RedisBackendBuilder(sys.argv[1], key_prefix="p"))
    try:
        await limiter.acquire_capacity({"tokens": 600}, "m", timeout=0)
    except TimeoutError:
        print("full", flush=True)
    await limiter.refund_capacity({"tokens": 100}, pickle.loads(bytes.fromhex(sys.argv[2])))
    await limiter.acquire_capacity({"tokens": 600}, "m", timeout=5)
    print("granted", flush=True)
asyncio.run(main())
"""
    command = [sys.executable, "-c", program, redis_url, pickle.dumps(held).hex()]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert ran.stdout.split() == ["full", "granted"], ran.stderr
    with pytest.raises(UnknownReservationError, match="^reservation has ended, or was never acquired on this store"):
        await limiter.refund_capacity({"tokens": 100}, held)


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


async def test_callbacks() -> None:
    told: list[tuple[str, dict[str, Any]]] = []

    def note(slot: str) -> Any:
        async def callback(**facts: Any) -> None:
            told.append((slot, facts))

        return callback

    slots = ["on_wait_start", "after_wait_end_consumption", "on_capacity_consumed", "on_capacity_refunded"]
    slots += ["on_missing_consumption_data", "on_lifecycle_event"]
    callbacks = RateLimiterCallbacks(**{slot: note(slot) for slot in slots})
    limiter = memory(config(tokens=100, per_seconds=1), callbacks=callbacks)
    async with limiter.reserve({"tokens": 100}, "m") as handle:
        handle.set_actual_usage({"tokens": 90})
    await limiter.acquire_capacity({"tokens": 80}, "m")
    assert [slot for slot, _ in told] == [
        "on_missing_consumption_data",
        "on_capacity_consumed",
        "on_lifecycle_event",
        "on_capacity_refunded",
        "on_lifecycle_event",
        "on_wait_start",
        "after_wait_end_consumption",
        "on_capacity_consumed",
        "on_lifecycle_event",
    ]
    facts = [facts for _, facts in told]
    assert facts[0] == {"model_family": "m", "usage_metric": "tokens", "per_seconds": 1}
    assert facts[1]["preconsumption_capacities"] == {("tokens", 1): 100.0}
    assert facts[1]["postconsumption_capacities"] == {("tokens", 1): 0.0}
    assert facts[2]["event"].event_type == "capacity_consumed"
    assert facts[3]["refunded_usage"] == {"tokens": 10.0}
    assert facts[6]["wait_time_s"] > 0
    assert facts[6]["usage"] == {"tokens": 80.0}


async def test_a_callback_that_fails_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async def broken(**facts: Any) -> None:
        raise KeyError

    async def slow(**facts: Any) -> None:
        await asyncio.Event().wait()

    callbacks = RateLimiterCallbacks(on_capacity_consumed=broken, on_lifecycle_event=slow)
    limiter = memory(config(tokens=100), callbacks=callbacks, callback_timeout=0.05)
    await limiter.acquire_capacity({"tokens": 80}, "m")
    said = [record.getMessage() for record in caplog.records]
    assert [message for message in said if "callback" in message] == [
        "the callback on_capacity_consumed raised; it goes on without it",
        "the callback on_lifecycle_event took longer than 0.05 s; it goes on without it",
    ]


async def test_logging_callbacks(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="paceline")
    limiter = memory(config(tokens=100), callbacks=create_logging_callbacks(capacity_consumed="INFO", capacity_refunded=None))
    held = await limiter.acquire_capacity({"tokens": 80}, "m")
    await limiter.refund_capacity({"tokens": 80}, held)
    said = [record.getMessage().split(":")[0] for record in caplog.records]
    assert [slot for slot in said if slot.startswith("on_")] == ["on_capacity_consumed"]
    with pytest.raises(ValueError, match="^'LOUD' is not a level of logging$"):
        create_sync_logging_callbacks(wait_start="LOUD")


def test_threads() -> None:
    told: list[str] = []
    callbacks = SyncRateLimiterCallbacks(on_wait_start=lambda **facts: told.append(facts["model_family"]))
    limiter = SyncRateLimiter(config(tokens=1_000), backend=SyncMemoryBackendBuilder(), callbacks=callbacks)
    first = limiter.acquire_capacity({"tokens": 1_000}, "m")
    granted: list[CapacityReservation] = []
    thread = threading.Thread(target=lambda: granted.append(limiter.acquire_capacity({"tokens": 900}, "m")))
    thread.start()
    deadline = time.monotonic() + 5
    while not told:
        assert time.monotonic() < deadline
        time.sleep(0.001)
    assert granted == []
    limiter.refund_capacity({"tokens": 10}, first)
    thread.join(5)
    assert [one.usage["tokens"] for one in granted] == [900.0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with limiter.reserve({"tokens": 10}, "m") as handle:
            handle.set_actual_usage({"tokens": 5})
    limiter.close()


def test_a_storm_of_threads_never_exceeds_the_quota() -> None:
    limiter = SyncRateLimiter(config(requests=50, per_seconds=3_600), backend=SyncMemoryBackendBuilder())
    counted: list[bool] = []

    def work() -> None:
        for _ in range(20):
            try:
                limiter.acquire_capacity({"requests": 1}, "m", timeout=0)
                counted.append(True)
            except TimeoutError:
                counted.append(False)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(counted) == 50


@pytest.mark.parametrize(
    ("model", "family"),
    [
        ("gpt-4.1", "gpt-4.1"),
        ("openai/gpt-4o-2024-08-06", "gpt-4o"),
        ("gpt-4o-20241203", "gpt-4o"),
        ("gpt-4-0613", "gpt-4"),
        ("gpt-4-1106-preview", "gpt-4"),
        ("gpt-4-turbo-preview", "gpt-4-turbo"),
        ("ft:gpt-4o-mini-2024-07-18:org::abc", "gpt-4o-mini"),
        ("gpt-3.5-turbo-16k-0613", "gpt-3.5-turbo-16k"),
        ("o1-preview-2024-09-12", "o1"),
        ("o3-mini", "o3-mini"),
        ("gpt-4o-audio-preview-2024-10-01", "gpt-4o-audio"),
        ("chatgpt-4o-latest", "chatgpt-4o-latest"),
    ],
)
def test_families(model: str, family: str) -> None:
    """As token-throttle 14.0.0 names them."""
    assert openai_model_family_getter(model) == family


def test_counting() -> None:
    class Words:
        def encode(self, text: str) -> list[str]:
            return text.split()

    body: dict[str, Any] = {"messages": [{"role": "user", "content": "one two three"}], "max_tokens": 100}
    assert OpenAIUsageCounter(lambda model: Words())(model="x", **body) == {"tokens": 106.0, "requests": 1.0}
    assert 100 < OpenAIUsageCounter()(model="gpt-4o", **body)["tokens"] < 120
    with pytest.raises(ValueError, match="^Malformed fine-tuned model id: 'ft:gpt-4o'"):
        openai_model_family_getter("ft:gpt-4o")


async def test_requests_are_counted_and_topped_up() -> None:
    quotas = UsageQuotas([Quota(metric="tokens", limit=1_000), Quota(metric="requests", limit=10)])
    limiter = memory(PerModelConfig(quotas=quotas, usage_counter=OpenAIUsageCounter()))
    request: dict[str, Any] = {"model": "gpt-4o", "input": "Hi", "max_output_tokens": 100}
    held = await limiter.acquire_capacity_for_request(**request, extra_usage={"tokens": 50})
    assert 150 < held.usage["tokens"] < 170
    with pytest.raises(ValueError, match="^extra_usage names usd, which the usage_counter did not count"):
        await limiter.acquire_capacity_for_request(**request, extra_usage={"usd": 1})
    await limiter.refund_capacity_from_response(held, usage={"total_tokens": 7})
    assert 990 <= (await left(limiter, "gpt-4o"))["tokens"] <= 1_000


def test_what_is_handed_out_is_not_changed() -> None:
    usage = frozen_usage({"tokens": 1})
    with pytest.raises(TypeError):
        usage["tokens"] = 2
    assert pickle.loads(pickle.dumps(usage)) == usage == {"tokens": 1.0}
    assert len({usage, frozen_usage({"tokens": 1})}) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_is_told(redis_server: Server) -> None:
    program = """
import os, sys
from paceline.compat.token_throttle import *
def made(backend): return SyncRateLimiter(PerModelConfig(quotas=UsageQuotas([Quota(metric="tokens", limit=100)])), backend=backend)
memory, shared = made(SyncMemoryBackendBuilder()), made(SyncRedisBackendBuilder(sys.argv[1], key_prefix="p"))
for limiter in (memory, shared): limiter.acquire_capacity({"tokens": 30}, "m")
if os.fork() == 0:
    try:
        memory.acquire_capacity({"tokens": 1}, "m")
    except RuntimeError as error:
        print(type(error).__name__, flush=True)
    shared.acquire_capacity({"tokens": 60}, "m", timeout=5)
    print("shared", flush=True)
    try:
        shared.acquire_capacity({"tokens": 50}, "m", timeout=0)
    except TimeoutError:
        print("full", flush=True)
    os._exit(0)
os.wait()
"""
    command = [sys.executable, "-c", program, redis_server.url()]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert ran.stdout.split() == ["ForkedStore", "shared", "full"], ran.stderr
