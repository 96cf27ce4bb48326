"""What token-throttle's programs catch."""

from __future__ import annotations

from typing import Any


class AcquireRefundFailedError(Exception):
    """Never raised: a grant that crosses a cancellation is given back by the store itself."""


class BackendConformanceError(Exception):
    """Never raised: stores are Paceline's own."""


class BackendLockContentionError(Exception):
    """Never raised: there are no locks."""


class CardinalityLimitExceededError(ValueError):
    """There are more families, names or reservations than the limiter was told to keep."""


class _OfReservation(ValueError):
    def __init__(self, message: str, *, reservation_id: str | None = None, model_family: str | None = None) -> None:
        super().__init__(message)
        self.reservation_id = reservation_id
        self.model_family = model_family

    def __str__(self) -> str:
        return f"{self.args[0]} (reservation_id={self.reservation_id!r}, model_family={self.model_family!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self.args, self.__dict__


class DuplicateRefundError(_OfReservation):
    """The reservation has been refunded before: nothing was changed."""

    reason = "already_refunded"


class UnknownReservationError(_OfReservation):
    """No such reservation was made here, or it ended long ago: nothing was changed."""
