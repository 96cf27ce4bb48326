"""RateQueue's names on a Paceline limiter, for tasks: ``async with rq.acquire(...)``."""

from __future__ import annotations

from paceline.compat.ratequeue._slot import Slot, acquire, configure

__all__ = ["Slot", "acquire", "configure"]
