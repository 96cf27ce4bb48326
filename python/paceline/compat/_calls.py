"""Permits of callers that hold no permit, only a name of their call: kept until they say what it used, or for so long."""

from __future__ import annotations

import math
import threading
import time
import uuid
import weakref
from itertools import islice

import paceline


class Calls:
    """Permits by their ids, each kept for the same time; what is not settled by then counts as having used all it reserved.

    Args:
        seconds: how long each is kept.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._permits: dict[str, tuple[float, paceline.Permit]] = {}
        weakref.finalize(self, _spend, self._permits)

    def keep(self, permit: paceline.Permit) -> str:
        """Keeps a permit, and returns its id. Some of those whose time has passed are ended."""
        # The time that counts is kept here: a lease would warn of each call that nobody settles.
        permit.renew(math.inf)
        now, call = time.monotonic(), name_of(permit)
        with self._lock:
            past = [known for known, (until, _) in islice(self._permits.items(), 16) if until < now]
            ended = [self._permits.pop(known)[1] for known in past]
            self._permits[call] = now + self._seconds, permit
        for one in ended:
            one.settle()
        return call

    def take(self, call: str | None = None) -> paceline.Permit | None:
        """Returns a permit to be ended, the oldest where none is named; ``None`` where it is not kept."""
        with self._lock:
            if call is None:
                call = next(iter(self._permits), "")
            return self._permits.pop(call, (0.0, None))[1]

    def __contains__(self, call: str) -> bool:
        return call in self._permits


def name_of(permit: paceline.Permit) -> str:
    """Returns the name of a call: its permit's id, and one of its own where the permit counts nowhere and has none."""
    return permit.id if permit.granted_via in ("ledger", "local") else uuid.uuid4().hex


def _spend(permits: dict[str, tuple[float, paceline.Permit]]) -> None:
    for _, permit in list(permits.values()):
        permit.settle()
