"""llm-rate-limiter's names on a Paceline limiter: change the import, keep the code.

``from llm_rate_limiter.rate_limit import rate_limiter`` becomes
``from paceline.compat.llm_rate_limiter.rate_limit import rate_limiter``. What differs in behaviour is in
``docs/migrate/llm-rate-limiter.md``.
"""

from __future__ import annotations

from paceline.compat.llm_rate_limiter.configs import ModelRateLimitConfig, ProviderRateLimits, RateLimitConfig
from paceline.compat.llm_rate_limiter.rate_limit import RateLimit, rate_limiter

__all__ = ["ModelRateLimitConfig", "ProviderRateLimits", "RateLimit", "RateLimitConfig", "rate_limiter"]
