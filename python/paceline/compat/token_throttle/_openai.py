"""Limiters for models of OpenAI: families, counting, and both in one call."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from paceline.compat.token_throttle._backends import RedisBackendBuilder, SyncRedisBackendBuilder
from paceline.compat.token_throttle._callbacks import RateLimiterCallbacks, SyncRateLimiterCallbacks
from paceline.compat.token_throttle._limiters import RateLimiter, SyncRateLimiter
from paceline.compat.token_throttle._quotas import (
    Frozen,
    FrozenUsage,
    PerModelConfig,
    PerModelConfigGetter,
    Quota,
    UsageQuotas,
)

_DATE = re.compile(r"-\d{4}(-\d\d-\d\d|-\d\d|\d{4})?$")


def openai_model_family_getter(model: str, /) -> str:
    """Returns the name under which OpenAI limits a model: without provider, date and ``-preview``, tuned models as their base.

    Raises:
        ValueError: it begins with ``ft:`` and names no base.

    Example:
        >>> openai_model_family_getter("openai/gpt-4o-2024-08-06"), openai_model_family_getter("ft:gpt-4o:org::id")
        ('gpt-4o', 'gpt-4o')
    """
    name = model.removeprefix("openai/")
    if name.startswith("ft:"):
        _, base, *rest = name.split(":")
        if not base or not rest or not rest[0]:
            raise ValueError(f"Malformed fine-tuned model id: {model!r}; expected 'ft:<base>:<job>...' format")
        name = base
    family = _DATE.sub("", name.removesuffix("-preview")).removesuffix("-preview")
    return family or name


class OpenAIUsageCounter:
    """Counts the tokens of a request's keywords: the prompt, with the model's vocabulary where it is known, and the most that
    all answers may have.

    Args:
        get_encoding_func: a function of the model's name that returns an encoding with ``encode``; it counts the prompt
            where it is given.

    Example:
        >>> counter = OpenAIUsageCounter()
        >>> counter(model="gpt-4o", messages=[{"role": "user", "content": "Hi"}], max_tokens=512)["requests"]
        1.0
    """

    def __init__(self, get_encoding_func: Callable[[str], Any] | None = None) -> None:
        self._get_encoding = get_encoding_func

    def __call__(self, model: str, **request: Any) -> FrozenUsage:
        """Returns ``tokens`` and one of ``requests``."""
        from paceline._request import demand as demand_of

        body = {"model": model, **request}
        demand = demand_of(body)
        prompt = demand.get("input_tokens", 0)
        if self._get_encoding is not None:
            prompt = _count(self._get_encoding(model), body)
        return Frozen({"tokens": float(prompt + demand.get("max_output_tokens", 0)), "requests": 1.0})

    async def count_request_async(self, model: str, **request: Any) -> FrozenUsage:
        """As calling it: vocabularies are in memory already."""
        return self(model, **request)

    async def warmup_models(self, models: list[str]) -> None:
        """Does nothing: vocabularies are in memory already."""


def _count(encoding: Any, body: Any) -> int:
    """Returns the tokens of all texts of a request, and three for each message."""
    if isinstance(body, str):
        return len(encoding.encode(body))
    if isinstance(body, dict):
        prompt = {"messages", "input", "prompt", "content", "text", "tools", "functions", "instructions"}
        return sum(_count(encoding, part) for name, part in body.items() if name in prompt) + 3 * ("role" in body)
    if isinstance(body, (list, tuple)):
        return sum(_count(encoding, part) for part in body)
    return 0


def create_openai_redis_rate_limiter(
    redis_client: Any,
    *,
    key_prefix: str,
    rpm: int,
    tpm: int,
    bucket_ttl_seconds: int | None = None,
    max_reservation_lifetime_seconds: float | None = None,
    refund_dedup_ttl_seconds: int | None = None,
    callbacks: RateLimiterCallbacks | None = None,
) -> RateLimiter:
    """Returns a limiter of requests and tokens a minute, by model family, on a server.

    Args:
        redis_client: a client of redis-py, or a URL.
        key_prefix: what all keys on the server begin with.
        rpm, tpm: requests and tokens a minute.
    """
    del bucket_ttl_seconds, refund_dedup_ttl_seconds
    return RateLimiter(
        _by_family(rpm, tpm),
        backend=RedisBackendBuilder(redis_client, key_prefix=key_prefix),
        callbacks=callbacks,
        max_reservation_lifetime_seconds=max_reservation_lifetime_seconds,
    )


def create_openai_redis_sync_rate_limiter(
    redis_client: Any,
    *,
    key_prefix: str,
    rpm: int,
    tpm: int,
    bucket_ttl_seconds: int | None = None,
    max_reservation_lifetime_seconds: float | None = None,
    refund_dedup_ttl_seconds: int | None = None,
    callbacks: SyncRateLimiterCallbacks | None = None,
) -> SyncRateLimiter:
    """As ``create_openai_redis_rate_limiter``, for threads."""
    del bucket_ttl_seconds, refund_dedup_ttl_seconds
    return SyncRateLimiter(
        _by_family(rpm, tpm),
        backend=SyncRedisBackendBuilder(redis_client, key_prefix=key_prefix),
        callbacks=callbacks,
        max_reservation_lifetime_seconds=max_reservation_lifetime_seconds,
    )


def _by_family(rpm: int, tpm: int) -> PerModelConfigGetter:
    quotas = UsageQuotas([Quota(metric="requests", limit=rpm), Quota(metric="tokens", limit=tpm)])
    counter = OpenAIUsageCounter()

    def config(model: str) -> PerModelConfig:
        return PerModelConfig(quotas=quotas, usage_counter=counter, model_family=openai_model_family_getter(model))

    return config
