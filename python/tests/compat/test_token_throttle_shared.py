"""token-throttle's names in threads and in several processes."""

from __future__ import annotations

import asyncio
import os
import pickle
import random
import subprocess
import sys
import threading
import time
import warnings

import pytest

from paceline.compat.token_throttle import (
    CapacityReservation,
    MemoryBackendBuilder,
    RateLimiter,
    RedisBackendBuilder,
    SyncMemoryBackendBuilder,
    SyncRateLimiter,
    SyncRateLimiterCallbacks,
    UnknownReservationError,
)

from .conftest import Server
from .throttling import config, left, queued


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


@pytest.mark.parametrize("store", ["memory", "redis"])
async def test_a_storm_of_cancellations_leaves_nothing(store: str, redis_url: str) -> None:
    seen = random.Random(1)
    backend = MemoryBackendBuilder() if store == "memory" else RedisBackendBuilder(redis_url, key_prefix="storm")
    limiter = RateLimiter(config("m", per_seconds=3_600, tokens=1_000, requests=10_000), backend=backend)

    async def call() -> None:
        asked = {"tokens": seen.randint(1, 900), "requests": 1}
        async with limiter.reserve(asked, "m", usage_on_error={"tokens": 0, "requests": 0}) as handle:
            await asyncio.sleep(seen.random() / 500)
            handle.set_actual_usage({"tokens": 0, "requests": 0})

    calls = [asyncio.create_task(call()) for _ in range(300)]
    for one in calls:
        if seen.random() < 0.4:
            asyncio.get_running_loop().call_later(seen.random() / 5, one.cancel)
    ends = await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), 30)
    assert {type(end) for end in ends} == {type(None), asyncio.CancelledError}
    await queued(limiter, 0)
    assert limiter.snapshot_state()["in_flight_reservations"] == 0
    assert await left(limiter) == {"tokens": 1_000, "requests": 10_000}
