"""What the tests of the examples share: limits small enough to be met, and a redis-server."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from stage import Stage, until_open

LIMITS = """
openai:
  gpt-4o:
    requests_per_second: 10
    tokens_per_10_seconds: 40_000
    lanes: {interactive: {priority: 10}, batch: {}}
"""


@pytest.fixture
def example_limits() -> str:
    """The configuration of provider and programs; a test may parametrize it."""
    return LIMITS


@pytest.fixture
def stage(tmp_path: Path, provider: Callable[..., Any], example_limits: str) -> Iterator[Stage]:
    """A fake OpenAI with small limits, and programs that know them."""
    config = tmp_path / "limits.yaml"
    config.write_text(example_limits)
    fake = provider(config=config, latency_ms=20)
    env = {
        **os.environ,
        "PACELINE_CONFIG": str(config),
        "OPENAI_BASE_URL": fake.openai,
        "OPENAI_API_KEY": "one",
        "OPENAI_API_KEY_EU": "two",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LANGSMITH_TRACING": "false",
    }
    found = Stage(fake, tmp_path, env)
    yield found
    for process in found.started:
        process.kill()
    for process in found.started:
        process.communicate()


@pytest.fixture
def redis_url(tmp_path: Path) -> Iterator[str]:
    """A redis-server of this test."""
    server = shutil.which("redis-server")
    if server is None:
        pytest.skip("needs a redis-server")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    quiet = ["--save", "", "--appendonly", "no", "--dir", str(tmp_path)]
    process = subprocess.Popen([server, "--port", str(port), *quiet], stdout=subprocess.DEVNULL)
    until_open(port)
    yield f"redis://127.0.0.1:{port}"
    process.kill()
    process.wait()
