"""Reads traces: `traces/README.md` describes their syntax."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[3] / "traces"
NEVER = "never"
_UNITS = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}


class Absent(Exception):
    """The trace uses what Python's face does not have."""


def number(text: str) -> int:
    """Reads ``10_000``, ``2^50`` or ``2^50-1``."""
    whole, _, less = text.partition("-")
    base, power, exponent = whole.partition("^")
    value = int(base) ** int(exponent) if power else int(base)
    return value - int(less or 0)


def duration(text: str) -> int:
    """Reads ``30s``, ``1d12h`` or ``250ms``, in milliseconds."""
    parts = re.findall(r"([0-9_^-]+)(ms|[dhms])", text)
    assert parts and "".join(map("".join, parts)) == text, f"not a duration: {text}"
    return sum(number(amount) * _UNITS[unit] for amount, unit in parts)


def written(time: int) -> str:
    """Writes milliseconds as :func:`duration` reads them."""
    text = ""
    for unit, length in _UNITS.items():
        if time >= length:
            text, time = f"{text}{time // length}{unit}", time % length
    return text or "0s"


def tickets(text: str) -> list[str]:
    """Reads ``s1/3``, or several as in ``s1/3..9``."""
    owner, numbers = text.split("/")
    first, _, last = numbers.partition("..")
    return [f"{owner}/{each}" for each in range(int(first), int(last or first) + 1)]


def holds(expected: str, happened: str) -> bool:
    """Whether what happened begins with what was expected, word by word; ``*`` stands for any word."""
    words = happened.split()
    said = expected.split()
    return len(words) >= len(said) and all(word in ("*", seen) for word, seen in zip(said, words))


@dataclass
class Line:
    """A step: its words, the outcome that it should have, and whether it belongs to a batch."""

    at: str
    words: list[str]
    expected: str | None
    batched: bool


@dataclass
class Parts:
    """The configuration that gathers, as `limiter_of_specs` takes it."""

    limits: list[dict[str, Any]] = field(default_factory=list)
    resources: list[dict[str, Any]] = field(default_factory=list)

    def add(self, words: list[str]) -> bool:
        """Takes a line of configuration; false for a line of another kind."""
        if words[0] == "limit":
            self.limits.append(_limit(words[1:]))
        elif words[0] == "resource":
            line = {"line": number(words[3])} if words[2:3] == ["line"] else {}
            self.resources.append({"name": words[1], "lanes": [], **line})
        elif words[0] == "lane":
            said = dict(zip(words[3::2], words[4::2]))
            lane = (words[2], int(said.get("priority", 0)), number(said.get("weight", "1")), duration(said.get("head", "0s")))
            next(one for one in self.resources if one["name"] == words[1])["lanes"].append(lane)
        else:
            return False
        return True


def _limit(words: list[str]) -> dict[str, Any]:
    name, metric, amount, kind, *rest = words
    said: dict[str, Any] = {"id": name, "metric": metric, "amount": number(amount), "kind": kind, "members": []}
    if kind in ("bucket", "sliding"):
        said |= {"window": duration(rest.pop(0)), "burst": number(amount), "slots": 60}
    elif kind == "every":
        said["period"] = duration(rest.pop(0))
    elif kind == "until":
        said["until"] = [duration(time) for time in rest.pop(0).split("..")]
    while rest:
        word = rest.pop(0)
        if word == "members":
            said["members"], rest = [_member(each) for each in rest], []
        elif word in ("until_settled", "shadow"):
            said[word] = 1
        else:
            said[word] = (number if word in ("burst", "slots") else duration)(rest.pop(0))
    return said


def _member(word: str) -> tuple[str, str, list[str]]:
    resource, _, lanes = word.partition(":")
    if not lanes:
        return resource, "all", []
    return resource, "except" if lanes.startswith("!") else "only", lanes.lstrip("!").split("+")


def lines(file: Path) -> Iterator[Line]:
    """Yields the steps of a trace."""
    for index, raw in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        said = raw.split("#")[0]
        if not said.strip():
            continue
        at = f"{file.name}:{index}: {said.strip()}"
        if said.startswith("=>"):
            yield Line(at, ["=>", *said[2:].split()], None, False)
            continue
        command, arrow, expected = said.partition("->")
        yield Line(at, command.split(), expected.strip() if arrow else None, said.startswith(" "))


def _ascends(said: str, seen: dict[str, int]) -> bool:
    session, _, numbers = said.partition("/")
    first, _, last = numbers.partition("..")
    before, seen[session] = seen.get(session, 0), int(last or first)
    return int(first) > before


def lacks(line: Line, configured: bool, seen: dict[str, int]) -> str | None:
    """Says what a step uses that Python's face does not have; ``seen`` are the highest tickets so far."""
    words = line.words
    if line.batched or words[0] == "batch":
        return "one step of several commands"
    if words[0] == "stranger" or words[1:2] in (["touch"], ["close"], ["transfer"]):
        return "sessions"
    if words[1:2] == ["acquire"] and not _ascends(words[0], seen):
        return "tickets that their caller numbers"
    if words[0] == "tick":
        return "a step without a command"
    if words[0] == "record" and any(word.startswith("lane=") for word in words):
        return "record in a lane"
    if words[0] == "remove" or (configured and words[0] in ("limit", "resource", "lane", "configure")):
        return "another configuration of a ledger's own limits"
    return None


def absent(file: Path) -> str | None:
    """Says what a whole trace uses that Python's face does not have."""
    configured = gathered = False
    seen: dict[str, int] = {}
    for step in lines(file):
        part = step.words[0] in ("limit", "resource", "lane")
        if lacking := lacks(step, configured, seen):
            return lacking
        invalid = step.words[0] == "configure" and (step.expected or "").startswith("invalid")
        configured = configured or (gathered and not part and not invalid)
        gathered = (gathered or part) and not invalid
    return None
