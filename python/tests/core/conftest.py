"""Fixtures of the core's tests: a redis-server of their own, limiters on each store, and scripts in another process."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import textwrap
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import paceline

SOURCES = str(Path(paceline.__file__).parents[1])


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Starts a redis-server for the session, and returns its URL."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("there is no redis-server")
    port = _free_port()
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--daemonize", "no"]
    server = subprocess.Popen([program, *options], cwd=tmp_path_factory.mktemp("redis"), stdout=subprocess.DEVNULL)
    until = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            break
        except OSError:
            assert time.monotonic() < until, "the redis-server does not answer"
            time.sleep(0.01)
    yield f"redis://127.0.0.1:{port}"
    server.kill()
    server.wait()


@pytest.fixture(params=["memory", "redis"])
def on_store(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The options of a limiter that has a store to itself: in memory, or on a real server."""
    if request.param == "memory":
        return {"private": True}
    return {"store": request.getfixturevalue("redis_server"), "key_prefix": f"t{uuid.uuid4().hex}"}


@pytest.fixture
def on_redis(redis_server: str) -> dict[str, Any]:
    """The options of a limiter that has a ledger on a real server to itself."""
    return {"store": redis_server, "key_prefix": f"t{uuid.uuid4().hex}"}


@pytest.fixture
def make() -> Iterator[Callable[..., paceline.Limiter]]:
    """Makes limiters that are closed with the test: ``make(rpm=3)``, private unless a store is named."""
    made: list[paceline.Limiter] = []

    def limiter(resource: str | None = "test/model", /, **said: Any) -> paceline.Limiter:
        if "store" not in said:
            said.setdefault("private", True)
        if "config" in said:
            resource = None
        made.append(paceline.Limiter(*([resource] if resource else []), **said))
        return made[-1]

    yield limiter
    for one in made:
        one.close()


@pytest.fixture
def clock() -> paceline.ManualClock:
    return paceline.ManualClock()


@pytest.fixture
def script(tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """Starts a program in a process of its own, with its output kept."""

    def start(text: str, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        file = tmp_path / f"program{len(list(tmp_path.iterdir()))}.py"
        file.write_text(textwrap.dedent(text), encoding="utf-8")
        known = {name: value for name, value in os.environ.items() if not name.startswith("PACELINE_")}
        return subprocess.Popen(
            [sys.executable, "-X", "dev", "-W", "ignore::DeprecationWarning", str(file), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.PIPE,
            text=True,
            env={**known, "PYTHONPATH": SOURCES, **environment},
        )

    return start


@pytest.fixture
def run(script: Callable[..., subprocess.Popen[str]]) -> Callable[..., str]:
    """Runs a program that must end well, and say nothing on stderr; returns what it printed."""

    def whole(text: str, *arguments: str, seconds: float = 20, **environment: str) -> str:
        with script(text, *arguments, **environment) as process:
            try:
                out, said = process.communicate(timeout=seconds)
            except subprocess.TimeoutExpired:
                process.kill()
                out, said = process.communicate()
                raise AssertionError(f"the program did not end\n{out}\n{said}") from None
        assert (process.returncode, said) == (0, ""), f"{process.returncode}\n{out}\n{said}"
        return out

    return whole


def until(done: Callable[[], Any], seconds: float = 10.0) -> Any:
    """Looks until something is so, and returns it."""
    end = time.monotonic() + seconds
    while not (value := done()):
        assert time.monotonic() < end, f"it did not become so: {done}"
        time.sleep(0.001)
    return value


def waiting(limiter: paceline.Limiter) -> int:
    """How many wait, in all lines of a limiter."""
    accounts = limiter.snapshot().wait().values()
    return sum(resource["waiting"] for account in accounts for resource in account["resources"].values())


def left(limiter: paceline.Limiter) -> dict[str, int]:
    """What is left of each limit, by metric and window."""
    accounts = limiter.snapshot().wait().values()
    return {name: limit["left"] for account in accounts for name, limit in account["limits"].items()}
