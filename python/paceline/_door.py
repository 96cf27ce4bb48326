"""A door that is told neither what a call asks for nor when it ends, as some frameworks have it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from paceline._errors import Busy

if TYPE_CHECKING:
    from paceline._limiter import Limiter
    from paceline._native import Permit


class Door:
    """Lets calls through one resource, each for the same demand, which stays spent."""

    def __init__(self, limiter: Limiter, resource: str | None, metrics: dict[str, int]) -> None:
        self._limiter = limiter
        self._resource = resource
        self._metrics = metrics

    def enter(self, **metrics: int) -> None:
        """Parks the thread until a call may go."""
        _spend(self._limiter.acquire(self._resource, **self._demand(metrics)).wait())

    async def aenter(self, **metrics: int) -> None:
        """Waits until a call may go."""
        _spend(await self._limiter.acquire(self._resource, **self._demand(metrics)))

    def try_enter(self) -> bool:
        """Lets a call through if it may go at once."""
        try:
            _spend(self._limiter.try_acquire(self._resource, **self._metrics).wait())
        except Busy:
            return False
        return True

    async def atry_enter(self) -> bool:
        """Lets a call through if it may go at once."""
        try:
            _spend(await self._limiter.try_acquire(self._resource, **self._metrics))
        except Busy:
            return False
        return True

    def _demand(self, metrics: dict[str, int]) -> dict[str, Any]:
        return {**self._metrics, **metrics}


def _spend(permit: Permit) -> None:
    # A metric that a settlement does not name was used as reserved.
    permit.settle(requests=1)
