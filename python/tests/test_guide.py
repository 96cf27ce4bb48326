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
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PACELINE_")},
        "OPENAI_BASE_URL": provider("openai").openai,
        "OPENAI_API_KEY": "sk-nobody",
    }
    ran = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, f"{page}, snippet {number}:\n{ran.stderr}"
    assert ran.stderr == ""


def test_the_pages_have_their_snippets() -> None:
    assert len(CASES) >= 5
