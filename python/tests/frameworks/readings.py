"""What a limiter holds, read for tests."""

from __future__ import annotations

import gc
import time
from typing import Any


def limit_of(limiter: Any, name: str) -> dict[str, Any]:
    """One limit, as the snapshot shows it."""
    for ledger in limiter.snapshot().wait().values():
        if name in ledger["limits"]:
            return dict(ledger["limits"][name])
    raise AssertionError(f"no limit {name} in {limiter.snapshot().wait()}")


def used(limiter: Any, name: str) -> int:
    """How much of a limit is used."""
    return int(limit_of(limiter, name)["used"])


def in_flight(limiter: Any) -> int:
    """How many permits are open."""
    return len(limiter.permits().wait())


def settles(limiter: Any) -> None:
    """Waits, within bounds, until no permit is open."""
    until = time.monotonic() + 5
    while in_flight(limiter):
        assert time.monotonic() < until, limiter.permits().wait()
        gc.collect()
        time.sleep(0.01)
