"""Blocks that reserve on entering and refund on leaving."""

from __future__ import annotations

import logging
import warnings
from types import TracebackType
from typing import Any

from paceline.compat.token_throttle._engine import Engine
from paceline.compat.token_throttle._plan import Plan, awaited, waited
from paceline.compat.token_throttle._quotas import CapacityReservation, FrozenUsage, Usage, frozen_usage

logger = logging.getLogger("paceline")


class _Scope:
    """What both kinds of block do."""

    def __init__(
        self, engine: Engine, usage: Usage, model: str, timeout: float | None, usage_on_error: Usage | None
    ) -> None:
        self._engine = engine
        self._asked = (usage, model, timeout)
        self._on_error = None if usage_on_error is None else frozen_usage(usage_on_error)
        self._actual: FrozenUsage | None = None
        self._entered = False
        self._reservation: CapacityReservation | None = None

    @property
    def reservation(self) -> CapacityReservation:
        """What the block reserved.

        Raises:
            RuntimeError: it has not been entered.
        """
        if self._reservation is None:
            raise RuntimeError("the block has not been entered")
        return self._reservation

    def set_actual_usage(self, actual_usage: Usage) -> None:
        """Says what the call used; the last word counts."""
        self._actual = frozen_usage(actual_usage)

    def _enter(self) -> Plan[None]:
        if self._entered:
            raise RuntimeError("reserve() scopes are single-use; call limiter.reserve(...) again")
        self._entered = True
        usage, model, timeout = self._asked
        self._reservation = yield from self._engine.acquire(usage, model, timeout)

    def _leave(self, error: BaseException | None) -> Plan[None]:
        reservation = self.reservation
        if error is None:
            if self._actual is None and not reservation.is_unlimited:
                warnings.warn(
                    "a reserve() block was left without set_actual_usage(): it counts as having used all that it reserved; "
                    "call handle.set_actual_usage(...) before its end",
                    RuntimeWarning,
                    stacklevel=4,
                )
            yield from self._engine.refund(self._actual or reservation.usage, reservation)
            return
        try:
            yield from self._engine.refund(self._on_error or reservation.usage, reservation)
        except Exception:
            logger.exception("a refund failed while a block ended with %s", type(error).__name__)


class ReservationScope(_Scope):
    """What ``RateLimiter.reserve`` returns."""

    async def __aenter__(self) -> ReservationScope:
        await awaited(self._enter())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await awaited(self._leave(error))


class SyncReservationScope(_Scope):
    """What ``SyncRateLimiter.reserve`` returns."""

    def __enter__(self) -> SyncReservationScope:
        waited(self._enter())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        waited(self._leave(error))


def looks_swapped(engine: Engine, model: Any, metric: Any) -> bool:
    """Whether somebody passed a metric where the model belongs."""
    return any(model in family.quotas.names and metric not in family.quotas.names for family in engine.families)
