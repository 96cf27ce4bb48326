"""The command that comes with the package."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import paceline

COMMAND = [sys.executable, "-m", "paceline"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(paceline.__file__).parents[1])}


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=60, env=ENVIRONMENT)


def test_it_is_the_command_line(tmp_path: Path) -> None:
    assert run("--version").stdout == f"paceline {paceline.__version__}\n"
    limits = tmp_path / "limits.yaml"
    limits.write_text("openai:\n  gpt-4o: {rpm: 500, tpm: 30_000}\n")
    assert run("check", str(limits)).returncode == 0


def test_its_exit_codes_are_those_of_the_program(tmp_path: Path) -> None:
    limits = tmp_path / "limits.yaml"
    limits.write_text("openai:\n  gpt-4o: {rpm: -500}\n")
    wrong = run("check", str(limits))
    assert wrong.returncode == 1
    assert "limits.yaml:2:17" in wrong.stdout + wrong.stderr
    assert run("chekc").returncode == 2


def test_an_interrupt_ends_it() -> None:
    provider = subprocess.Popen([*COMMAND, "fake-provider", "--json", "--port", "0"], stdout=subprocess.PIPE, text=True, env=ENVIRONMENT)
    assert provider.stdout is not None
    with provider, provider.stdout:
        assert json.loads(provider.stdout.readline())["addr"]
        provider.send_signal(signal.SIGINT)
        assert provider.wait(timeout=10) is not None


def test_workers_are_started_as_the_command_was() -> None:
    demo = run("demo", "--processes", "2", "--private-redis", "--workers", "4", "--requests", "8", "--time-scale", "10", "--json")
    assert demo.returncode == 0, demo.stderr
    assert json.loads(demo.stdout)
