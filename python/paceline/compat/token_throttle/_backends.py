"""Where the quotas of a limiter are kept."""

from __future__ import annotations

from typing import Any

from paceline.compat import _redis
from paceline.compat.token_throttle._quotas import MAX_KEY_PREFIX_LENGTH, name_of


class Backend:
    """A place for quotas: what it is called, and the options of the limiter on it."""

    kind = "memory"
    is_shared = False
    is_sync = False

    def options(self) -> dict[str, Any]:
        """Returns the options of a limiter."""
        return {"private": True}

    def close(self) -> None:
        """Closes what belongs to it."""

    async def aclose(self) -> None:
        """Closes what belongs to it."""


class MemoryBackendBuilder(Backend):
    """Quotas of one limiter in one process. Nothing polls, so ``sleep_interval`` is not looked at."""

    def __init__(self, *, sleep_interval: float | None = None) -> None:
        del sleep_interval


class SyncMemoryBackendBuilder(MemoryBackendBuilder):
    """Quotas of one ``SyncRateLimiter`` in one process."""

    is_sync = True


class RedisBackendBuilder(Backend):
    """Quotas on a server, shared by all limiters with the same ``key_prefix``.

    Args:
        redis_client: a client of redis-py, or the URL of a server. Only the address is taken of it.
        key_prefix: what all keys on the server begin with.
        owns_redis_client: whether closing the limiter closes the client.

    The other keywords tune locks, polling and expiry, of which there is nothing to tune; they are not looked at.

    Raises:
        ValueError: the prefix is empty, or has a space, a colon or a brace in it.
        TypeError: the client does not say where it is connected to.
    """

    kind = "redis"
    is_shared = True

    def __init__(
        self,
        redis_client: Any,
        *,
        key_prefix: str,
        sleep_interval: float | None = None,
        bucket_ttl_seconds: int | None = None,
        override_ttl_seconds: int | None = None,
        refund_dedup_ttl_seconds: int | None = None,
        owns_redis_client: bool = False,
        lock_blocking_timeout_seconds: float | None = None,
        lock_sleep_seconds: float | None = None,
        **tuning: float | None,
    ) -> None:
        del sleep_interval, bucket_ttl_seconds, override_ttl_seconds, refund_dedup_ttl_seconds
        del lock_blocking_timeout_seconds, lock_sleep_seconds, tuning
        self._url = redis_client if isinstance(redis_client, str) else _redis.url_of(redis_client)
        self._prefix = name_of(key_prefix, "key_prefix", MAX_KEY_PREFIX_LENGTH)
        self._owned = redis_client if owns_redis_client else None

    def options(self) -> dict[str, Any]:
        """Returns the options of a limiter."""
        return {"store": self._url, "key_prefix": f"{self._prefix}:"}

    def close(self) -> None:
        """Closes the client, where it belongs to this."""
        if self._owned is not None:
            self._owned.close()

    async def aclose(self) -> None:
        """Closes the client, where it belongs to this."""
        if self._owned is not None:
            await self._owned.aclose()


class SyncRedisBackendBuilder(RedisBackendBuilder):
    """Quotas of ``SyncRateLimiter`` on a server."""

    is_sync = True
