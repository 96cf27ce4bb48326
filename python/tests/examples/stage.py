"""The stage on which an example runs: its folder, and the environment in which it meets a provider."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

EXAMPLES = Path(__file__).resolve().parents[3] / "examples" / "python"


@dataclass
class Stage:
    """A provider, and the environment in which an example meets it."""

    provider: Any
    folder: Path
    env: dict[str, str]
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self, *command: str, **env: str) -> subprocess.Popen[str]:
        """Starts a command in the folder of the examples; it ends with the test."""
        process = subprocess.Popen(
            command,
            cwd=EXAMPLES,
            env={**self.env, **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.started.append(process)
        return process

    def run(self, example: str, *arguments: str, **env: str) -> str:
        """Runs an example to its end, and returns its last line."""
        process = self.start(sys.executable, example, *arguments, **env)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err[-3000:]
        return out.strip().splitlines()[-1]

    def lines(self, count: int, form: str = "Question {n}?") -> str:
        """Writes a file of so many lines, and returns its path."""
        path = self.folder / "prompts"
        path.write_text("".join(form.replace("{n}", str(n)) + "\n" for n in range(count)))
        return str(path)

    def nothing_refused(self, served: int) -> None:
        """Asserts that the provider served so many calls and refused none; one in twenty on a machine that stalls.

        What left in time and arrived later than its limit's ``transit`` allows for is rightly refused, and sent again.
        """
        report = self.provider.report()
        assert report["served"] == served and report["refused"] <= served // 20, report


def until_open(port: int) -> None:
    """Waits, within bounds, until somebody listens."""
    until = time.monotonic() + 20
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert time.monotonic() < until, f"nobody listens on {port}"
        time.sleep(0.02)
