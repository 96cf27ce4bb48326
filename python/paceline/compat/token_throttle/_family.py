"""The quotas of one model family as a resource of a Paceline limiter."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

import paceline
from paceline.compat import _limits
from paceline.compat.token_throttle._backends import Backend
from paceline.compat.token_throttle._plan import Plan
from paceline.compat.token_throttle._quotas import BucketId, Capacities, Frozen, Quota, Usage, UsageQuotas

WHOLE = frozenset({"requests", "tokens", "input_tokens", "output_tokens"})
"""Metrics that are counted in whole numbers, where their limits are."""
MILLIONTHS = 1_000_000
SHORTEST_LEASE = 3_600.0
"""How long a reservation can be refunded at least, in seconds."""


class Family:
    """The limiter of one model family, and how its quotas are named there."""

    def __init__(self, name: str, quotas: UsageQuotas, backend: Backend, lifetime: float | None) -> None:
        self.name = name
        self.quotas = quotas
        self.overrides: dict[BucketId, float] = {}
        self.touched = time.monotonic()
        self.waiting = 0
        self.told: frozenset[BucketId] = frozenset()
        self._name()
        longest = max(quota.per_seconds for quota in quotas)
        # After twice its time a bucket has been full, and a refund brings nothing back.
        self.lease = lifetime or max(SHORTEST_LEASE, 2.0 * longest)
        self.limiter = paceline.Limiter(config=self._described(), **backend.options())

    def _name(self) -> None:
        self.metrics = {metric: _named(metric, self.quotas.get_quotas(metric)) for metric in self.quotas.names}

    def _described(self) -> dict[str, Any]:
        return _limits.resource(self.name, [self._limit(quota) for quota in self.quotas])

    def _limit(self, quota: Quota) -> _limits.Limit:
        metric, scale = self.metrics[quota.metric]
        bucket = (quota.metric, quota.per_seconds)
        amount = math.floor(self.overrides.get(bucket, quota.limit) * scale)
        if amount < 1:
            raise ValueError(f"{amount / scale} {quota.metric} is too little to be counted")
        return _limits.bucket(metric, amount, quota.per_seconds, name=_bucket_name(bucket))

    def reconfigure(self, quotas: UsageQuotas) -> None:
        """Puts other quotas into force; what was used stays used."""
        kept = {(quota.metric, quota.per_seconds): quota.limit for quota in self.quotas}
        self.quotas = quotas
        # A quota that changed wins over what was said while the program ran.
        for quota in quotas:
            bucket = (quota.metric, quota.per_seconds)
            if kept.get(bucket) != quota.limit:
                self.overrides.pop(bucket, None)
        self._name()
        self.limiter.configure(self._described())

    def set_max(self, bucket: BucketId, value: float) -> None:
        """Puts another limit into force, beside the quotas."""
        if bucket not in {(quota.metric, quota.per_seconds) for quota in self.quotas}:
            raise ValueError(f"Bucket '{bucket[0]}/{bucket[1]}s' not found")
        self.overrides[bucket] = value
        self.limiter.configure(self._described())

    def amounts(self, usage: Usage) -> dict[str, Any]:
        """Returns a usage as the limiter counts it: whole numbers, rounded up."""
        said: dict[str, Any] = {}
        for metric, used in usage.items():
            name, scale = self.metrics.get(metric) or _named(metric, [])
            # A float such as 0.1 * 3 is a hair above what was meant.
            said[name] = math.ceil(round(used * scale, 6))
        return said

    @property
    def buckets(self) -> frozenset[BucketId]:
        """All metrics with their times."""
        return frozenset((quota.metric, quota.per_seconds) for quota in self.quotas)

    def left(self) -> Plan[Capacities]:
        """Asks for what is left of each quota."""
        accounts: Mapping[str, Any] = yield self.limiter.snapshot()
        left: dict[BucketId, float] = {}
        named = {_bucket_name(bucket): bucket for bucket in self.buckets}
        for account in accounts.values():
            for name, limit in account["limits"].items():
                bucket = named.get(name.rpartition("/")[2])
                if bucket is not None:
                    left[bucket] = limit["left"] / self.metrics[bucket[0]][1]
        return Frozen(left)


def _named(metric: str, quotas: list[Quota]) -> tuple[str, int]:
    """Returns how a metric is called, and by what its amounts are multiplied to be whole."""
    if metric in WHOLE and all(quota.limit == int(quota.limit) for quota in quotas):
        return metric, 1
    return f"{metric}_millionths", MILLIONTHS


def _bucket_name(bucket: BucketId) -> str:
    return f"{bucket[0]}_per_{bucket[1]}s"
