"""Every Python snippet of the README and of the guide runs, against the fake provider."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = ["README.md", "docs/python.md"]


def snippets(page: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", (ROOT / page).read_text(), flags=re.M | re.S)


CASES = [(page, number, code) for page in PAGES for number, code in enumerate(snippets(page), 1)]


@pytest.mark.parametrize(("page", "number", "code"), CASES, ids=[f"{page}-{number}" for page, number, _ in CASES])
def test_the_snippet_runs(page: str, number: int, code: str, provider: Any) -> None:
    ran = run(code, provider)
    assert ran.returncode == 0, f"{page}, snippet {number}:\n{ran.stderr}"
    assert ran.stderr == ""


def test_the_first_snippet_runs_on_redis(provider: Any, tmp_path: Path) -> None:
    path = tmp_path / "redis.sock"
    arguments = ["--port", "0", "--unixsocket", str(path), "--save", "", "--dir", str(tmp_path)]
    server = subprocess.Popen(["redis-server", *arguments], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        assert any("Ready to accept connections" in line or "ready to accept" in line for line in server.stdout)
        ran = run(snippets("README.md")[0], provider, PACELINE_STORE=f"redis+unix://{path}")
        assert ran.returncode == 0, ran.stderr
    finally:
        server.kill()
        server.wait()


def run(code: str, provider: Any, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PACELINE_")},
        "OPENAI_BASE_URL": provider("openai").openai,
        "OPENAI_API_KEY": "sk-nobody",
        **variables,
    }
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60)


def test_the_pages_have_their_snippets() -> None:
    assert len(CASES) >= 5
