"""What the tests of the frameworks share: a provider that the environment names, and a limiter that knows its models."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import paceline
import pytest

LIMITS = """
openai:
  gpt-4o: {requests_per_minute: 60, tokens_per_minute: 60_000, concurrent_requests: 8}
  text-embedding-3-small: {requests_per_minute: 60, tokens_per_minute: 60_000}
anthropic:
  claude-sonnet-5: {requests_per_minute: 60, input_tokens_per_minute: 60_000, output_tokens_per_minute: 60_000}
"""


@pytest.fixture
def openai_env(monkeypatch: pytest.MonkeyPatch, provider: Callable[..., Any]) -> Any:
    """A fake OpenAI that the environment names."""
    fake = provider("openai")
    monkeypatch.setenv("OPENAI_BASE_URL", fake.openai)
    monkeypatch.setenv("OPENAI_API_KEY", "key")
    return fake


@pytest.fixture
def limits(still: Callable[..., Any]) -> Any:
    """A limiter that knows the models of the tests."""
    return still(config=LIMITS)


@pytest.fixture
def still(limiter: Callable[..., Any]) -> Callable[..., Any]:
    """Makes limiters whose time stands still, so that nothing comes back but by settlement."""

    def make(*args: Any, **kwargs: Any) -> Any:
        return limiter(*args, clock=paceline.ManualClock(), **kwargs)

    return make
