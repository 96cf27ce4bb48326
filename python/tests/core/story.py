"""Tells a trace to a limiter through a door: tasks of an event loop, or threads."""

from __future__ import annotations

import math
import re
from collections import deque
from pathlib import Path
from typing import Any, Protocol

import paceline
from core import trace
from paceline import _native

Outcome = tuple[str, Any]
"""``("granted", permit)``, ``("queued", ahead)`` or ``("refused", error)``."""


class Door(Protocol):
    """A way of waiting for permits."""

    def ask(self, ticket: str, acquire: paceline.Acquire[paceline.Permit]) -> Outcome:
        """Asks, and returns what is known at once."""

    def decisions(self) -> list[tuple[str, Outcome]]:
        """What became of tickets that waited, since it was last asked, in order."""

    def cancel(self, ticket: str) -> None:
        """Leaves the line."""

    def id_of(self, ticket: str) -> str | None:
        """The id that the permit of a ticket in line will have."""


class Story:
    """One limiter, the time, and what is known of its tickets."""

    def __init__(self, door_of: Any) -> None:
        self.clock = paceline.ManualClock(0.0)
        self.now = 0
        self.parts = trace.Parts()
        self.limiter: paceline.Limiter | None = None
        self.door_of, self.door = door_of, None
        self.metrics: dict[str, set[str]] = {}
        self.permits: dict[str, Any] = {}
        self.waiting: set[str] = set()
        self.decided: deque[str] = deque()

    def tell(self, file: Path) -> None:
        """Tells the whole trace; raises `trace.Absent` before it begins where a step needs what is not there."""
        if lacking := trace.absent(file):
            raise trace.Absent(lacking)
        steps = list(trace.lines(file))
        for step in steps:
            try:
                self.step(step)
            except (AssertionError, paceline.PacelineError, LookupError, ValueError) as error:
                raise AssertionError(f"{step.at}\n{type(error).__name__}: {error}") from error
        self.look(None)

    def step(self, line: trace.Line) -> None:
        words, expected = line.words, line.expected
        if self.parts.add(words):
            return
        if self.limiter is None:
            refused = self.configure()
            if words[0] == "configure":
                # Which rule was broken is said in prose; whose it is can be looked for.
                kind, *rest = (expected or "done").split()
                assert (refused is not None) == (kind == "invalid"), f"happened -> {refused}"
                assert refused is None or rest[1] in re.split(r"[^A-Za-z0-9_^-]+", refused), refused
                return
            assert refused is None, refused
        if words[0] == "=>":
            self.look(None if words[1] == "nothing" else words[1:])
        elif words[0] == "expect":
            self.expect(" ".join(words[1:]))
        elif words[0] == "at":
            self.jump(trace.duration(words[1]))
        elif words[0].startswith("+"):
            self.pass_time(trace.duration(words[0][1:]))
        else:
            self.command(words, expected)

    def configure(self) -> str | None:
        parts, self.parts = self.parts, trace.Parts()
        try:
            self.limiter = _native.limiter_of_specs(parts.limits, parts.resources, self.clock)
        except paceline.ConfigError as error:
            return str(error)
        for limit in parts.limits:
            for resource, _, _ in limit["members"]:
                self.metrics.setdefault(resource, set()).add(limit["metric"])
        self.door = self.door_of(self.limiter)
        return None

    def jump(self, to: int) -> None:
        self.now = to
        self.clock.jump_to(to / 1_000)

    def pass_time(self, by: int) -> None:
        self.now += by
        self.clock.advance(by / 1_000)

    def command(self, words: list[str], expected: str | None) -> None:
        if "/" not in words[0]:
            self.said(expected, self.of_all(words))
            return
        for ticket in trace.tickets(words[0]):
            self.said(expected, self.of_ticket(ticket, words[1], words[2:]))

    def said(self, expected: str | None, happened: str) -> None:
        if expected is None:
            assert happened.split()[0] not in ("queued", "refused", "over"), f"happened -> {happened}"
        else:
            assert trace.holds(_of_the_ledger(expected), happened), f"expected -> {expected}, happened -> {happened}"

    def of_all(self, words: list[str]) -> str:
        command, *rest = words
        said = dict(word.split("=") for word in rest if "=" in word)
        on = self.limiter
        if command == "record":
            on.record(rest[0], **{name: trace.number(value) for name, value in said.items()}).wait()
        elif command == "observe":
            on.observe(rest[0], **{name: trace.number(value) for name, value in said.items()}).wait()
        elif command == "purge":
            on.purge(rest[0], lane=said.get("lane")).wait()
        elif command in ("pause", "resume"):
            self.of_pause(command, *rest)
        else:
            raise AssertionError(f"not a command: {command}")
        return "done"

    def of_pause(self, command: str, kind: str, name: str, *rest: str) -> None:
        on = {"resource": (self.limiter.pause, self.limiter.resume), "limit": (self.limiter.pause_limit, self.limiter.resume_limit)}
        pause, resume = on[kind]
        if command == "resume":
            resume(name).wait()
        else:
            lasting = [trace.duration(word) / 1_000 for word in rest if word != "refuse"]
            pause(name, *lasting, refuse="refuse" in rest).wait()

    def of_ticket(self, ticket: str, command: str, rest: list[str]) -> str:
        if command == "acquire":
            return self.acquire(ticket, rest)
        self.gather()
        amounts = {name: trace.number(value) for name, value in (word.split("=") for word in rest)}
        if command == "cancel":
            return self.cancel(ticket)
        permit = self.permits.get(ticket)
        if permit is None:
            return self.of_no_permit(ticket, command, amounts)
        try:
            if command == "amend":
                return _moved("amended", permit.amend(**amounts).wait()) if not permit.settled else "over"
            if permit.settled:
                ended = self.limiter.settle(permit.id, amounts or None, strict=True)
            else:
                ended = permit.give_back() if command == "give_back" else permit.settle(**amounts)
            return _moved("settled", ended.wait())
        except paceline.PermitOver:
            return "over"

    def cancel(self, ticket: str) -> str:
        if ticket in self.waiting:
            self.waiting.discard(ticket)
            self.door.cancel(ticket)
        elif ticket in self.permits and not self.permits[ticket].settled:
            return _moved("settled", self.permits[ticket].give_back().wait())
        else:
            return "over"
        return "cancelled"

    def of_no_permit(self, ticket: str, command: str, amounts: dict[str, int]) -> str:
        """Ends a permit that was never granted, by the id that it would have."""
        session, _, made_up = ticket.partition("/")
        waits = self.door.id_of(ticket)
        id = waits or f"default.{int(session[1:]):032x}.{made_up}"
        ended = self.limiter.give_back(id) if command == "give_back" else self.limiter.settle(id, amounts or None)
        try:
            return _moved("settled", ended.wait())
        except paceline.PermitOver:
            return "over"

    def acquire(self, ticket: str, words: list[str]) -> str:
        resource, *options = words
        said = dict(word.split("=") for word in options if "=" in word)
        asked: dict[str, Any] = {metric: 0 for metric in self.metrics.get(resource, ())}
        if "lane" in said:
            asked["lane"] = said.pop("lane").replace("{n}", ticket.split("/")[1])
        if "head" in said:
            asked["head_start"] = trace.duration(said.pop("head")) / 1_000
        if "within" in said:
            asked["timeout"] = trace.duration(said.pop("within")) / 1_000
        asked |= {metric: trace.number(amount) for metric, amount in said.items()}
        ask = self.limiter.try_acquire if "try" in options else self.limiter.acquire
        try:
            what, fact = self.door.ask(ticket, ask(resource, **asked))
        except paceline.UnknownResource:
            return "refused no_resource"
        if what == "granted":
            self.keep(ticket, fact)
            return "granted"
        if what == "queued":
            self.waiting.add(ticket)
            return f"queued {fact}"
        return _refused(fact)

    def keep(self, ticket: str, permit: Any) -> None:
        """Keeps a permit for as long as the story lasts: a ledger knows no leases."""
        self.permits[ticket] = permit
        permit.renew(10**9)

    def gather(self) -> None:
        for ticket, (what, fact) in self.door.decisions():
            self.waiting.discard(ticket)
            if what == "granted":
                self.keep(ticket, fact)
                self.decided.append(f"{ticket} granted after {trace.written(round(fact.waited * 1_000))}")
            else:
                self.decided.append(f"{ticket} {_refused(fact)}")

    def look(self, words: list[str] | None) -> None:
        if self.door is None:
            return
        self.gather()
        if words is None:
            assert not self.decided, f"happened => {', '.join(self.decided)}"
            return
        for ticket in trace.tickets(words[0]):
            expected = " ".join([ticket, *words[1:]])
            happened = self.decided.popleft() if self.decided else "nothing"
            assert trace.holds(expected, happened), f"expected => {expected}, happened => {happened}"

    def expect(self, said: str) -> None:
        (account,) = self.limiter.snapshot().wait().values()
        for one in said.split(","):
            *question, answer = one.split()
            # When a store wants to be woken is its own business here: whether it acts in time is what can be seen.
            if question != ["wakeup"]:
                happened = _seen(account, question)
                assert _alike(answer, happened), f"expected {one.strip()}, happened {happened}"


