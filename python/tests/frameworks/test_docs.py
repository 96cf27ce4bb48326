"""The page on frameworks: every piece of code in it is run against the fake provider."""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Callable
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


SECTIONS = list(dict.fromkeys(heading for heading, _ in REST))
TELL = """
print("used", sum(
    lane["granted"]
    for ledger in NAME.snapshot().wait().values()
    for resource in ledger["resources"].values()
    for lane in resource["lanes"].values()
))
"""


@pytest.mark.parametrize("section", SECTIONS)
def test_every_piece_runs_and_is_limited(provider: Callable[..., Any], tmp_path: Path, section: str) -> None:
    pieces = [code for heading, code in REST if heading == section]
    absent = [name for code in pieces for name in missing(code)]
    if absent:
        pytest.skip(f"not installed: {', '.join(absent)}")
    fake = provider("openai")
    program = tmp_path / "pieces.py"
    program.write_text(
        "\n".join(FIRST[1] + code + TELL.replace("NAME", "slots" if "slots" in code else "limiter") for code in pieces)
    )
    env = {
        **os.environ,
        "OPENAI_BASE_URL": fake.openai,
        "OPENAI_API_BASE": fake.openai,
        "OPENAI_API_KEY": "key",
        "ANTHROPIC_BASE_URL": fake.url,
        "ANTHROPIC_API_KEY": "key",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LANGSMITH_TRACING": "false",
        "DSPY_CACHEDIR": str(tmp_path),
    }
    run = subprocess.run([sys.executable, program], env=env, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr[-3000:]
    used = [line for line in run.stdout.splitlines() if line.startswith("used")]
    # The pieces' limiters share one memory, save for the one that has slots of its own.
    assert used == [f"used {1 if 'slots' in code else n}" for n, code in enumerate(pieces, 1)], run.stdout
    assert fake.report()["served"] == len([code for code in pieces if "hello." in code])
