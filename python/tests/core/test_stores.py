"""Stores that processes share without Redis: a control plane, and ``local://`` among the processes of one user."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import paceline
from core.conftest import SOURCES, until

LIMITS = """
openai:
  gpt-4o: {tokens_per_hour: 10_000, concurrent_requests: 2}
"""


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """Starts the control plane that comes with the package, and returns its URL."""
    (tmp_path / "limits.yaml").write_text(LIMITS)
    url = f"127.0.0.1:{_free_port()}"
    command = [sys.executable, "-m", "paceline", "serve", "--memory", "--listen", url, "--config", str(tmp_path / "limits.yaml")]
    log = (tmp_path / "log").open("w+")
    environment = {**os.environ, "PYTHONPATH": SOURCES}
    process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    end = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(tuple(url.split(":")), 1).close()
            break
        except OSError:
            assert process.poll() is None and time.monotonic() < end, (tmp_path / "log").read_text()
            time.sleep(0.02)
    yield f"http://{url}"
    process.terminate()
    assert process.wait(20) == 0, (tmp_path / "log").read_text()


def test_a_server_tells_its_resources_and_shares_its_line(server: str, run: Any) -> None:
    limiter = paceline.Limiter(store=server)
    held = [limiter.acquire("openai/gpt-4o", tokens=1_000).wait() for _ in range(2)]
    with pytest.raises(paceline.Busy):
        limiter.try_acquire("openai/gpt-4o", tokens=1_000).wait()
    held[0].settle(tokens=400).wait()
    out = run(
        """
        import sys, paceline
        limiter = paceline.Limiter(store=sys.argv[1])
        with limiter.acquire("openai/gpt-4o", tokens=500, timeout=10) as permit:
            print(permit.granted_via)
            print(permit.settle(tokens=100).wait()["returned"]["tokens"])
        """,
        server,
    )
    assert out.split() == ["ledger", "400"]
    left = limiter.snapshot().wait()["openai"]["limits"]["openai/gpt-4o/tokens_per_hour"]["left"]
    assert left in range(8_490, 8_520), left
    held[1].give_back().wait()
    limiter.close()


def test_who_waits_at_a_server_is_granted_by_another_process(server: str) -> None:
    limiter = paceline.Limiter(store=server)
    held = [limiter.acquire("openai/gpt-4o", tokens=1).wait() for _ in range(2)]

    async def wait() -> str:
        asked = asyncio.create_task(limiter.acquire("openai/gpt-4o", tokens=1, timeout=10))
        while not (await limiter.snapshot())["openai"]["resources"]["openai/gpt-4o"]["waiting"]:
            await asyncio.sleep(0.01)
        other = paceline.Limiter(store=server.replace("127.0.0.1", "localhost"))
        await other.settle(held[0].id, tokens=1)
        permit = await asked
        await permit.settle(tokens=1)
        other.close()
        return permit.granted_via

    assert asyncio.run(wait()) == "ledger"
    limiter.close()


def test_a_server_that_is_not_there_is_said(make: Callable[..., paceline.Limiter]) -> None:
    with pytest.raises(paceline.StoreUnavailable, match="127.0.0.1"):
        paceline.Limiter(store=f"http://127.0.0.1:{_free_port()}", store_timeout=0.5)
    with pytest.raises(paceline.ConfigError, match="no limits"):
        paceline.Limiter(store="redis://127.0.0.1:1")


WORKER = """
    import sys, paceline
    limiter = paceline.Limiter("test/model", concurrency=1, store=sys.argv[1], session_timeout=1)
    print("ready", flush=True)
    for line in sys.stdin:
        if line.strip() == "acquire":
            permit = limiter.acquire(timeout=20).wait()
            print("granted", flush=True)
        else:
            permit.settle().wait()
            print("settled", flush=True)
"""


def test_processes_of_a_host_share_limits_with_nothing_installed(script: Any) -> None:
    url = f"local://test-{uuid.uuid4().hex[:12]}"
    one, other = script(WORKER, url), script(WORKER, url)

    def ask(process: Any, line: str) -> None:
        process.stdin.write(line + "\n")
        process.stdin.flush()

    def hear(process: Any) -> str:
        return str(process.stdout.readline()).strip()

    assert [hear(one), hear(other)] == ["ready", "ready"]
    ask(one, "acquire")
    assert hear(one) == "granted"
    ask(other, "acquire")
    ask(one, "settle")
    assert [hear(one), hear(other)] == ["settled", "granted"]
    # Whoever hosts it: when that process is gone the other goes on.
    one.kill()
    one.wait()
    ask(other, "settle")
    assert hear(other) == "settled"
    ask(other, "acquire")
    assert hear(other) == "granted"
    other.stdin.close()
    until(lambda: other.poll() is not None)
    for process in (one, other):
        process.stdout.close()
        process.stderr.close()
        process.stdin.close() if not process.stdin.closed else None
