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
told: dict[type, int] = {AsyncDoor: 0, BlockingDoor: 0}


def tell(file: Path, door: type) -> None:
    if file.stem in NOT_HERE:
        pytest.skip(NOT_HERE[file.stem])
    story = Story(door)
    try:
        story.tell(file)
        told[door] += 1
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


def test_most_traces_were_told(request: pytest.FixtureRequest) -> None:
    if sum(item.originalname.startswith("test_trace_through") for item in request.session.items) < 2 * len(FILES):
        pytest.skip("only some of the traces were to be told")
    assert len(FILES) >= 180
    assert told[AsyncDoor] >= 115
    assert told[BlockingDoor] >= 105
