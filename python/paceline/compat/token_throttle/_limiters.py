"""The limiters: one for tasks, one for threads."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from paceline.compat.token_throttle._backends import Backend
from paceline.compat.token_throttle._callbacks import RateLimiterCallbacks, SyncRateLimiterCallbacks, _Callbacks
from paceline.compat.token_throttle._engine import Bounds, Engine
from paceline.compat.token_throttle._plan import awaited, waited
from paceline.compat.token_throttle._quotas import (
    CapacityReservation,
    PerModelConfig,
    PerModelConfigGetter,
    Usage,
    number,
)
from paceline.compat.token_throttle._scope import ReservationScope, SyncReservationScope, looks_swapped


class _Limiter:
    """What both limiters have."""

    _sync = False

    def __init__(
        self,
        cfg: PerModelConfig | PerModelConfigGetter,
        /,
        backend: Backend,
        *,
        callbacks: _Callbacks | None = None,
        callback_timeout: float | None = 30.0,
        close_drain_timeout_seconds: float = 5.0,
        max_model_families: int = 10_000,
        max_metrics_per_family: int = 100,
        max_aliases: int = 10_000,
        max_in_flight_reservations: int = 100_000,
        max_model_family_length: int = 256,
        max_metric_length: int = 64,
        max_alias_length: int = 256,
        max_reservation_lifetime_seconds: float | None = None,
        pid_check: bool = True,
    ) -> None:
        del close_drain_timeout_seconds, max_model_family_length, max_metric_length, max_alias_length, pid_check
        if not isinstance(backend, Backend):
            raise TypeError(
                f"backend must be a MemoryBackendBuilder or RedisBackendBuilder (got {type(backend).__name__}); backends of "
                "one's own are not taken, Paceline's stores are named by a URL"
            )
        if backend.is_sync != self._sync:
            other = "SyncRateLimiter" if backend.is_sync else "RateLimiter"
            raise TypeError(f"{type(backend).__name__} belongs to {other}")
        kind = SyncRateLimiterCallbacks if self._sync else RateLimiterCallbacks
        if callbacks is not None and not isinstance(callbacks, kind):
            raise TypeError(f"callbacks must be {kind.__name__} or None (got {type(callbacks).__name__})")
        if max_reservation_lifetime_seconds is not None:
            number(max_reservation_lifetime_seconds, "max_reservation_lifetime_seconds")
        bounds = Bounds(
            max_model_families,
            max_aliases,
            max_metrics_per_family,
            max_in_flight_reservations,
            max_reservation_lifetime_seconds,
            callback_timeout,
        )
        self._engine = Engine(cfg, backend, callbacks, bounds)

    def snapshot_state(self) -> dict[str, object]:
        """Returns how many reservations are not refunded yet, and how many model families there are."""
        return self._engine.snapshot()

    def clear_unused_model_families(self, unused_for_seconds: int) -> int:
        """Forgets model families that nobody used for so many seconds, and returns how many those were."""
        return self._engine.clear_unused(unused_for_seconds)

    def _set_max(self, model: str, metric: str, per_seconds: int, value: float) -> None:
        if looks_swapped(self._engine, model, metric):
            raise TypeError(
                "set_max_capacity expects (model, metric, per_seconds, value); the first two arguments look swapped."
            )
        self._engine.set_max(model, metric, per_seconds, value)

    def __reduce__(self) -> Any:
        raise TypeError(f"{type(self).__name__} is not pickleable; construct in each worker process.")


class RateLimiter(_Limiter):
    """Reserves capacity before calls and refunds it after them, for tasks.

    Args:
        cfg: the quotas, or a function of a model's name that returns them.
        backend: where they are kept: ``MemoryBackendBuilder()`` or ``RedisBackendBuilder(client, key_prefix=...)``.
        callbacks: what to tell of.
        callback_timeout: how long a callback may take, in seconds.
        max_reservation_lifetime_seconds: how long a reservation can be refunded; an hour, or twice the longest quota's
            time, where it is not said.
        max_model_families, max_metrics_per_family, max_aliases, max_in_flight_reservations: how much is kept; beyond it
            ``CardinalityLimitExceededError``.

    The other keywords tune what there is nothing to tune of.

    Raises:
        ValueError, TypeError: something is of another kind.

    Example:
        >>> import asyncio
        >>> from paceline.compat.token_throttle import MemoryBackendBuilder, Quota, UsageQuotas
        >>> async def main():
        ...     quotas = UsageQuotas([Quota(metric="tokens", limit=1000)])
        ...     async with RateLimiter(PerModelConfig(quotas=quotas), backend=MemoryBackendBuilder()) as limiter:
        ...         reservation = await limiter.acquire_capacity({"tokens": 100}, model="demo")
        ...         await limiter.refund_capacity({"tokens": 60}, reservation)
        ...         return limiter.snapshot_state()["in_flight_reservations"]
        >>> asyncio.run(main())
        0
    """

    async def acquire_capacity(self, usage: Usage, model: str, *, timeout: float | None = None) -> CapacityReservation:
        """Waits in line until all quotas have room, and reserves it.

        Args:
            usage: how much of each metric that has a quota.
            timeout: how long to wait in line, in seconds; 0 for not at all.

        Raises:
            TimeoutError: the time passed, or would.
            ValueError: the usage does not fit the quotas, or is more than one of them can ever hold.
        """
        return await awaited(self._engine.acquire(usage, model, timeout))

    def reserve(
        self, usage: Usage, model: str, *, timeout: float | None = None, usage_on_error: Usage | None = None
    ) -> ReservationScope:
        """Returns a block that reserves on entering and refunds on leaving.

        What its handle is told by ``set_actual_usage`` is what was used; in a block that an exception ends it is
        ``usage_on_error``. Unsaid, all that was reserved counts as used.
        """
        return ReservationScope(self._engine, usage, model, timeout, usage_on_error)

    async def record_usage(self, usage: Usage, model: str) -> CapacityReservation:
        """Counts use at once, below zero if need be, which is earned back."""
        return await awaited(self._engine.record(usage, model))

    async def acquire_capacity_for_request(
        self, *, extra_usage: Mapping[str, float] | None = None, timeout: float | None = None, **kwargs: Any
    ) -> CapacityReservation:
        """Counts a request by the ``usage_counter`` of its model, and reserves as much and ``extra_usage``."""
        return await awaited(self._engine.request(kwargs, extra_usage, timeout))

    async def refund_capacity(self, actual_usage: Usage, reservation: CapacityReservation) -> None:
        """Says what was used: what was reserved beyond goes to whoever is next in line.

        Raises:
            paceline.compat.token_throttle.DuplicateRefundError: it was said before.
            paceline.compat.token_throttle.UnknownReservationError: no such reservation was made, or it ended long ago.
            ValueError: the usage has other metrics than the reservation.
        """
        await awaited(self._engine.refund(actual_usage, reservation))

    async def refund_capacity_from_response(
        self, reservation: CapacityReservation, response: Any = None, *, usage: Any = None
    ) -> None:
        """Refunds by the ``total_tokens`` of a response of OpenAI's shape, or of its usage."""
        await awaited(self._engine.refund_from_response(reservation, response, usage))

    async def set_max_capacity(self, model: str, metric: str, per_seconds: int, value: float) -> None:
        """Changes one quota while the program runs, for all limiters on the server; waiting callers go as soon as it fits."""
        self._set_max(model, metric, per_seconds, value)

    async def aclose(self) -> None:
        """Refuses everybody who waits, and all calls from then on."""
        self._engine.close()
        await self._engine.backend.aclose()

    def close(self) -> None:
        """Closes it where no event loop runs.

        Raises:
            RuntimeError: one does.
        """
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            asyncio.run(self.aclose())
        else:
            raise RuntimeError("RateLimiter.close() cannot run inside an event loop; use await aclose()")

    async def __aenter__(self) -> RateLimiter:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.aclose()