def _of_the_ledger(expected: str) -> str:
    """What can be told of an outcome: ``retry_after`` is an estimate that counts who is ahead, and so names what binds."""
    kind = expected.split()[:2]
    if kind == ["refused", "busy"]:
        return "refused busy * in" if expected.split()[2:3] == ["line"] else expected.partition(" in ")[0]
    return expected.partition(" in ")[0] if kind == ["refused", "too_late"] else expected


def _alike(expected: str, happened: str) -> bool:
    if expected == happened:
        return True
    for read in (trace.number, trace.duration):
        try:
            if str(read(expected)) == happened:
                return True
        except (AssertionError, ValueError):
            pass
    return False


def _seen(account: dict[str, Any], question: list[str]) -> str:
    limits, resources = account["limits"], account["resources"]
    what, *rest = question
    if what in ("left", "held", "amount", "most"):
        return str(limits[rest[0]][what])
    if what in ("known", "paused"):
        among = limits if rest[0] == "limit" else resources
        return ("yes" if rest[1] in among else "no") if what == "known" else _pause(among[rest[1]]["paused_for"])
    if what == "lanes":
        return str(sum(lane["waiting"] > 0 for lane in resources[rest[0]]["lanes"].values()))
    if what == "waiting" and len(rest) == 2:
        lane = resources[rest[0]]["lanes"].get(None if rest[1] == "-" else rest[1])
        return str(lane["waiting"] if lane else 0)
    return str(resources[rest[0]][what])


