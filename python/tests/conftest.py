"""Fixtures that all tests share: a provider that enforces limits, and limiters of one test."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import hypothesis
import pytest

# How long one example takes says more of the machine than of the code.
hypothesis.settings.register_profile("paceline", deadline=None)
hypothesis.settings.load_profile("paceline")


@dataclass
class FakeProvider:
    """A provider on this machine that enforces its limits, in the words of a real one."""

    address: str
    process: subprocess.Popen[str]

    @property
    def url(self) -> str:
        """Its address, without a path: ``http://127.0.0.1:4711``."""
        return f"http://{self.address}"

    @property
    def openai(self) -> str:
        """The base URL that OpenAI's clients take."""
        return f"{self.url}/v1"

    def report(self) -> dict[str, Any]:
        """What it saw: ``requests``, ``served``, ``refused``, ``in_flight``, ``counted`` and more."""
        with urllib.request.urlopen(f"{self.url}/__report", timeout=10) as answer:
            return dict(json.load(answer))

    def reset(self) -> None:
        """Forgets what it saw, and fills all limits."""
        urllib.request.urlopen(urllib.request.Request(f"{self.url}/__reset", method="POST"), timeout=10).close()


def start_provider(dialect: str = "openai", *, faults: dict[str, float] | None = None, **options: Any) -> FakeProvider:
    """Starts one; the caller ends its process.

    Options are limits (``requests_per_minute=3``), and ``latency_ms``, ``per_token_us``, ``output_tokens``, ``seed`` and
    ``config``. It is quick unless they say otherwise.
    """
    command = shlex.split(os.environ.get("PACELINE_COMMAND", "")) or [sys.executable, "-m", "paceline"]
    flags = {"latency_ms": 2, "per_token_us": 20, "output_tokens": 20}
    limits = {}
    for name, value in options.items():
        (flags if name in {*flags, "seed", "config"} else limits)[name] = value
    command += ["fake-provider", "--json", "--port", "0"]
    if "config" not in flags:
        command += ["--provider", dialect]
    for name, value in flags.items():
        command += [f"--{name.replace('_', '-')}", str(value)]
    for name, value in limits.items():
        command += ["--limit", f"{name}={value}"]
    for name, share in (faults or {}).items():
        command += ["--fault", f"{name}={share}"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, f"the fake provider did not start: {shlex.join(command)}"
    return FakeProvider(json.loads(line)["addr"], process)


@pytest.fixture
def provider() -> Iterator[Callable[..., FakeProvider]]:
    """Starts providers that end with the test: ``provider("anthropic", requests_per_minute=3)``."""
    started: list[FakeProvider] = []

    def start(*args: Any, **kwargs: Any) -> FakeProvider:
        started.append(start_provider(*args, **kwargs))
        return started[-1]

    yield start
    for one in started:
        one.process.kill()
    for one in started:
        one.process.wait()
        if one.process.stdout:
            one.process.stdout.close()


@pytest.fixture
def limiter() -> Iterator[Callable[..., Any]]:
    """Makes limiters on a memory of their own, closed with the test: ``limiter("openai/gpt-4o", rpm=3)``."""
    import paceline

    made: list[Any] = []

    def make(*args: Any, **kwargs: Any) -> Any:
        kwargs.setdefault("store", "memory://")
        kwargs.setdefault("private", kwargs["store"] == "memory://")
        made.append(paceline.Limiter(*args, **kwargs))
        return made[-1]

    yield make
    for one in made:
        one.close()
