"""What the tests of the doors share: servers on Redis, and clients of a provider on this machine."""

from __future__ import annotations

import asyncio
import inspect
import itertools
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

_numbers = itertools.count(1)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Runs the coroutine functions among the tests of this folder, each on a loop of its own."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    asyncio.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in inspect.signature(pyfuncitem.obj).parameters}))
    return True


@dataclass
class Server:
    """A server on Redis, on this machine."""

    port: int
    process: subprocess.Popen[bytes]

    def url(self) -> str:
        """The URL of a database that no other test uses."""
        return f"redis://127.0.0.1:{self.port}/{next(_numbers)}"


def start_redis() -> Server:
    """Starts a server without persistence, and waits until it answers; the caller ends its process."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--databases", "1000"]
    server = Server(port, subprocess.Popen(command, stdout=subprocess.DEVNULL))
    deadline = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return server
        except OSError:
            assert time.monotonic() < deadline, "redis-server did not start"


def stop_redis(server: Server) -> None:
    """Ends a server at once."""
    server.process.kill()
    server.process.wait()


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Server]:
    """One server for all tests that leave it running."""
    server = start_redis()
    yield server
    stop_redis(server)


@pytest.fixture
def redis_url(redis_server: Server) -> str:
    """The URL of a database of this test."""
    return redis_server.url()


@pytest.fixture
def mortal_redis() -> Iterator[Server]:
    """A server of this test, to be stopped by it."""
    server = start_redis()
    yield server
    stop_redis(server)


@pytest.fixture
def openai_url(provider: Callable[..., object]) -> str:
    """The base URL of a provider of OpenAI's shape without limits."""
    return str(provider().openai)  # type: ignore[attr-defined]
