"""What a model may use, and what a call reserves of it."""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, ClassVar, TypeVar

from paceline.compat.token_throttle._errors import CardinalityLimitExceededError

MAX_MODEL_FAMILY_LENGTH = 256
MAX_METRIC_LENGTH = 64
MAX_ALIAS_LENGTH = 256
MAX_KEY_PREFIX_LENGTH = 128
MAX_RESERVATION_ID_LENGTH = 128
MOST_QUOTAS = 1_000
UNLIMITED = "__rate_limiting_disabled__"

K = TypeVar("K")

MetricName = str
PerSeconds = int
BucketId = tuple[MetricName, PerSeconds]
Usage = Mapping[MetricName, float]
UsageCounter = Callable[..., Usage]


class Frozen(dict[K, float]):
    """Amounts that nobody changes."""

    def _refuse(self, *_: Any, **__: Any) -> Any:
        raise TypeError("amounts that were handed out are not changed")

    __setitem__ = __delitem__ = update = pop = popitem = clear = setdefault = __ior__ = _refuse

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self.items()))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (dict(self),)


FrozenUsage = Frozen[MetricName]
Capacities = Frozen[BucketId]


class SecondsIn(int, Enum):
    """Common windows, in seconds."""

    MINUTE = 60
    HOUR = 3600
    DAY = 86400


def name_of(value: object, what: str, most: int) -> str:
    """Returns a name, if it can be one.

    Raises:
        ValueError: it is not a string, or empty, or has a space, a colon or a brace in it, or is too long.
    """
    if not isinstance(value, str) or not value:
        raise ValueError(f"{what} must be a non-empty string (got {value!r})")
    if len(value) > most:
        raise CardinalityLimitExceededError(f"{what} must be at most {most} characters (got {len(value)})")
    if not value.isprintable() or any(char.isspace() or char in ":{}" for char in value):
        raise ValueError(f"{what} must not contain whitespace, control characters, ':', '{{' or '}}' (got {value!r})")
    return value


def number(value: object, what: str) -> float:
    """Returns a finite number.

    Raises:
        ValueError: it is none.
    """
    if isinstance(value, bool):
        raise ValueError(f"{what} must not be a boolean")
    if not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError(f"{what} must be a finite int or float (got {value!r})")
    return float(value)


@dataclass(frozen=True, kw_only=True)
class Quota:
    """How much of a metric comes back in a time; as much can be saved up.

    Args:
        metric: what is counted, such as ``requests`` or ``tokens``.
        limit: how much there is.
        per_seconds: in how many seconds it comes back.

    Raises:
        ValueError: a number is not positive, or the metric cannot be a name.
    """

    DEFAULT_SECONDS: ClassVar[int] = 60
    metric: str
    limit: float
    per_seconds: int = DEFAULT_SECONDS

    def __post_init__(self) -> None:
        name_of(self.metric, "metric", MAX_METRIC_LENGTH)
        if number(self.limit, "limit") <= 0:
            raise ValueError(f"limit must be greater than 0 (got {self.limit!r})")
        if number(self.per_seconds, "per_seconds") <= 0 or self.per_seconds != int(self.per_seconds):
            raise ValueError(f"per_seconds must be a whole number of seconds above 0 (got {self.per_seconds!r})")
        object.__setattr__(self, "limit", float(self.limit))
        object.__setattr__(self, "per_seconds", int(self.per_seconds))