class SyncRateLimiter(_Limiter):
    """Reserves capacity before calls and refunds it after them, for threads; arguments as of ``RateLimiter``.

    Example:
        >>> from paceline.compat.token_throttle import Quota, SyncMemoryBackendBuilder, UsageQuotas
        >>> quotas = UsageQuotas([Quota(metric="requests", limit=60)])
        >>> with SyncRateLimiter(PerModelConfig(quotas=quotas), backend=SyncMemoryBackendBuilder()) as limiter:
        ...     with limiter.reserve({"requests": 1}, model="demo") as handle:
        ...         handle.set_actual_usage({"requests": 1})
    """

    _sync = True

    def acquire_capacity(self, usage: Usage, model: str, *, timeout: float | None = None) -> CapacityReservation:
        """As ``RateLimiter.acquire_capacity``, on this thread."""
        return waited(self._engine.acquire(usage, model, timeout))

    def reserve(
        self, usage: Usage, model: str, *, timeout: float | None = None, usage_on_error: Usage | None = None
    ) -> SyncReservationScope:
        """As ``RateLimiter.reserve``, on this thread."""
        return SyncReservationScope(self._engine, usage, model, timeout, usage_on_error)

    def record_usage(self, usage: Usage, model: str) -> CapacityReservation:
        """As ``RateLimiter.record_usage``, on this thread."""
        return waited(self._engine.record(usage, model))

    def acquire_capacity_for_request(
        self, *, extra_usage: Mapping[str, float] | None = None, timeout: float | None = None, **kwargs: Any
    ) -> CapacityReservation:
        """As ``RateLimiter.acquire_capacity_for_request``, on this thread."""
        return waited(self._engine.request(kwargs, extra_usage, timeout))

    def refund_capacity(self, actual_usage: Usage, reservation: CapacityReservation) -> None:
        """As ``RateLimiter.refund_capacity``, on this thread."""
        waited(self._engine.refund(actual_usage, reservation))

    def refund_capacity_from_response(
        self, reservation: CapacityReservation, response: Any = None, *, usage: Any = None
    ) -> None:
        """As ``RateLimiter.refund_capacity_from_response``, on this thread."""
        waited(self._engine.refund_from_response(reservation, response, usage))

    def set_max_capacity(self, model: str, metric: str, per_seconds: int, value: float) -> None:
        """As ``RateLimiter.set_max_capacity``, on this thread."""
        self._set_max(model, metric, per_seconds, value)

    def close(self) -> None:
        """Refuses everybody who waits, and all calls from then on."""
        self._engine.close()
        self._engine.backend.close()

    def __enter__(self) -> SyncRateLimiter:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
