"""Limits by provider and model, as llm-rate-limiter's programs build them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from paceline.compat import _limits


@dataclass
class ModelRateLimitConfig:
    """The limits of one model; 0 means that there is no such limit.

    Raises:
        ValueError: a number is negative.
    """

    requests_per_minute: int = 0
    tokens_per_minute: int = 0

    def __post_init__(self) -> None:
        for name in ("requests_per_minute", "tokens_per_minute"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it is a whole number from 0, where 0 is no limit")

    def described(self) -> dict[str, Any]:
        """Returns the model's part of a Paceline configuration.

        >>> ModelRateLimitConfig(requests_per_minute=5).described()
        {'limits': [{'metric': 'requests', 'amount': 5, 'window': '60s', 'algorithm': 'sliding_window'}]}
        """
        amounts = {"requests": self.requests_per_minute, "tokens": self.tokens_per_minute}
        return _limits.described([_limits.window(metric, amount, 60) for metric, amount in amounts.items() if amount])


@dataclass
class ProviderRateLimits:
    """The limits of all models of one provider."""

    models: dict[str, ModelRateLimitConfig] = field(default_factory=dict)


@dataclass
class RateLimitConfig:
    """The limits of all providers."""

    providers: dict[str, ProviderRateLimits] = field(default_factory=dict)

    def get_provider_to_model_name(self) -> dict[str, list[str]]:
        """Returns the names of the models of each provider."""
        return {provider: list(limits.models) for provider, limits in self.providers.items()}


def _model(requests: int, tokens: int) -> ModelRateLimitConfig:
    return ModelRateLimitConfig(requests_per_minute=requests, tokens_per_minute=tokens)


def free_tier() -> RateLimitConfig:
    """Returns what llm-rate-limiter takes where no file is named: a few models of 2025, at the lowest tiers."""
    openai = {
        "gpt-4o": _model(500, 30_000),
        "gpt-4o-mini": _model(500, 200_000),
        "o4-mini": _model(500, 200_000),
    }
    anthropic = {
        "claude-3-7-sonnet-20250219": _model(50, 20_000),
        "claude-3-5-sonnet-20241022": _model(50, 40_000),
    }
    gemini = {
        "gemini/gemini-2.5-pro-preview-03-25": _model(5, 250_000),
        "gemini/gemini-2.5-flash-preview-04-17": _model(10, 250_000),
    }
    named = {"openai": openai, "anthropic": anthropic, "gemini": gemini}
    return RateLimitConfig({provider: ProviderRateLimits(models) for provider, models in named.items()})
