"""The page on frameworks: every piece of code in it is run against the fake provider."""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).resolve().parents[3] / "docs" / "python" / "frameworks.md"


def blocks() -> list[tuple[str, str]]:
    """The pieces of Python, each with the heading it stands under."""
    heading, found = "", []
    for part in re.split(r"(?ms)^(## .*?$|```python\n.*?^```$)", PAGE.read_text()):
        if part.startswith("## "):
            heading = part[3:]
        elif part.startswith("```python"):
            found.append((heading, part.removeprefix("```python\n").removesuffix("```")))
    return found


FIRST, *REST = blocks()


def missing(code: str) -> list[str]:
    """The packages that a piece imports and nobody installed."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            names.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return [name for name in sorted(names) if importlib.util.find_spec(name) is None]


def granted(limiter: Any) -> int:
    """How many calls a limiter let through."""
    resources = [one for ledger in limiter.snapshot().wait().values() for one in ledger["resources"].values()]
    return sum(lane["granted"] for one in resources for lane in one["lanes"].values())


@pytest.fixture
def litellm_as_it_was() -> Iterator[None]:
    """What pieces change in LiteLLM's module ends with them."""
    yield
    if (litellm := sys.modules.get("litellm")) is not None:
        litellm.logging_callback_manager._reset_all_callbacks()
        litellm.in_memory_llm_clients_cache.flush_cache()
        litellm.client_session = None


@pytest.mark.usefixtures("litellm_as_it_was")
@pytest.mark.parametrize(
    "code", [code for _, code in REST], ids=[f"{heading}-{n}" for n, (heading, _) in enumerate(REST)]
)
def test_every_piece_runs_and_is_limited(
    provider: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    code: str,
) -> None:
    if missing(code):
        pytest.skip(f"not installed: {', '.join(missing(code))}")
    fake = provider("openai")
    for name in ("OPENAI_BASE_URL", "OPENAI_API_BASE"):
        monkeypatch.setenv(name, fake.openai)
    monkeypatch.setenv("ANTHROPIC_BASE_URL", fake.url)
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY"):
        monkeypatch.setenv(name, "key")
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    monkeypatch.setenv("LANGSMITH_TRACING", "false")
    monkeypatch.setenv("DSPY_CACHEDIR", str(tmp_path))
    monkeypatch.setenv("PACELINE_STORE", f"memory://{request.node.callspec.id.replace(' ', '-')}")
    names: dict[str, Any] = {"__name__": "frameworks"}
    exec(compile(FIRST[1] + code, str(PAGE), "exec"), names)
    assert granted(names.get("slots") or names["limiter"]) == 1
    assert fake.report()["served"] == ("hello." in code)
