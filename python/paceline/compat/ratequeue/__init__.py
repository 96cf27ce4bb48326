"""RateQueue's names on a Paceline limiter, for threads: change the import, keep the code.

``import ratequeue as rq`` becomes ``import paceline.compat.ratequeue as rq``, ``import ratequeue.aio as rq`` becomes
``import paceline.compat.ratequeue.aio as rq``. What differs in behaviour is in ``docs/migrate/ratequeue.md``.
"""

from __future__ import annotations

from paceline.compat.ratequeue._slot import Slot, acquire, configure

__all__ = ["Slot", "acquire", "configure"]
