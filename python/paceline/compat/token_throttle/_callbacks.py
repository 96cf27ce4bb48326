"""What a program is told of, and how it is called."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass, fields
from typing import Any

from paceline.compat.token_throttle._quotas import BucketId, FrozenUsage

logger = logging.getLogger("paceline")

Callback = Callable[..., Awaitable[None]]
SyncCallback = Callable[..., None]


@dataclass(frozen=True, kw_only=True)
class LifecycleEvent:
    """What happened to a reservation: ``capacity_consumed``, ``capacity_refunded`` or ``usage_recorded``."""

    event_type: str
    model_family: str
    timestamp: float
    reservation_id: str | None = None
    request_id: str | None = None
    model_alias: str | None = None
    bucket_ids: frozenset[BucketId] | None = None
    usage: FrozenUsage | None = None


@dataclass(frozen=True, kw_only=True)
class _Callbacks:
    on_wait_start: Any = None
    after_wait_end_consumption: Any = None
    on_capacity_consumed: Any = None
    on_capacity_refunded: Any = None
    on_missing_consumption_data: Any = None
    on_lifecycle_event: Any = None

    def __post_init__(self) -> None:
        for one in fields(self):
            callback = getattr(self, one.name)
            if callback is not None and not callable(callback):
                raise ValueError(f"{one.name} must be callable (got {type(callback).__name__})")


class RateLimiterCallbacks(_Callbacks):
    """Coroutine functions that ``RateLimiter`` calls with keywords.

    - ``on_wait_start(model_family, usage, preconsumption_capacities)``
    - ``after_wait_end_consumption(model_family, usage, preconsumption_capacities, postconsumption_capacities,
      wait_time_s)``
    - ``on_capacity_consumed(model_family, usage, preconsumption_capacities, postconsumption_capacities, current_time)``
    - ``on_capacity_refunded(model_family, reserved_usage, actual_usage, refunded_usage, prerefund_capacities,
      postrefund_capacities)``
    - ``on_missing_consumption_data(model_family, usage_metric, per_seconds)``
    - ``on_lifecycle_event(event)``

    Capacities are what was left of each ``(metric, per_seconds)`` a moment before or after. An exception in a callback is
    logged and stops nothing.
    """


class SyncRateLimiterCallbacks(_Callbacks):
    """Functions that ``SyncRateLimiter`` calls, with the keywords of ``RateLimiterCallbacks``."""


class Call:
    """A call of a callback, awaited or waited for."""

    def __init__(self, slot: str, callback: Any, timeout: float | None, facts: dict[str, Any]) -> None:
        self._slot = slot
        self._callback = callback
        self._timeout = timeout
        self._facts = facts

    def __await__(self) -> Generator[Any, None, None]:
        return self._awaited().__await__()

    async def _awaited(self) -> None:
        try:
            await asyncio.wait_for(self._callback(**self._facts), self._timeout)
        except (asyncio.TimeoutError, TimeoutError):
            self._late()
        except Exception:
            logger.exception("the callback %s raised; it goes on without it", self._slot)

    def wait(self) -> None:
        """Calls it on a thread of its own, so that a callback that hangs holds nobody up for longer than the time-out."""
        if self._timeout is None:
            self._run()
            return
        thread = threading.Thread(target=self._run, name=f"paceline-{self._slot}", daemon=True)
        thread.start()
        thread.join(self._timeout)
        if thread.is_alive():
            self._late()

    def _run(self) -> None:
        try:
            self._callback(**self._facts)
        except Exception:
            logger.exception("the callback %s raised; it goes on without it", self._slot)

    def _late(self) -> None:
        logger.warning("the callback %s took longer than %s s; it goes on without it", self._slot, self._timeout)


def event(kind: str, reservation: Any) -> LifecycleEvent:
    """Returns what happened to a reservation."""
    return LifecycleEvent(
        event_type=kind,
        model_family=reservation.model_family,
        timestamp=time.time(),
        reservation_id=reservation.reservation_id,
        model_alias=reservation.model,
        bucket_ids=reservation.bucket_ids,
        usage=reservation.usage,
    )


def create_logging_callbacks(
    *,
    wait_start: str | None = "DEBUG",
    wait_end_consumption: str | None = "DEBUG",
    capacity_consumed: str | None = "DEBUG",
    capacity_refunded: str | None = "DEBUG",
    missing_consumption_data: str | None = "DEBUG",
) -> RateLimiterCallbacks:
    """Returns callbacks that log on the logger ``paceline``, each at its level; ``None`` for none."""

    def awaited(slot: str, level: str | None) -> Callback | None:
        log = _logging(slot, level)
        if log is None:
            return None

        async def callback(**facts: Any) -> None:
            log(**facts)

        return callback

    return RateLimiterCallbacks(
        on_wait_start=awaited("on_wait_start", wait_start),
        after_wait_end_consumption=awaited("after_wait_end_consumption", wait_end_consumption),
        on_capacity_consumed=awaited("on_capacity_consumed", capacity_consumed),
        on_capacity_refunded=awaited("on_capacity_refunded", capacity_refunded),
        on_missing_consumption_data=awaited("on_missing_consumption_data", missing_consumption_data),
    )


def create_sync_logging_callbacks(
    *,
    wait_start: str | None = "DEBUG",
    wait_end_consumption: str | None = "DEBUG",
    capacity_consumed: str | None = "DEBUG",
    capacity_refunded: str | None = "DEBUG",
    missing_consumption_data: str | None = "DEBUG",
) -> SyncRateLimiterCallbacks:
    """Returns callbacks that log on the logger ``paceline``, each at its level; ``None`` for none."""
    return SyncRateLimiterCallbacks(
        on_wait_start=_logging("on_wait_start", wait_start),
        after_wait_end_consumption=_logging("after_wait_end_consumption", wait_end_consumption),
        on_capacity_consumed=_logging("on_capacity_consumed", capacity_consumed),
        on_capacity_refunded=_logging("on_capacity_refunded", capacity_refunded),
        on_missing_consumption_data=_logging("on_missing_consumption_data", missing_consumption_data),
    )


def _logging(slot: str, level: str | None) -> SyncCallback | None:
    if level is None:
        return None
    number = logging.getLevelName(level)
    if not isinstance(number, int):
        raise ValueError(f"{level!r} is not a level of logging")

    def log(**facts: Any) -> None:
        logger.log(number, "%s: %s", slot, ", ".join(f"{name}={fact}" for name, fact in facts.items()))

    return log