def _pause(time: float | None) -> str:
    return "no" if time is None else "never" if math.isinf(time) else str(round(time * 1_000))


def _moved(word: str, moved: dict[str, dict[str, int]]) -> str:
    parts = []
    for kind in ("returned", "charged"):
        if moved[kind]:
            parts.append(" ".join([kind, *(f"{metric}={amount}" for metric, amount in sorted(moved[kind].items()))]))
    return f"{word} {' '.join(parts) or 'exactly'}"


def _refused(error: BaseException) -> str:
    """Writes a refusal as traces expect it, out of nothing but an error's class and attributes."""
    if isinstance(error, paceline.Impossible):
        return f"refused impossible {error.limit} wanted {error.wanted} most {error.most}"
    if isinstance(error, paceline.LineFull):
        return f"refused line_full {error.waiting} of {error.most}"
    if isinstance(error, paceline.LinePurged):
        return "refused purged"
    if isinstance(error, paceline.UnknownResource):
        return f"refused unknown_lane {error.name}"
    assert isinstance(error, paceline.Busy), repr(error)
    after = "never" if math.isinf(error.retry_after) else trace.written(round(error.retry_after * 1_000))
    if isinstance(error, paceline.Paused):
        return f"refused paused {after}"
    kind = "too_late" if isinstance(error, paceline.AcquireTimeout) else "busy"
    return f"refused {kind} {error.limit or 'line'} in {after}"
