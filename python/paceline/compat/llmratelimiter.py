"""LLMRateLimiter's names on a Paceline limiter: change the import, keep the code.

The names and signatures are those of LLMRateLimiter 0.3.2. What differs in behaviour is in ``docs/migrate/llmratelimiter.md``.
"""

from __future__ import annotations

import logging
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import paceline
from paceline.compat import _limits, _redis
from paceline.compat._calls import Calls

if TYPE_CHECKING:
    from redis.asyncio import Redis

__all__ = [
    "AcquireResult",
    "RateLimitConfig",
    "RateLimitStatus",
    "RateLimiter",
    "RedisConnectionManager",
    "RetryConfig",
]

logger = logging.getLogger("paceline")


@dataclass(frozen=True)
class RetryConfig:
    """How long a call waits for a server that does not answer, said as retries.

    Delays are in seconds. Paceline reconnects by itself; the sum of the delays is how long an ``acquire`` waits for the
    server before it is granted out of this process's share.

    Raises:
        ValueError: a number is out of its range.
    """

    max_retries: int = 3
    base_delay: float = 0.1
    max_delay: float = 5.0
    exponential_base: float = 2.0
    jitter: float = 0.1

    def __post_init__(self) -> None:
        _require(self.max_retries >= 0, "max_retries must be >= 0")
        _require(self.base_delay > 0, "base_delay must be > 0")
        _require(self.max_delay >= self.base_delay, "max_delay must be >= base_delay")
        _require(self.exponential_base >= 1, "exponential_base must be >= 1")
        _require(0 <= self.jitter <= 1, "jitter must be between 0 and 1")

    @property
    def patience(self) -> float:
        """How long all attempts take together, in seconds: one for the first, and the delays before the others.

        >>> round(RetryConfig(max_retries=3, base_delay=0.1).patience, 3)
        1.7
        """
        delays = (self.base_delay * self.exponential_base**attempt for attempt in range(self.max_retries))
        return 1.0 + sum(min(delay, self.max_delay) for delay in delays)


@dataclass(frozen=True)
class RateLimitConfig:
    """The limits of one model; 0 means that there is no such limit.

    Args:
        rpm: requests per window.
        tpm: tokens per window, input and ``burndown_rate`` times output together.
        input_tpm: input tokens per window.
        output_tpm: output tokens per window.
        window_seconds: the window, in seconds.
        burst_multiplier: what all amounts are multiplied by.
        burndown_rate: how many tokens of ``tpm`` one token of output counts for.
        smooth_requests: whether requests are spaced evenly, ``rpm`` a minute.
        rps: requests a second, spaced evenly; 0 means ``rpm`` / 60 where ``smooth_requests`` is set.
        smoothing_interval: the time over which the provider looks, in seconds. Even spacing holds over any.

    Raises:
        ValueError: a number is out of its range.
    """

    rpm: int
    tpm: int = 0
    input_tpm: int = 0
    output_tpm: int = 0
    window_seconds: int = 60
    burst_multiplier: float = 1.0
    burndown_rate: float = 1.0
    smooth_requests: bool = True
    rps: int = 0
    smoothing_interval: float = 1.0

    def __post_init__(self) -> None:
        _require(self.burndown_rate >= 0, "burndown_rate must be >= 0")
        _require(not self.rps or self.rps >= 0, "rps must be >= 0")
        _require(self.smoothing_interval > 0, "smoothing_interval must be > 0")

    @property
    def is_split_mode(self) -> bool:
        """Whether input or output tokens have a limit of their own."""
        return self.input_tpm > 0 or self.output_tpm > 0

    @property
    def has_combined_limit(self) -> bool:
        """Whether input and output have a limit together."""
        return self.tpm > 0

    @property
    def is_smoothing_enabled(self) -> bool:
        """Whether requests are spaced evenly."""
        return bool(self.rps) or self.smooth_requests

    @property
    def effective_rps(self) -> float:
        """How many requests a second are let through, spaced evenly; 0 where they are not spaced.

        >>> RateLimitConfig(rpm=600).effective_rps, RateLimitConfig(rpm=600, rps=8).effective_rps
        (10.0, 8.0)
        """
        if self.rps:
            return float(self.rps)
        return self.rpm / 60.0 if self.smooth_requests and self.rpm > 0 else 0.0


