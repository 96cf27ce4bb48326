"""What the tests of wrapped clients share: a server that answers as it is told, and a look at what is held."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from .scripted import Scripted


@pytest.fixture
def scripted() -> Iterator[Scripted]:
    """A server that answers as it is told."""
    server = Scripted()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server
    server.go.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def held() -> Callable[[Any], int]:
    """Counts the permits that are out."""
    return lambda limiter: len(limiter.permits().wait())


@pytest.fixture
def used() -> Callable[..., int]:
    """Says how much of a limit is used: ``used(limiter, "tokens_per_minute")``."""

    def look(limiter: Any, limit: str) -> int:
        for account in limiter.snapshot().wait().values():
            for name, view in account["limits"].items():
                if name.rpartition("/")[2] == limit:
                    return int(view["used"])
        raise AssertionError(f"no limit {limit}")

    return look


@pytest.fixture(autouse=True)
def _each_test_warns_anew() -> None:
    """Warnings are given once a process; each test is to see its own."""
    from paceline import _exchange

    _exchange._warned.clear()
