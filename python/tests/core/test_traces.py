"""The ledger's rules, told by `traces/*.trace`, hold through both doors of Python's face."""

from __future__ import annotations

from pathlib import Path

import pytest

from core import trace
from core.doors import AsyncDoor, BlockingDoor, Uncancellable
from core.story import Story

FILES = sorted(trace.FOLDER.glob("*.trace"))
NOT_HERE = {
    "line-a-refused-ticket-sets-nothing-aside": "a clock that is set does what is due, and nobody is left whom the refused ticket could hold up",
}


def tell(file: Path, door: type) -> None:
    if file.stem in NOT_HERE:
        pytest.skip(NOT_HERE[file.stem])
    story = Story(door)
    try:
        story.tell(file)
    except (trace.Absent, Uncancellable) as lacking:
        pytest.skip(f"the face has no such thing: {lacking}")
    finally:
        if story.door is not None:
            story.door.close()


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_trace_through_tasks(file: Path) -> None:
    tell(file, AsyncDoor)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_trace_through_threads(file: Path) -> None:
    tell(file, BlockingDoor)


def test_most_traces_are_told() -> None:
    """Coverage does not shrink unseen."""
    told = [file for file in FILES if file.stem not in NOT_HERE and trace.absent(file) is None]
    without_cancels = [file for file in told if all("cancel" not in line.words for line in trace.lines(file))]
    assert len(FILES) >= 180 and len(told) >= 115 and len(without_cancels) >= 110