@dataclass
class AcquireResult:
    """What an ``acquire`` gave."""

    slot_time: float
    """When it was granted, in seconds since the Unix epoch."""
    wait_time: float
    """How long it waited, in seconds."""
    queue_position: int
    """Its place in line when it came: 0 where it did not wait, 1 where nobody waited ahead of it."""
    record_id: str
    """What ``adjust`` takes, in any process."""


@dataclass
class RateLimitStatus:
    """How much of each limit is used; what has no limit is 0."""

    model: str
    window_seconds: int
    tokens_used: int = 0
    tokens_limit: int = 0
    input_tokens_used: int = 0
    input_tokens_limit: int = 0
    output_tokens_used: int = 0
    output_tokens_limit: int = 0
    requests_used: int = 0
    requests_limit: int = 0
    queue_depth: int = 0


class RedisConnectionManager:
    """A server on Redis: its address, and how long it may be silent.

    Args:
        url: its URL, else ``host`` and ``port``.
        db, password: the database and the password, where the URL does not say them.
        max_connections: of ``client``. Paceline itself keeps two connections a process.
        retry_config: how long an ``acquire`` waits for a server that does not answer.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        host: str = "localhost",
        port: int = 6379,
        db: int = 0,
        password: str | None = None,
        max_connections: int = 10,
        retry_config: RetryConfig | None = None,
        decode_responses: bool = True,
        **redis_kwargs: Any,
    ) -> None:
        if url is None:
            user, tls = redis_kwargs.get("username"), bool(redis_kwargs.get("ssl"))
            self._url = _redis.of_parts(host, port, db, user, password, tls=tls)
        else:
            self._url = _redis.with_parts(url, db, password)
        self._retry_config = retry_config or RetryConfig()
        redis_kwargs.pop("ssl", None)
        redis_kwargs.pop("username", None)
        self._options = dict(redis_kwargs, max_connections=max_connections, decode_responses=decode_responses)
        self._client: Redis | None = None

    @property
    def retry_config(self) -> RetryConfig:
        """How long an ``acquire`` waits for a server that does not answer."""
        return self._retry_config

    @property
    def client(self) -> Redis:
        """A client of redis-py on the same server, for uses of one's own; it needs the package ``redis``."""
        if self._client is None:
            from redis.asyncio import Redis

            self._client = Redis.from_url(self._url, **self._options)
        return self._client

    async def close(self) -> None:
        """Closes ``client``, if it was used."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def __aenter__(self) -> RedisConnectionManager:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()


class RateLimiter:
    """Keeps the calls of all processes on one server inside the limits of one model.

    Args:
        redis: a URL (``redis://``, ``rediss://``, ``memory://`` for this process alone), a client of redis-py, or a
            ``RedisConnectionManager``.
        model: the model's name. All limiters of one model on one server share its limits.
        config: the limits, or keywords of the same names.
        password, db: where the URL does not say them.
        retry_config: how long an ``acquire`` waits for a server that does not answer.

    Raises:
        ValueError: no server or no model is named, or a number is out of its range.

    Example:
        >>> import asyncio
        >>> limiter = RateLimiter("memory://example", "gpt-4", tpm=100_000, rpm=100)
        >>> result = asyncio.run(limiter.acquire(input_tokens=3000, output_tokens=2000))
        >>> result.wait_time, result.queue_position
        (0.0, 0)
    """

    def __init__(
        self,
        redis: str | Redis | RedisConnectionManager | None = None,
        model: str | None = None,
        config: RateLimitConfig | None = None,
        *,
        tpm: int = 0,
        rpm: int = 0,
        input_tpm: int = 0,
        output_tpm: int = 0,
        window_seconds: int = 60,
        burst_multiplier: float = 1.0,
        burndown_rate: float = 1.0,
        smooth_requests: bool = True,
        rps: int = 0,
        smoothing_interval: float = 1.0,
        password: str | None = None,
        db: int = 0,
        max_connections: int = 10,
        retry_config: RetryConfig | None = None,
        redis_client: Redis | RedisConnectionManager | None = None,
        model_name: str | None = None,
    ) -> None:
        redis, model = redis or redis_client, model or model_name
        _require(redis is not None, "redis parameter is required (URL string, Redis client, or RedisConnectionManager)")
        if model is None:
            raise ValueError("model parameter is required")
        self._config = config or RateLimitConfig(
            rpm, tpm, input_tpm, output_tpm, window_seconds, burst_multiplier, burndown_rate, smooth_requests, rps,
            smoothing_interval,
        )
        self.model_name = model
        self.window_seconds = self._config.window_seconds
        self.burst_multiplier = self._config.burst_multiplier
        self.rpm_limit = self._amount(self._config.rpm)
        self.tpm_limit = self._amount(self._config.tpm)
        self.input_tpm_limit = self._amount(self._config.input_tpm)
        self.output_tpm_limit = self._amount(self._config.output_tpm)
        del max_connections
        url, retry_config = _server(redis, db, password, retry_config)
        self._limiter = paceline.Limiter(
            config=_limits.resource(model, self._limits()),
            store=url,
            store_timeout=(retry_config or RetryConfig(max_retries=0)).patience,
            on_store_failure="local",
        )
        self._calls = Calls(self.window_seconds)

    def _amount(self, per_window: int) -> int:
        return int(per_window * self.burst_multiplier) if per_window > 0 else 0

    def _limits(self) -> list[_limits.Limit]:
        amounts = {
            "requests": self.rpm_limit,
            "tokens": self.tpm_limit,
            "input_tokens": self.input_tpm_limit,
            "output_tokens": self.output_tpm_limit,
        }
        limits = [_limits.window(metric, amount, self.window_seconds) for metric, amount in amounts.items() if amount]
        rps = self._config.effective_rps
        if rps > 0:
            per_minute = round(rps * 60)
            # A burst of one spaces requests evenly; a clock of milliseconds asks for more above 1,000 a second.
            burst = max(1, math.ceil(rps / 1_000))
            limits.append(_limits.bucket("requests", per_minute, 60, burst=burst, name="requests_evenly_spaced"))
        return limits

    @property
    def is_split_mode(self) -> bool:
        """Whether input or output tokens have a limit of their own."""
        return self._config.is_split_mode

    @property
    def has_combined_limit(self) -> bool:
        """Whether input and output have a limit together."""
        return self._config.has_combined_limit

    async def acquire(
        self, *, tokens: int | None = None, input_tokens: int | None = None, output_tokens: int = 0
    ) -> AcquireResult:
        """Waits in line until all limits have room for the call.

        Args:
            tokens: what counts against ``tpm``, the burn-down included; or
            input_tokens, output_tokens: the prompt, and the most that the answer may have.

        Raises:
            ValueError: both or neither are said; or a limit can never hold as much (``paceline.Impossible``).
        """
        _require(tokens is None or input_tokens is None, "Cannot specify both tokens and input_tokens")
        prompt = tokens if input_tokens is None else input_tokens
        if prompt is None:
            raise ValueError("Must specify either tokens or input_tokens")
        combined = tokens if tokens is not None else self._combined(prompt, output_tokens)
        wanted: dict[str, Any] = {"tokens": combined, "input_tokens": prompt, "max_output_tokens": output_tokens}
        ahead, permit = await self._permit(wanted)
        known = "" if tokens is not None else str(prompt)
        return AcquireResult(
            slot_time=time.time(),
            wait_time=permit.waited if permit else 0.0,
            queue_position=ahead,
            record_id=f"{self._calls.keep(permit) if permit else ''}~{known}",
        )

    async def _permit(self, wanted: dict[str, Any]) -> tuple[int, paceline.Permit | None]:
        """Returns the place in line, and the permit; none where the server is gone and this process's share is too small."""
        try:
            try:
                return 0, await self._limiter.try_acquire(self.model_name, **wanted)
            except paceline.Busy as busy:
                return busy.ahead + 1, await self._limiter.acquire(self.model_name, **wanted)
        except paceline.Impossible as impossible:
            if impossible.wanted > self._most(impossible.limit):
                raise
            logger.warning(
                "%s: the store cannot be reached and this call is larger than this process's share of %s: it is let "
                "through uncounted",
                self.model_name,
                impossible.limit,
            )
            return 0, None

    def _most(self, limit: str) -> int:
        """Returns what a limit holds while the server is there."""
        name = limit.rpartition("/")[2]
        amounts = {"input_tokens": self.input_tpm_limit, "output_tokens": self.output_tpm_limit, "tokens": self.tpm_limit}
        return next((amount for metric, amount in amounts.items() if name.startswith(metric)), 0)

    def _combined(self, prompt: int, output: int) -> int:
        return math.ceil(prompt + self._config.burndown_rate * output)

    async def adjust(self, record_id: str, actual_output: int) -> None:
        """Says how many tokens the answer had: what was reserved beyond them goes to whoever is next in line.

        Once for each ``acquire``, from any process, within ``window_seconds`` of it. Where a record is not known any more,
        or the server does not answer, there is a warning and nothing else.
        """
        call, _, prompt = record_id.rpartition("~")
        used: dict[str, Any] = {"output_tokens": actual_output}
        if prompt:
            used.update(input_tokens=int(prompt), tokens=self._combined(int(prompt), actual_output))
        try:
            permit = self._calls.take(call)
            await (permit.settle(**used) if permit else self._limiter.settle(call, **used))
        except paceline.PermitOver:
            logger.warning("%s: there is no record %s to adjust, or not any more", self.model_name, record_id)
        except paceline.StoreUnavailable as error:
            logger.warning("%s: record %s is not adjusted yet: %s", self.model_name, record_id, error)

    async def get_status(self) -> RateLimitStatus:
        """Returns how much of each limit is used at present, and how many wait; zeros where the server does not answer."""
        status = RateLimitStatus(
            self.model_name,
            self.window_seconds,
            tokens_limit=self.tpm_limit,
            input_tokens_limit=self.input_tpm_limit,
            output_tokens_limit=self.output_tpm_limit,
            requests_limit=self.rpm_limit,
        )
        try:
            accounts = await self._limiter.snapshot()
        except paceline.StoreUnavailable as error:
            logger.warning("%s: no status: %s", self.model_name, error)
            return status
        for account in accounts.values():
            for name, limit in account["limits"].items():
                if not name.endswith("requests_evenly_spaced"):
                    setattr(status, f"{limit['metric']}_used", limit["used"])
            status.queue_depth = sum(resource["waiting"] for resource in account["resources"].values())
        if not self.tpm_limit:
            status.tokens_used = status.input_tokens_used + status.output_tokens_used
        return status


def _server(
    redis: Any, db: int, password: str | None, retry_config: RetryConfig | None
) -> tuple[str, RetryConfig | None]:
    """Returns the URL of a server, and how long it may be silent."""
    if isinstance(redis, RedisConnectionManager):
        return redis._url, redis.retry_config
    if isinstance(redis, str):
        return _redis.with_parts(redis, db, password), retry_config or RetryConfig()
    return _redis.url_of(redis), retry_config


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise ValueError(message)
