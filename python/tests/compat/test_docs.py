"""The pages on moving from other limiters: their examples run, and their tables name what is there."""

from __future__ import annotations

import ast
import asyncio
import doctest
import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PAGES = Path(__file__).parents[3] / "docs" / "migrate"
NAMES = ["llmratelimiter", "llm-rate-limiter", "token-throttle", "ratequeue"]
MODULES = [
    "_calls",
    "_limits",
    "_redis",
    "llmratelimiter",
    "llm_rate_limiter.configs",
    "llm_rate_limiter.rate_limit",
    "ratequeue._slot",
    "token_throttle._limiters",
    "token_throttle._openai",
    "token_throttle._quotas",
]


def blocks(page: str, kind: str) -> list[str]:
    """The fenced blocks of one kind."""
    return re.findall(rf"^```{kind}\n(.*?)^```$", (PAGES / f"{page}.md").read_text(), re.DOTALL | re.MULTILINE)


def run(code: str, names: dict[str, Any]) -> None:
    """Runs a block, in which ``await`` may stand at the top."""
    compiled = compile(code, "page", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    result = eval(compiled, names)
    if inspect.iscoroutine(result):
        asyncio.run(result)


@pytest.mark.parametrize("page", NAMES)
def test_the_examples_run(
    page: str, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PACELINE_STORE", f"memory://docs-{page}")
    for number, text in enumerate(blocks(page, "yaml")):
        path = tmp_path / f"limits-{number}.yaml"
        path.write_text(text)
        monkeypatch.setenv("PACELINE_CONFIG", str(path))
        monkeypatch.setenv("RATE_LIMIT_CONFIG_PATH", str(path))
    names: dict[str, Any] = {}
    examples = blocks(page, "python")
    assert examples
    for code in examples:
        run(code.replace("redis://localhost:6379", redis_url), names)
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == []


@pytest.mark.parametrize("page", NAMES)
def test_the_changed_import_works(page: str) -> None:
    for diff in blocks(page, "diff"):
        added = "\n".join(line[1:] for line in diff.splitlines() if line.startswith("+") and "import" in line)
        assert added
        run(added, {})


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_docstrings_run(name: str) -> None:
    module = importlib.import_module(f"paceline.compat.{name}")
    result = doctest.testmod(module)
    assert result.failed == 0


@pytest.mark.parametrize("module", ["llmratelimiter", "llm_rate_limiter.rate_limit", "token_throttle", "ratequeue.aio"])
def test_nothing_but_the_standard_library_is_imported(module: str) -> None:
    """Neither the originals nor what they need."""
    program = f"""
import sys
before = set(sys.modules)
import paceline.compat.{module}
known = set(sys.stdlib_module_names)
print(*sorted({{name.split(".")[0] for name in set(sys.modules) - before}} - known - {{"paceline"}}))
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30)
    assert ran.stdout.split() == []
