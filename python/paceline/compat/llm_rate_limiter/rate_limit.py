"""The limiter of llm-rate-limiter, which every module of a program imports, on a Paceline limiter."""

from __future__ import annotations

import contextvars
import json
import logging
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import paceline
from paceline.compat._calls import Calls
from paceline.compat.llm_rate_limiter.configs import (
    ModelRateLimitConfig,
    ProviderRateLimits,
    RateLimitConfig,
    free_tier,
)

__all__ = ["RateLimit", "rate_limiter"]

logger = logging.getLogger("paceline")

LONGEST_WAIT = 600.0
"""How long ``wait_and_acquire`` waits, and for how long afterwards a call may say what it used, in seconds."""

_made: contextvars.ContextVar[tuple[str, ...]] = contextvars.ContextVar("paceline_compat_calls", default=())
"""The calls that this task made and has not recorded, the last one last."""


@dataclass
class _Seat:
    """One model: where it is limited, and by what."""

    limiter: paceline.Limiter
    resource: str
    config: ModelRateLimitConfig | None = None
    in_force: ModelRateLimitConfig | None = None


class RateLimit:
    """Keeps calls inside the limits of a file, by provider and model; for all tasks and threads of a program.

    With ``PACELINE_STORE`` set to a server, for all its processes and hosts.

    Args:
        stats_path: a file that ``get_usage_stats`` is written to every ``monitor_interval`` seconds; none where it is not
            said, or where ``disable_monitoring`` is set.
        config: limits that are said in code.
    """

    def __init__(
        self,
        stats_path: str | None = None,
        monitor_interval: float = 0.5,
        disable_monitoring: bool = False,
        config: RateLimitConfig | None = None,
    ) -> None:
        self._stats_path = None if disable_monitoring else stats_path
        self._monitor_interval = monitor_interval
        self._lock = threading.RLock()
        self._base: paceline.Limiter | None = None
        self._seats: dict[tuple[str, str], _Seat] = {}
        self._calls: dict[str, Calls] = {}
        self._warned: set[str] = set()
        if config is not None:
            self.register_config(config)

    def load_config(self, config_path: str) -> None:
        """Takes the limits of a file; a change of the file applies live.

        Raises:
            paceline.ConfigError: the file cannot be read, or says something else than limits; with line and column.
        """
        if config_path == "default":
            self.register_config(free_tier())
        else:
            self._found(paceline.Limiter(config=Path(config_path)))

    def register_config(self, config: RateLimitConfig) -> None:
        """Takes limits that are said in code."""
        self._found(_limiter(config))

    def register_model(self, provider: str, model: str, config: ModelRateLimitConfig) -> None:
        """Takes the limits of one model; those of others stay."""
        own = _limiter(RateLimitConfig({provider: ProviderRateLimits({model: config})}))
        with self._lock:
            self._seats[provider, model] = _Seat(own, own.resources[0], config, replace(config))

    def _found(self, limiter: paceline.Limiter) -> None:
        with self._lock:
            self._base = limiter
            self._seats.clear()

    def _loaded(self) -> paceline.Limiter:
        """Returns the limiter of the file that the environment names, where no other was said."""
        with self._lock:
            if self._base is None:
                path = os.environ.get("RATE_LIMIT_CONFIG_PATH") or os.environ.get("PACELINE_CONFIG")
                if path is None:
                    logger.warning(
                        "neither RATE_LIMIT_CONFIG_PATH nor PACELINE_CONFIG is set: taking llm-rate-limiter's own limits "
                        "of 2025, at the lowest tiers; name a file with yours"
                    )
                self.load_config(path or "default")
            assert self._base is not None
            return self._base

    def _seat(self, provider: str, model: str) -> _Seat:
        """Returns where a model is limited; limits that were changed in place come into force."""
        with self._lock:
            seat = self._seats.get((provider, model))
            if seat is not None and seat.config != seat.in_force and seat.config is not None:
                self.register_model(provider, model, seat.config)
                seat = self._seats[provider, model]
            if seat is None:
                base = self._loaded()
                seat = _Seat(base, base.resolve(model, provider) or f"{provider}/{model}")
                if seat.resource in base.resources:
                    self._seats[provider, model] = seat
            return seat

    @property
    def providers(self) -> list[str]:
        """The names of all providers."""
        return list(self.providers_to_models)

    @property
    def providers_to_models(self) -> dict[str, list[str]]:
        """The names of the models of each provider."""
        found: dict[str, list[str]] = {}
        for provider, model in self._models():
            found.setdefault(provider, []).append(model)
        return found

    def _models(self) -> Iterator[tuple[str, str]]:
        named = dict.fromkeys(tuple(name.split("/", 1)) for name in self._loaded().resources if "/" in name)
        with self._lock:
            named.update(dict.fromkeys(self._seats))
        seen = set()
        for provider, model in named:
            resource = self._seat(provider, model).resource
            if resource not in seen:
                seen.add(resource)
                yield provider, model

    @property
    def _config(self) -> RateLimitConfig:
        limits = {provider: ProviderRateLimits(models) for provider, models in self._provider_model_configs.items()}
        return RateLimitConfig(limits)

    @property
    def _provider_model_configs(self) -> dict[str, dict[str, ModelRateLimitConfig]]:
        """All limits, to be changed in place: what programs of llm-rate-limiter, its example among them, reach for."""
        found: dict[str, dict[str, ModelRateLimitConfig]] = {}
        for provider, model in self._models():
            config = self.get_config(provider, model)
            if config is not None:
                found.setdefault(provider, {})[model] = config
        return found

    def get_config(self, provider: str, model: str) -> ModelRateLimitConfig | None:
        """Returns the limits of a model, ``None`` where there is no such model. What is changed in it comes into force."""
        seat = self._seat(provider, model)
        if seat.resource not in seat.limiter.resources:
            return None
        if seat.config is None:
            amounts = {metric: int(limit["amount"]) for metric, limit in _per_minute(seat).items()}
            config = ModelRateLimitConfig(amounts.get("requests", 0), amounts.get("tokens", 0))
            with self._lock:
                seat.config, seat.in_force = config, replace(config)
                self._seats[provider, model] = seat
        return seat.config

    async def acquire(self, provider: str, model: str, tokens: int = 0) -> bool:
        """Returns whether the call may go at once, and if so counts it.

        Raises:
            paceline.UnknownResource: there are no limits of this model.
            paceline.Impossible: a limit can never hold as many tokens.
        """
        seat = self._seat(provider, model)
        try:
            permit = await seat.limiter.try_acquire(seat.resource, tokens=tokens or None)
        except paceline.Busy:
            return False
        self._opened(seat, permit)
        return True

    async def wait_and_acquire(self, provider: str, model: str, tokens: int = 0) -> bool:
        """Waits in line until the call may go, at most ten minutes.

        Args:
            tokens: how many the call may use; 0 means what calls of this model have used so far.

        Raises:
            RuntimeError: ten minutes passed, or would.
            paceline.UnknownResource: there are no limits of this model.
            paceline.Impossible: a limit can never hold as many tokens.
            ValueError: tokens are limited, none are said, and nothing is known of earlier calls.
        """
        seat = self._seat(provider, model)
        try:
            permit = await seat.limiter.acquire(seat.resource, tokens=tokens or None, timeout=LONGEST_WAIT)
        except paceline.AcquireTimeout as error:
            message = f"Failed to acquire rate limit for {provider}/{model} after 10 minutes: {error}"
            raise RuntimeError(message) from error
        self._opened(seat, permit)
        return True

    def _opened(self, seat: _Seat, permit: paceline.Permit) -> None:
        """Notes a call, which ends by ``record_usage``, or after ten minutes as it was asked for."""
        with self._lock:
            if self._stats_path is not None:
                self._watch(self._stats_path)
            calls = self._calls.setdefault(seat.resource, Calls(LONGEST_WAIT))
            known = list(self._calls.values())
        mine = tuple(call for call in _made.get() if any(call in calls for calls in known))
        _made.set((*mine, calls.keep(permit)))

    def record_usage(self, provider: str, model: str, tokens_used: int) -> None:
        """Says what the call used that this task made last: what it reserved beyond goes to whoever is next in line.

        Where the task made none (it handed the call to another), it counts for the oldest call that has not said it. It
        never waits.
        """
        seat = self._seat(provider, model)
        calls = self._calls.get(seat.resource)
        mine = next((call for call in reversed(_made.get()) if calls and call in calls), None)
        permit = calls.take(mine) if calls else None
        if permit is not None:
            permit.settle(tokens=tokens_used)
        elif seat.resource not in self._warned:
            self._warned.add(seat.resource)
            logger.warning(
                "%s: record_usage has no call to count for: call wait_and_acquire once before each call of the API, and "
                "record_usage once after it",
                seat.resource,
            )

    def get_usage_stats(self, provider: str | None = None, model: str | None = None) -> dict[str, Any]:
        """Returns how much of each limit is used: of a model, of a provider's models, or of all."""
        if provider is None:
            return {name: self.get_usage_stats(name) for name in self.providers}
        models = self.providers_to_models.get(provider)
        if models is None:
            return {"error": "Provider not registered"}
        if model is None:
            return {name: self.get_usage_stats(provider, name) for name in models}
        seat = self._seat(provider, model)
        if seat.resource not in seat.limiter.resources:
            return {"error": "Model not registered"}
        limits = _per_minute(seat)
        return {f"{metric}_per_minute": _share(limits.get(metric)) for metric in ("requests", "tokens")}

    def _watch(self, path: str) -> None:
        """Begins to write the statistics to a file."""
        self._stats_path = None
        threading.Thread(target=self._write_for_ever, args=(Path(path),), name="paceline-stats", daemon=True).start()

    def _write_for_ever(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_suffix(f".{os.getpid()}")
        while True:
            try:
                stats = {"timestamp": time.time(), "stats": self.get_usage_stats()}
                beside.write_text(json.dumps(stats, indent=2))
                beside.replace(path)
            except (OSError, paceline.PacelineError) as error:
                logger.warning("statistics cannot be written to %s: %s", path, error)
                return
            time.sleep(self._monitor_interval)


def _limiter(config: RateLimitConfig) -> paceline.Limiter:
    accounts: dict[str, Any] = {}
    for provider, limits in config.providers.items():
        account: dict[str, Any] = {model: limit.described() for model, limit in limits.models.items()}
        if not _is_provider(provider):
            account["provider"] = "unknown"
        accounts[provider] = account
    return paceline.Limiter(config=accounts)


def _is_provider(name: str) -> bool:
    try:
        paceline.Limiter(config={name: {"any": {"requests_per_minute": 1}}}, private=True)
    except paceline.ConfigError:
        return False
    return True


def _per_minute(seat: _Seat) -> dict[str, dict[str, Any]]:
    """Returns the limits of a model that are said per minute, by metric."""
    for account in _answer(seat.limiter).values():
        resource = account["resources"].get(seat.resource)
        if resource is not None:
            limits = (account["limits"][name] for name in resource["limits"])
            return {limit["metric"]: limit for limit in limits if limit["window"] == 60.0}
    return {}


def _answer(limiter: paceline.Limiter) -> dict[str, Any]:
    """Returns the state of a limiter, from inside an event loop too: what llm-rate-limiter offers does not await."""
    reply = limiter.snapshot()
    try:
        return reply.wait()
    except RuntimeError:
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(lambda: limiter.snapshot().wait()).result()


def _share(limit: dict[str, Any] | None) -> dict[str, Any]:
    if limit is None:
        return {"current": 0, "limit": 0, "percent": 0}
    current = limit["used"] + limit["held"]
    return {"current": current, "limit": limit["amount"], "percent": current / limit["amount"] * 100}


rate_limiter = RateLimit()
