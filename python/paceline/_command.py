"""The ``paceline`` command, as it comes with the package."""

from __future__ import annotations

import signal
import sys

from . import _native


def main() -> int:
    """Runs the command line, and returns its exit code."""
    # The command waits outside of Python, where nobody would look at a signal that Python's handler notes.
    for name in ("SIGINT", "SIGPIPE"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_DFL)
    program = [sys.executable, "-m", "paceline"]
    return _native.run_command(program, ["paceline", *sys.argv[1:]])
