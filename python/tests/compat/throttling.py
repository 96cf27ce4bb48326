"""What the tests of token-throttle's names share."""

from __future__ import annotations

import asyncio
from typing import Any

from paceline.compat.token_throttle import MemoryBackendBuilder, PerModelConfig, Quota, RateLimiter, UsageQuotas


def config(family: str | None = None, per_seconds: int = 60, **limits: float) -> PerModelConfig:
    """Quotas by metric."""
    quotas = [Quota(metric=metric, limit=limit, per_seconds=per_seconds) for metric, limit in limits.items()]
    return PerModelConfig(quotas=UsageQuotas(quotas), model_family=family)


def memory(cfg: Any, **said: Any) -> RateLimiter:
    return RateLimiter(cfg, backend=MemoryBackendBuilder(), **said)


async def queued(limiter: RateLimiter, waiting: int, family: str = "m") -> None:
    """Waits until so many are in line."""
    one = limiter._engine._families[family].limiter
    for _ in range(2_000):
        accounts = await one.snapshot()
        if sum(account["resources"][family]["waiting"] for account in accounts.values()) == waiting:
            return
        await asyncio.sleep(0)
    raise AssertionError(f"{waiting} should be in line")


async def left(limiter: RateLimiter, family: str = "m") -> dict[str, float]:
    """What is left of each metric."""
    from paceline.compat.token_throttle._plan import awaited

    return {bucket[0]: amount for bucket, amount in (await awaited(limiter._engine._families[family].left())).items()}
