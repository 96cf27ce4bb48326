"""The types that users see are the types that there are."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import paceline

pytest.importorskip("mypy")
HERE = Path(__file__).parent
SOURCES = Path(paceline.__file__).parents[1]


def mypy(tmp_path: Path, *arguments: str) -> str:
    environment = dict(os.environ)
    if SOURCES.name != "site-packages":
        environment |= {"MYPYPATH": str(SOURCES), "PYTHONPATH": str(SOURCES)}
    ran = subprocess.run([sys.executable, "-m", *arguments], cwd=tmp_path, capture_output=True, text=True, env=environment, timeout=120)
    return (ran.stdout + ran.stderr).strip()


def test_a_file_that_uses_everything_is_typed(tmp_path: Path) -> None:
    said = mypy(tmp_path, "mypy", "--strict", "--python-version", "3.10", "--cache-dir", str(tmp_path / "cache"), str(HERE / "public_api.py"))
    assert said == "Success: no issues found in 1 source file"


def test_wrong_calls_are_found(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.py"
    wrong.write_text(
        "import paceline\n"
        "limiter = paceline.Limiter('a/b', rpm=1)\n"
        "limiter.acquire(3)\n"
        "limiter.acquire(tokens='3')\n"
        "limiter.acquire(timeout='3')\n"
        "limiter.acquire().wait().settle(strict='yes')\n"
        "limiter.nothing()\n"
        "paceline.Permit().nothing\n"
    )
    said = mypy(tmp_path, "mypy", "--strict", "--no-pretty", "--cache-dir", str(tmp_path / "cache"), str(wrong))
    assert {line.split(":")[1] for line in said.splitlines() if ": error:" in line} >= {"3", "4", "5", "6", "7", "8"}, said


def test_the_stub_says_what_is_there(tmp_path: Path) -> None:
    said = mypy(tmp_path, "mypy.stubtest", "paceline._native", "--allowlist", str(HERE / "stubtest.allow"), "--ignore-unused-allowlist")
    assert said == "Success: no issues found in 1 module"
