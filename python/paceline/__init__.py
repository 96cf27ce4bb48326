"""Keeps many workers that share an LLM API key inside the provider's limits.

A worker asks before it calls: it is granted, or it keeps its place in line, and the tokens that a call did not use go back.

>>> import paceline
>>> limiter = paceline.Limiter("openai/gpt-4o", rpm=500, tpm=30_000, private=True)
>>> with limiter.acquire(input_tokens=1_200, max_output_tokens=800) as permit:
...     reply = permit.settle(input_tokens=1_180, output_tokens=212)

Under an SDK it is one line: ``client = paceline.wrap(AsyncOpenAI(), limiter)``.
"""

from __future__ import annotations

import atexit
import os
from typing import TYPE_CHECKING, Any

from . import _native
from ._errors import (
    AcquireTimeout,
    Busy,
    ConfigError,
    ExpectedWaitTooLong,
    ForkedStore,
    Impossible,
    LimiterClosed,
    LineFull,
    LinePurged,
    PacelineError,
    Paused,
    PermitOver,
    StoreUnavailable,
    UnknownResource,
)
from ._events import Event
from ._limiter import Limiter
from ._native import Acquire, Events, ManualClock, Permit, Reply

if TYPE_CHECKING:
    from ._count import Count, count
    from ._using import using
    from ._wrap import wrap

__version__: str = _native.__version__

__all__ = [
    "Acquire",
    "AcquireTimeout",
    "Busy",
    "ConfigError",
    "Count",
    "Event",
    "Events",
    "ExpectedWaitTooLong",
    "ForkedStore",
    "Impossible",
    "Limiter",
    "LimiterClosed",
    "LineFull",
    "LinePurged",
    "ManualClock",
    "PacelineError",
    "Paused",
    "Permit",
    "PermitOver",
    "Reply",
    "StoreUnavailable",
    "UnknownResource",
    "count",
    "using",
    "wrap",
]

_MODULES = frozenset(
    {
        "anthropic",
        "bedrock",
        "compat",
        "gemini",
        "langchain",
        "litellm",
        "llama_index",
        "opentelemetry",
        "pydantic_ai",
        "transport",
    }
)
_LATE = {"Count": "_count", "count": "_count", "using": "_using", "wrap": "_wrap"}


def __getattr__(name: str) -> Any:
    """Imports what only some programs need when it is first asked for."""
    if name in _LATE:
        from importlib import import_module

        value = getattr(import_module(f".{_LATE[name]}", __name__), name)
        globals()[name] = value
        return value
    if name in _MODULES:
        from importlib import import_module

        return import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


atexit.register(_native.end)

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_native.forked)
