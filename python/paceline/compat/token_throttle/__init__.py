"""token-throttle's names on a Paceline limiter: change the import, keep the code.

The names and signatures are those of token-throttle 14. What differs in behaviour is in ``docs/migrate/token-throttle.md``.
"""

from __future__ import annotations

from typing import Any

from paceline.compat.token_throttle._backends import (
    MemoryBackendBuilder,
    RedisBackendBuilder,
    SyncMemoryBackendBuilder,
    SyncRedisBackendBuilder,
)
from paceline.compat.token_throttle._callbacks import (
    LifecycleEvent,
    RateLimiterCallbacks,
    SyncRateLimiterCallbacks,
    create_logging_callbacks,
    create_sync_logging_callbacks,
)
from paceline.compat.token_throttle._errors import (
    AcquireRefundFailedError,
    BackendConformanceError,
    BackendLockContentionError,
    CardinalityLimitExceededError,
    DuplicateRefundError,
    UnknownReservationError,
)
from paceline.compat.token_throttle._limiters import RateLimiter, SyncRateLimiter
from paceline.compat.token_throttle._openai import (
    OpenAIUsageCounter,
    create_openai_redis_rate_limiter,
    create_openai_redis_sync_rate_limiter,
    openai_model_family_getter,
)
from paceline.compat.token_throttle._quotas import (
    MAX_ALIAS_LENGTH,
    MAX_KEY_PREFIX_LENGTH,
    MAX_METRIC_LENGTH,
    MAX_MODEL_FAMILY_LENGTH,
    MAX_RESERVATION_ID_LENGTH,
    BucketId,
    Capacities,
    CapacityReservation,
    FrozenUsage,
    MetricName,
    PerModelConfig,
    PerModelConfigGetter,
    PerSeconds,
    Quota,
    SecondsIn,
    Usage,
    UsageCounter,
    UsageQuotas,
    frozen_usage,
)

__all__ = [
    "MAX_ALIAS_LENGTH",
    "MAX_KEY_PREFIX_LENGTH",
    "MAX_METRIC_LENGTH",
    "MAX_MODEL_FAMILY_LENGTH",
    "MAX_RESERVATION_ID_LENGTH",
    "AcquireRefundFailedError",
    "BackendConformanceError",
    "BackendLockContentionError",
    "BucketId",
    "Capacities",
    "CapacityReservation",
    "CardinalityLimitExceededError",
    "DuplicateRefundError",
    "FrozenUsage",
    "LifecycleEvent",
    "MemoryBackendBuilder",
    "MetricName",
    "OpenAIUsageCounter",
    "PerModelConfig",
    "PerModelConfigGetter",
    "PerSeconds",
    "Quota",
    "RateLimiter",
    "RateLimiterCallbacks",
    "RedisBackendBuilder",
    "SecondsIn",
    "SyncMemoryBackendBuilder",
    "SyncRateLimiter",
    "SyncRateLimiterCallbacks",
    "SyncRedisBackendBuilder",
    "UnknownReservationError",
    "Usage",
    "UsageCounter",
    "UsageQuotas",
    "create_logging_callbacks",
    "create_openai_redis_rate_limiter",
    "create_openai_redis_sync_rate_limiter",
    "create_sync_logging_callbacks",
    "frozen_usage",
    "openai_model_family_getter",
]

_ELSEWHERE = {
    "SqliteBackendBuilder": "processes of one host share a RedisBackendBuilder",
    "SyncSqliteBackendBuilder": "processes of one host share a SyncRedisBackendBuilder",
    "count_chat_input_tokens": "paceline.count(request) counts",
    "get_encoding": "paceline.count(request) counts",
}


def __getattr__(name: str) -> Any:
    hint = _ELSEWHERE.get(name, "docs/migrate/token-throttle.md lists what is there")
    raise AttributeError(f"paceline.compat.token_throttle has no {name}: {hint}")
