"""A door that is told neither what a call asks for nor when it ends, as some frameworks have it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from paceline._errors import Busy

if TYPE_CHECKING:
    from paceline._limiter import Limiter
    from paceline._native import Permit


_log = logging.getLogger("paceline")


class Door:
    """Lets calls through one resource, each for the same demand, which stays spent.

    ``exact`` is what people are told to use where a door is not enough.
    """

    def __init__(self, limiter: Limiter, resource: str | None, metrics: dict[str, int], exact: str) -> None:
        self._limiter = limiter
        self._resource = resource
        self._metrics = metrics
        self._exact = exact
        self._looked = False

    def enter(self, **metrics: int) -> None:
        """Parks the thread until a call may go."""
        permit = self._limiter.acquire(self._resource, **self._demand(metrics)).wait()
        self._spend(permit)
        if not self._looked:
            self._look(permit.resource, self._limiter.snapshot().wait())

    async def aenter(self, **metrics: int) -> None:
        """Waits until a call may go."""
        permit = await self._limiter.acquire(self._resource, **self._demand(metrics))
        self._spend(permit)
        if not self._looked:
            self._look(permit.resource, await self._limiter.snapshot())

    def try_enter(self) -> bool:
        """Lets a call through if it may go at once."""
        try:
            self._spend(self._limiter.try_acquire(self._resource, **self._metrics).wait())
        except Busy:
            return False
        return True

    async def atry_enter(self) -> bool:
        """Lets a call through if it may go at once."""
        try:
            self._spend(await self._limiter.try_acquire(self._resource, **self._metrics))
        except Busy:
            return False
        return True

    def _spend(self, permit: Permit) -> None:
        # A metric that a settlement does not name was used as reserved.
        permit.settle(requests=1)

    def _look(self, resource: str, ledgers: dict[str, Any]) -> None:
        self._looked = True
        for ledger in ledgers.values():
            names = ledger["resources"].get(resource, {}).get("limits", ())
            if any(ledger["limits"][name]["metric"] == "concurrent_requests" for name in names):
                _log.warning(
                    "%s limits concurrent_requests, and a rate limiter of a framework is not told when a call ends: calls in "
                    "flight are not limited here. Use %s",
                    resource,
                    self._exact,
                )

    def _demand(self, metrics: dict[str, int]) -> dict[str, Any]:
        return {**self._metrics, **metrics}
