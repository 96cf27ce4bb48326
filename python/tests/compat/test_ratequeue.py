"""The Python examples of RateQueue's public pages, with the import changed and the limits in a file, and what programs rely on.

The hosted service and its package are not here to be run: the examples are those of its pages on Python, on queueing, on
lanes, on concurrency, on limits by load and on several limits, as read on 2026-11-22.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openai import AsyncOpenAI

import paceline
from paceline.compat import ratequeue

_made = iter(range(1_000))

LIMITS = """\
resources:
  openai-gpt4:
    requests_per_minute: 500
    tokens_per_minute: 100_000
    concurrent_requests: 20
  openai:
    tokens_per_minute: 10_000
    lanes:
      "*": {max_head_start: 24h}
  anthropic-claude:
    requests_per_minute: 1_000
    tokens_per_minute: 200_000
    concurrent_requests: 10
  postgres-pool:
    concurrent_requests: 10
  downstream-api:
    concurrent_requests: 1
    lanes:
      "*": {max_head_start: 24h}
  uploads:
    bytes_per_minute: 1_000_000
"""


@pytest.fixture(autouse=True)
def limits(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """The limits that the pages configure in the dashboard, in a file; a memory of each test's own."""
    (tmp_path / "limits.yaml").write_text(LIMITS)
    monkeypatch.setenv("PACELINE_CONFIG", str(tmp_path / "limits.yaml"))
    monkeypatch.setenv("PACELINE_STORE", f"memory://ratequeue-{next(_made)}")
    monkeypatch.setenv("RATEQUEUE_API_KEY", "key")
    ratequeue.configure()
    yield
    ratequeue.configure()


def client(url: str) -> AsyncOpenAI:
    return AsyncOpenAI(base_url=url, api_key="none")


def state(resource: str) -> dict[str, Any]:
    """What the ledger knows of a resource, and its limits by metric."""
    account = ratequeue._slot._queue(None).limiter.snapshot().wait()[resource]
    return {**account["resources"][resource], **{limit["metric"]: limit for limit in account["limits"].values()}}


async def queued(resource: str, waiting: int) -> None:
    for _ in range(2_000):
        if state(resource)["waiting"] == waiting:
            return
        await asyncio.sleep(0)
    raise AssertionError(f"{waiting} should be in line")


