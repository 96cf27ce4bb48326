"""Slots of named resources: granted in line, released when their block is left."""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import paceline

logger = logging.getLogger("paceline")

DEFAULT_PRIORITY = 10
SECONDS_A_POINT = 60.0
"""How much earlier than it came a call counts for each point of its priority."""
TOKENS = frozenset({"tokens", "input_tokens", "output_tokens", "uncached_tokens", "uncached_input_tokens"})
CALLS = frozenset({"requests", "concurrent_requests"})


class _Queue:
    """The limiter of one store, and what is known of its resources."""

    def __init__(self, config: Any, url: str | None) -> None:
        self.limiter = paceline.Limiter(config=config, store=url)
        # Without a lane that allows it, the ledger counts no head start, and priorities have no effect.
        self.has_priorities = "max_head_start" in _text(config)
        self.loads: dict[str, tuple[str, ...]] = {}
        self.warned: set[str] = set()

    def learn(self, resource: str, accounts: Mapping[str, Any]) -> None:
        """Notes which metrics of a resource its calls' load counts for: all but those that count calls."""
        for account in accounts.values():
            known = account["resources"].get(resource)
            if known is not None:
                metrics = (account["limits"][name]["metric"] for name in known["limits"])
                self.loads[resource] = tuple(metric for metric in dict.fromkeys(metrics) if metric not in CALLS)

    def demand(self, resource: str, load: int | None) -> dict[str, Any]:
        metrics = self.loads.get(resource, ())
        if load is None:
            return {metric: 1 for metric in metrics if metric not in TOKENS}
        return {metric: load for metric in metrics}

    def place(self, resource: str, lane: str | None, priority: int) -> dict[str, Any]:
        """Returns the lane of a call, and its head start."""
        if self.has_priorities:
            return {"lane": lane or "default", "head_start": max(priority, 0) * SECONDS_A_POINT}
        if priority != DEFAULT_PRIORITY and resource not in self.warned:
            self.warned.add(resource)
            logger.warning(
                '%s: priority=%s has no effect, because no lane allows a head start; add `lanes: {"*": {max_head_start: '
                "24h}}` to the resource",
                resource,
                priority,
            )
        return {"lane": lane}


_lock = threading.Lock()
_queues: dict[str | None, _Queue] = {}
_said: dict[str, Any] = {"config": None, "url": None}


def configure(*, config: Any = None, url: str | None = None) -> None:
    """Says where limits come from, where the environment does not.

    Args:
        config: a path, YAML text or a mapping; ``PACELINE_CONFIG`` names a file otherwise.
        url: the store, such as ``redis://localhost:6379``; ``PACELINE_STORE`` otherwise, else this process alone.
    """
    with _lock:
        _said.update(config=config, url=url)
        _queues.clear()


def _queue(url: str | None) -> _Queue:
    url = url or _said["url"]
    with _lock:
        if url not in _queues:
            _queues[url] = _Queue(_said["config"], url)
        return _queues[url]


def acquire(
    resource_name: str,
    *,
    load: int | None = None,
    priority: int = DEFAULT_PRIORITY,
    lane: str | None = None,
    api_key: str | None = None,
    timeout: float | None = None,
    url: str | None = None,
) -> Slot:
    """Returns a slot of a resource, to be entered by ``with`` or ``async with``.

    Args:
        resource_name: as the configuration names it.
        load: how much the call weighs against all limits that do not count calls, such as its tokens. Unsaid it is 1;
            tokens are what earlier calls used.
        priority: higher goes first. A point counts as a minute of waiting, so that nobody waits for ever; it needs a lane
            with ``max_head_start`` in the configuration.
        lane: traffic that takes its turns apart from that of other lanes.
        api_key: of the hosted service; it is not looked at.
        timeout: how long to wait in line, in seconds; no bound where it is ``None``.
        url: the store of this slot, where it is another than ``configure`` or ``PACELINE_STORE`` says.

    Raises:
        paceline.ConfigError: there is no configuration, or no such store.
        paceline.UnknownResource: (on entering) the configuration does not name the resource.
        paceline.Busy: (on entering) the time-out passed, or nobody may wait.

    Example:
        >>> configure(config={"resources": {"postgres-pool": {"concurrent_requests": 10}}}, url="memory://example")
        >>> with acquire("postgres-pool") as slot:
        ...     slot.resource
        'postgres-pool'
    """
    del api_key
    return Slot(_queue(url), resource_name, load, priority, lane, timeout)


class Slot:
    """A slot of a resource while its block is open; what it yields is a ``paceline.Permit``, to be settled at will."""

    def __init__(
        self, queue: _Queue, resource: str, load: int | None, priority: int, lane: str | None, timeout: float | None
    ) -> None:
        self._queue = queue
        self._resource = queue.limiter.resolve(resource) or resource
        self._asked = (load, priority, lane, timeout)
        self._acquire: paceline.Acquire[paceline.Permit] | None = None
        self._permit: paceline.Permit | None = None

    def _ask(self) -> paceline.Acquire[paceline.Permit]:
        if self._acquire is not None:
            raise RuntimeError("this slot has been used: call acquire() again for another")
        load, priority, lane, timeout = self._asked
        place = self._queue.place(self._resource, lane, priority)
        demand = self._queue.demand(self._resource, load)
        self._acquire = self._queue.limiter.acquire(self._resource, timeout=timeout, **place, **demand)
        return self._acquire

    def __enter__(self) -> paceline.Permit:
        if self._resource not in self._queue.loads:
            self._queue.learn(self._resource, self._queue.limiter.snapshot().wait())
        self._permit = self._ask().__enter__()
        return self._permit

    def __exit__(self, *error: Any) -> None:
        self._release()
        if self._acquire is not None:
            self._acquire.__exit__(*error)

    async def __aenter__(self) -> paceline.Permit:
        if self._resource not in self._queue.loads:
            self._queue.learn(self._resource, await self._queue.limiter.snapshot())
        self._permit = await self._ask().__aenter__()
        return self._permit

    async def __aexit__(self, *error: Any) -> None:
        self._release()
        if self._acquire is not None:
            await self._acquire.__aexit__(*error)

    def _release(self) -> None:
        # A slot is not settled in RateQueue: what its block did not say counts as asked for, without a warning.
        if self._permit is not None and not self._permit.settled:
            self._permit.settle()


def _text(config: Any) -> str:
    """Returns a configuration as text."""
    if config is None:
        config = Path(os.environ["PACELINE_CONFIG"]) if "PACELINE_CONFIG" in os.environ else ""
    if isinstance(config, Mapping):
        return json.dumps(config, default=str)
    if isinstance(config, str) and ("\n" in config or not config):
        return config
    return Path(config).read_text()