class UsageQuotas:
    """All quotas of a model; each must have room for a call.

    Raises:
        ValueError: there are none, or two of one metric and time.

    Example:
        >>> UsageQuotas([Quota(metric="requests", limit=60)]).names
        ['requests']
    """

    def __init__(self, quotas: Iterable[Quota], /) -> None:
        given = list(quotas.values() if isinstance(quotas, Mapping) else quotas)
        if not given:
            raise ValueError("no quota is given; where there is to be no limit, say UsageQuotas.unlimited()")
        if len(given) > MOST_QUOTAS:
            raise CardinalityLimitExceededError(f"a model has at most {MOST_QUOTAS} quotas (got {len(given)})")
        self._quotas: dict[BucketId, Quota] = {}
        for quota in given:
            self.add_metric(quota)

    @classmethod
    def unlimited(cls) -> UsageQuotas:
        """Returns no limit, on purpose."""
        quotas = cls.__new__(cls)
        quotas._quotas = {}
        return quotas

    def add_metric(self, quota: Quota) -> None:
        """Adds a quota."""
        if not isinstance(quota, Quota):
            raise ValueError(f"quotas must be Quota instances (got {type(quota).__name__})")
        known = self._quotas.setdefault((quota.metric, quota.per_seconds), quota)
        if known is not quota:
            raise ValueError(
                f"Metric {quota.metric} with {quota.per_seconds} seconds already exists (existing limit={known.limit}, "
                f"new limit={quota.limit})."
            )

    @property
    def is_unlimited(self) -> bool:
        """Whether there is no limit."""
        return not self._quotas

    @property
    def names(self) -> list[str]:
        """The metrics that have a quota."""
        return list(dict.fromkeys(metric for metric, _ in self._quotas))

    def get_quotas(self, item: str) -> list[Quota]:
        """Returns all quotas of one metric."""
        return [quota for quota in self if quota.metric == item]

    def __iter__(self) -> Iterator[Quota]:
        return iter(self._quotas.values())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, UsageQuotas) and self._quotas == other._quotas

    def __hash__(self) -> int:
        return hash(frozenset(self._quotas.values()))

    def __repr__(self) -> str:
        return f"UsageQuotas({list(self)!r})"


@dataclass(frozen=True, kw_only=True)
class PerModelConfig:
    """The quotas of a model.

    Args:
        quotas: what it may use.
        usage_counter: what ``acquire_capacity_for_request`` calls with the request's keywords; it returns the usage.
        model_family: models of one family share their quotas; the model's own name where it is not said.

    Raises:
        ValueError: something is of another kind.
    """

    quotas: UsageQuotas
    usage_counter: UsageCounter | None = None
    model_family: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.quotas, UsageQuotas):
            raise ValueError(f"quotas must be a UsageQuotas (got {type(self.quotas).__name__})")
        if self.usage_counter is not None and not callable(self.usage_counter):
            raise ValueError("usage_counter must be callable")
        if self.model_family is not None:
            name_of(self.model_family, "model_family", MAX_MODEL_FAMILY_LENGTH)

    def get_model_family(self) -> str:
        """Returns the family.

        Raises:
            ValueError: none is said.
        """
        if self.model_family is None:
            raise ValueError("model_family is not set")
        return self.model_family

    @property
    def is_unlimited(self) -> bool:
        """Whether there is no limit."""
        return self.quotas.is_unlimited


PerModelConfigGetter = Callable[[str], PerModelConfig]


def frozen_usage(usage: object) -> FrozenUsage:
    """Returns amounts by metric that nobody changes.

    Raises:
        ValueError: it is not a mapping of names to finite numbers.
    """
    if not isinstance(usage, Mapping):
        raise ValueError(f"usage must be a mapping (got {type(usage).__name__})")
    return Frozen(
        {name_of(metric, "metric", MAX_METRIC_LENGTH): number(used, f"Usage value for {metric}") for metric, used in usage.items()}
    )


def checked(usage: object, expected: Iterable[str], what: str) -> FrozenUsage:
    """Returns the usage of exactly the expected metrics, none below zero.

    Raises:
        ValueError: it is not that.
    """
    frozen, keys = frozen_usage(usage), set(expected)
    if set(frozen) != keys:
        missing, extra = sorted(keys - set(frozen)), sorted(set(frozen) - keys)
        raise ValueError(
            f"Usage keys do not match {what}: missing={missing}, extra={extra}. Usage keys={sorted(frozen)}, "
            f"{what}={sorted(keys)}"
        )
    for metric, used in frozen.items():
        if used < 0:
            raise ValueError(f"Usage value for {metric} must be non-negative")
    return frozen


@dataclass(frozen=True, kw_only=True)
class CapacityReservation:
    """What a call reserved; to be refunded once, by any limiter on the same server."""

    usage: FrozenUsage
    model_family: str
    limiter_instance_id: str
    reservation_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    bucket_ids: frozenset[BucketId] | None = None
    model: str | None = None
    is_unlimited: bool = False
    created_at_seconds: float | None = field(default_factory=time.time)

    def __post_init__(self) -> None:
        object.__setattr__(self, "usage", frozen_usage(self.usage))
        if self.is_unlimited and (self.model_family != UNLIMITED or self.usage):
            raise ValueError("a reservation without limits comes from a model without limits")

    def get_usage(self) -> FrozenUsage:
        """Returns what was reserved."""
        return self.usage