async def test_basic_usage(openai_url: str) -> None:
    """Python SDK, "Basic Usage"."""
    import os

    import paceline.compat.ratequeue.aio as rq

    RATEQUEUE_API_KEY = os.environ["RATEQUEUE_API_KEY"]
    openai_client = client(openai_url)

    def estimate_tokens(messages: list[Any]) -> int:
        return sum(len(message["content"]) // 4 for message in messages) + 100

    async def call_openai(messages: list[Any], priority: int = 10) -> Any:
        async with rq.acquire(
            "openai-gpt4",
            load=estimate_tokens(messages),  # counts against token budget
            priority=priority,
            api_key=RATEQUEUE_API_KEY,
        ):
            assert state("openai-gpt4")["concurrent_requests"]["used"] == 1
            return await openai_client.chat.completions.create(model="gpt-4o", messages=messages)

    response = await call_openai([{"role": "user", "content": "How many moons has Mars?"}])

    assert response.choices
    after = state("openai-gpt4")
    assert (after["tokens"]["used"], after["requests"]["used"], after["concurrent_requests"]["used"]) == (106, 1, 0)


def test_celery_integration(openai_url: str) -> None:
    """Python SDK, "Celery Integration": tasks with loops of their own, run here without a broker."""
    import asyncio
    import os

    from celery import Celery

    import paceline.compat.ratequeue.aio as rq

    app = Celery("tasks")
    app.conf.task_always_eager = True
    RATEQUEUE_API_KEY = os.environ["RATEQUEUE_API_KEY"]

    def get_prompt(record_id: str) -> str:
        return f"Enrich {record_id}"

    @app.task  # type: ignore[untyped-decorator]
    def enrich_record(record_id: str, priority: int = 10) -> str:
        async def _run() -> Any:
            async with rq.acquire("openai", load=2000, priority=priority, api_key=RATEQUEUE_API_KEY):
                return await client(openai_url).chat.completions.create(
                    model="gpt-4o",
                    messages=[{"role": "user", "content": get_prompt(record_id)}],
                )

        return str(asyncio.run(_run()).choices[0].message.content)

    results: list[Any] = []
    threads = [threading.Thread(target=lambda i=i: results.append(enrich_record.delay(f"record-{i}"))) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    results.append(enrich_record.delay("last", priority=100))
    assert [result.traceback for result in results] == [None] * 4
    assert 7_900 <= state("openai")["tokens"]["used"] <= 8_000


async def test_queueing_by_priority() -> None:
    """Queueing: the user's call goes before the batch's, though it came later."""
    import paceline.compat.ratequeue.aio as rq

    RATEQUEUE_API_KEY = os.environ["RATEQUEUE_API_KEY"]
    went: list[str] = []

    async def call_openai(prompt: str) -> None:
        went.append(prompt)

    async def user() -> None:
        # High-priority user request
        async with rq.acquire("openai", load=2000, priority=100, api_key=RATEQUEUE_API_KEY):
            await call_openai("user")

    async def batch() -> None:
        # Lower-priority background job
        async with rq.acquire("openai", load=5000, priority=10, api_key=RATEQUEUE_API_KEY):
            await call_openai("batch")

    async with rq.acquire("openai", load=10_000) as slot:
        tasks = [asyncio.create_task(batch())]
        await queued("openai", 1)
        tasks.append(asyncio.create_task(user()))
        await queued("openai", 2)
        slot.settle(tokens=3_000)
    await asyncio.gather(*tasks)
    assert went == ["user", "batch"]


async def test_concurrency_limiting() -> None:
    """Concurrency: at most ten at once, and the next goes when a slot is released."""
    import paceline.compat.ratequeue.aio as rq

    RATEQUEUE_API_KEY = os.environ["RATEQUEUE_API_KEY"]
    most, running = 0, 0

    async def execute_query() -> None:
        nonlocal most, running
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1

    async def query() -> None:
        # Max 10 concurrent requests, globally enforced across all workers
        async with rq.acquire("postgres-pool", api_key=RATEQUEUE_API_KEY):
            await execute_query()
            # request slot released automatically on context exit

    await asyncio.gather(*(query() for _ in range(50)))
    assert most <= 10
    assert state("postgres-pool")["concurrent_requests"]["used"] == 0


async def test_load_scoped_limits() -> None:
    """Limits by load: tokens, and any other unit."""
    import paceline.compat.ratequeue.aio as rq

    RATEQUEUE_API_KEY = os.environ["RATEQUEUE_API_KEY"]

    def estimate_tokens(messages: list[Any]) -> int:
        # rough estimate: ~4 chars per token
        return sum(len(m["content"]) // 4 for m in messages) + 100

    async def call_llm(messages: list[Any]) -> str:
        estimated = estimate_tokens(messages)

        async with rq.acquire(
            "anthropic-claude",
            load=estimated,  # this is the token weight
            api_key=RATEQUEUE_API_KEY,
        ):
            return "answer"

    assert await call_llm([{"role": "user", "content": "x" * 400}]) == "answer"
    assert state("anthropic-claude")["tokens"]["used"] == 200
    async with rq.acquire("uploads", load=1_000_000):
        pass
    assert state("uploads")["bytes"]["used"] == 1_000_000
    with pytest.raises(paceline.AcquireTimeout):
        async with rq.acquire("uploads", timeout=0.05):
            pass


async def test_lanes() -> None:
    """Lanes: a burst of a batch does not starve the users."""
    import paceline.compat.ratequeue.aio as rq

    went: list[str] = []

    async def call(lane: str, priority: int) -> None:
        async with rq.acquire("downstream-api", lane=lane, priority=priority, api_key="key"):
            went.append(lane)

    async with rq.acquire("downstream-api"):
        tasks = [asyncio.create_task(call("batch", 1)) for _ in range(20)]
        await queued("downstream-api", 20)
        tasks += [asyncio.create_task(call("user-api", 100)) for _ in range(3)]
        await queued("downstream-api", 23)
    await asyncio.gather(*tasks)
    assert set(went[:6]) == {"user-api", "batch"}, went
    assert went[:6].count("user-api") == 3, "in turns"


def test_threads() -> None:
    import paceline.compat.ratequeue as rq

    with rq.acquire("openai-gpt4", load=100, api_key="key") as slot:
        assert isinstance(slot, paceline.Permit)
        slot.settle(tokens=40)
    assert state("openai-gpt4")["tokens"]["used"] == 40
    again = rq.acquire("openai-gpt4", load=100)
    with again:
        pass
    with pytest.raises(RuntimeError, match=r"^this slot has been used: call acquire\(\) again for another$"):
        with again:
            pass


async def test_an_exception_releases_the_slot() -> None:
    with pytest.raises(KeyError):
        async with ratequeue.acquire("postgres-pool"):
            raise KeyError
    assert state("postgres-pool")["concurrent_requests"]["used"] == 0


async def test_a_cancelled_wait_leaves_nothing() -> None:
    async def call() -> None:
        async with ratequeue.acquire("downstream-api"):
            pass

    async with ratequeue.acquire("downstream-api"):
        task = asyncio.create_task(call())
        await queued("downstream-api", 1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert state("downstream-api")["waiting"] == 0
    assert state("downstream-api")["concurrent_requests"]["used"] == 0


async def test_leaving_without_settling_is_no_cause_for_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    async with ratequeue.acquire("openai-gpt4", load=10):
        pass
    assert [record.getMessage() for record in caplog.records if "openai-gpt4" in record.getMessage()] == []


async def test_priorities_that_have_no_effect_are_said_once(caplog: pytest.LogCaptureFixture) -> None:
    ratequeue.configure(config={"resources": {"plain": {"concurrent_requests": 1}}}, url="memory://ratequeue-plain")
    for _ in range(2):
        async with ratequeue.acquire("plain", priority=100):
            pass
    assert [record.getMessage() for record in caplog.records if "plain" in record.getMessage()] == [
        'plain: priority=100 has no effect, because no lane allows a head start; add `lanes: {"*": {max_head_start: 24h}}` '
        "to the resource"
    ]


async def test_misuse() -> None:
    with pytest.raises(paceline.UnknownResource, match="nothing"):
        async with ratequeue.acquire("nothing"):
            pass
    with pytest.raises(ValueError, match="^openai-gpt4 limits tokens, and this call names none"):
        async with ratequeue.acquire("openai-gpt4"):
            pass
    with pytest.raises(paceline.Impossible, match="20000 wanted of limit openai/tokens_per_minute"):
        async with ratequeue.acquire("openai", load=20_000):
            pass
    with pytest.raises(paceline.ConfigError, match="^ftp://example.com names no store"):
        ratequeue.acquire("openai", url="ftp://example.com")
    os.environ.pop("PACELINE_CONFIG")
    ratequeue.configure()
    with pytest.raises(paceline.ConfigError, match="set PACELINE_CONFIG"):
        ratequeue.acquire("openai")


async def test_processes_share_a_server(redis_url: str) -> None:
    program = """
import asyncio, sys, time
import paceline.compat.ratequeue.aio as rq
rq.configure(url=sys.argv[1])
async def main():
    async with rq.acquire("downstream-api", api_key="key"):
        print("in", flush=True)
        sys.stdin.readline()
    print("out", flush=True)
asyncio.run(main())
"""
    ratequeue.configure(url=redis_url)
    command = [sys.executable, "-c", program, redis_url]
    other = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert other.stdin is not None
    assert other.stdout is not None
    assert other.stdout.readline() == "in\n"
    with pytest.raises(paceline.AcquireTimeout):
        async with ratequeue.acquire("downstream-api", timeout=0.1):
            pass
    started = time.monotonic()
    other.stdin.write("\n")
    other.stdin.flush()
    async with ratequeue.acquire("downstream-api"):
        assert time.monotonic() - started < 5
    assert other.stdout.read() == "out\n"
    other.wait(10)
