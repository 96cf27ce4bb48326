"""What a provider's answers teach the limiter: a refusal pauses the resource for everyone on the store."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Any, Iterable, Mapping
from weakref import WeakKeyDictionary

from paceline._errors import PacelineError
from paceline._hints import Refusal, read
from paceline._reported import Report, from_words, reports

if TYPE_CHECKING:
    from paceline._limiter import Limiter

_log = logging.getLogger("paceline")

# A used-up credit is refilled by a person, unseen: one call in this many seconds finds out.
_SPENT_FOR = 300.0
_LONGEST = 86_400.0 * 31
# The pause after a refusal that says nothing doubles with each in a row.
_FIRST_GUESS = 1.0
_LONGEST_GUESS = 30.0
# Good answers are listened to this often, in seconds: what they say is older than the calls on their way anyway.
_HEARD_EVERY = 0.1
# A smaller amount that a provider reports holds for an hour, so that it is told again in time.
_TOLD_FOR = 1_800.0


class _Lessons:
    """What was learnt of one limiter's provider."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.guesses: dict[str, tuple[float, float]] = {}
        """The length of the last guessed pause, and when it ends."""
        self.warned: set[tuple[str, str]] = set()
        self.amounts: dict[str, tuple[int, float]] = {}
        self.unknown: set[str] = set()
        self.heard: dict[str, float] = {}


_lessons: WeakKeyDictionary[Limiter, _Lessons] = WeakKeyDictionary()


def tell(
    limiter: Limiter,
    resource: str,
    status: int,
    headers: Mapping[str, str],
    body: Any = None,
    *,
    provider: str | None = None,
    elapsed: float = 0.0,
) -> None:
    """Tells the limiter what a response says about the provider's limits.

    A 429, 503 or 529 pauses the resource: for as long as headers or body (its JSON, decoded or not) say, otherwise for a
    time that doubles with each refusal in a row. Credit that is used up refuses calls for five minutes at a time.
    Headers lower the resource's limits to what the provider says is left, where it is plain which limit they mean.
    ``elapsed`` is how long ago the call left, in seconds. It never raises and never waits.
    """
    try:
        lessons = _lessons.get(limiter)
        if lessons is None:
            lessons = _lessons.setdefault(limiter, _Lessons())
        if status < 400:
            if lessons.guesses:
                lessons.guesses.pop(resource, None)
            now = time.monotonic()
            if now - lessons.heard.get(resource, 0.0) < _HEARD_EVERY:
                return
            lessons.heard[resource] = now
        returns = (provider or resource.partition("/")[0]) not in ("openai", "azure")
        if status < 400:
            _observe(limiter, lessons, resource, reports(_pairs(headers), returns), elapsed)
            return
        refusal = read(status, headers, body)
        if refusal is None:
            return
        _refused(limiter, lessons, resource, refusal)
        if refusal.kind == "rate":
            told = [*reports(_pairs(headers), returns), *from_words(refusal.said, returns)]
            _observe(limiter, lessons, resource, told, elapsed)
    except Exception as error:  # a response that was paid for is never lost to our bookkeeping
        _log.debug("paceline: what %s answered could not be used: %s", resource, error)


def _refused(limiter: Limiter, lessons: _Lessons, resource: str, refusal: Refusal) -> None:
    said = " ".join(refusal.said.split())
    said = said if len(said) <= 200 else said[:200] + "…"
    if refusal.kind == "too_large":
        _warn_once(
            lessons,
            resource,
            refusal.kind,
            f"{resource}: the provider can never serve a call of this size ({said}); its limit is smaller than the configured "
            "one: lower it, so that such calls are refused before they are sent",
        )
        return
    if refusal.kind == "spent":
        limiter.pause(resource, _SPENT_FOR, refuse=True)
        _warn_once(
            lessons,
            resource,
            refusal.kind,
            f"{resource}: the provider says that credit or a spending limit is used up ({said}); calls are refused for "
            f'{_SPENT_FOR:.0f} s at a time; add credit, then limiter.resume("{resource}") lets them go at once',
        )
        return
    seconds = refusal.seconds
    if seconds is None:
        if refusal.kind == "overload":
            return  # nothing is said, and the SDK's own retries back off
        seconds = _guess(lessons, resource)
    seconds = min(seconds, _LONGEST)
    if seconds > 0:
        limiter.pause(resource, seconds)
    if refusal.kind in ("rate", "day"):
        _warn_once(
            lessons,
            resource,
            "rate",
            f"{resource}: the provider refused a call for which there seemed to be room ({said}); all callers pause for "
            f"{seconds:.3g} s; if this repeats, others use the same key or its limits are lower than the configured ones: "
            "set `use: 80%` on the account, or correct the amounts",
        )


def _guess(lessons: _Lessons, resource: str) -> float:
    """The next length, or 0 while the last one runs: calls that were refused together are one refusal."""
    now = time.monotonic()
    with lessons.lock:
        seconds, end = lessons.guesses.get(resource, (_FIRST_GUESS / 2, now))
        if now < end:
            return 0.0
        seconds = min(_LONGEST_GUESS, 2 * seconds)
        lessons.guesses[resource] = (seconds, now + seconds)
    return seconds


def _observe(
    limiter: Limiter, lessons: _Lessons, resource: str, told: Iterable[Report], elapsed: float
) -> None:
    for report in told:
        name = f"{resource}/{report.limit}"
        if name in lessons.unknown:
            continue
        remaining = report.remaining
        if remaining is not None:
            # It was counted when the call arrived, and has been filling since.
            remaining += int(report.amount * elapsed / report.window)
            if 2 * remaining > report.amount:
                remaining = None  # while half is left, nobody needs to know
        amount: int | None = report.amount
        known = lessons.amounts.get(name)
        if known and known[0] == amount and time.monotonic() - known[1] < _TOLD_FOR:
            amount = None
        if remaining is None and amount is None:
            continue
        try:
            limiter.observe(name, remaining=remaining, amount=amount)
        except (PacelineError, LookupError, ValueError):
            lessons.unknown.add(name)
            continue
        if amount is not None:
            lessons.amounts[name] = (amount, time.monotonic())


def _warn_once(lessons: _Lessons, resource: str, kind: str, message: str) -> None:
    with lessons.lock:
        if (resource, kind) in lessons.warned:
            return
        lessons.warned.add((resource, kind))
    _log.warning("%s", message)


def _pairs(headers: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    # httpx decodes and merges all headers to list them; of the raw ones only a few are wanted.
    raw = getattr(headers, "raw", None)
    if raw is None:
        return headers.items()
    return [(name.decode("ascii"), value.decode("latin-1")) for name, value in raw if b"atelimit-" in name.lower()]
