"""What a provider's response headers say about its limits, under the names that configurations give them."""

from __future__ import annotations

import re
from typing import Iterable, Iterator, NamedTuple

_UNITS = {1.0: "second", 60.0: "minute", 3_600.0: "hour", 86_400.0: "day"}

_HEADER = re.compile(
    r"(anthropic|x)-ratelimit-(limit|remaining|reset)?-?(requests|req|tokens|input-tokens|output-tokens)"
    r"(?:-(minute|hour|day|limit|remaining|reset))?"
)
_METRICS = {
    "req": "requests",
    "requests": "requests",
    "tokens": "tokens",
    "input-tokens": "input_tokens",
    "output-tokens": "output_tokens",
}
_RELATION = re.compile(
    r"on (requests|tokens|input tokens|output tokens) per (min|day) \(\w+\): Limit (\d+), Used (\d+), Requested \d+"
)


class Report(NamedTuple):
    """What is known of one limit."""

    limit: str
    """Its name within its resource: ``tokens_per_minute``."""
    amount: int
    remaining: int | None
    """What is left; ``None`` where the provider's number is not comparable to ours."""
    window: float
    """In seconds."""


def reports(headers: Iterable[tuple[str, str]], returns: bool) -> Iterator[Report]:
    """Reads the headers of one response.

    ``returns`` says that the provider gives back tokens after a call, or counts them while it runs: what it says is left
    of tokens then lacks what our calls in flight hold apart already, and would count twice.
    """
    found: dict[tuple[str, str, str], dict[str, str]] = {}
    for name, value in headers:
        name = name.lower()
        match = _HEADER.fullmatch(name) if "ratelimit-" in name else None
        if match is None:
            continue
        vendor, field, metric, last = match.groups()
        unit = ""
        if last in ("limit", "remaining", "reset"):
            field = last
        else:
            unit = last or ""
        if field:
            found.setdefault((vendor, metric, unit), {})[field] = value
    for (vendor, noun, unit), fields in found.items():
        report = _report(vendor, _METRICS[noun], unit, fields, returns)
        if report is not None:
            yield report


def from_words(message: str, returns: bool) -> Iterator[Report]:
    """Reads a refusal in OpenAI's words: ``on tokens per min (TPM): Limit 50000, Used 47949, Requested 3006``."""
    for noun, unit, amount, used in _RELATION.findall(message):
        metric = noun.replace(" ", "_")
        window = 60.0 if unit == "min" else 86_400.0
        comparable = metric == "requests" or not returns
        remaining = max(0, int(amount) - int(used)) if comparable else None
        yield Report(f"{metric}_per_{_UNITS[window]}", int(amount), remaining, window)


def _report(vendor: str, metric: str, unit: str, fields: dict[str, str], returns: bool) -> Report | None:
    amount, left = _whole(fields.get("limit")), _whole(fields.get("remaining"))
    # -1 stands for no limit, 0 for one that does not apply, at several vendors.
    if amount is None or amount <= 0 or left is None or not 0 <= left <= amount:
        return None
    if vendor == "anthropic":
        if metric == "tokens":
            return None  # the tightest of several limits, of either kind
        window: float | None = 60.0
        if metric != "requests" and left % 1_000 == 0:
            left += 500  # rounded to the nearest thousand
    elif unit:
        window = next(seconds for seconds, name in _UNITS.items() if name == unit)
    else:
        window = _window(amount, left, fields.get("reset", ""))
    if window is None:
        return None
    comparable = metric == "requests" or (metric == "input_tokens" and vendor == "anthropic") or not returns
    return Report(f"{metric}_per_{_UNITS[window]}", amount, left if comparable else None, window)


def _window(amount: int, left: int, reset: str) -> float | None:
    """The window of a bucket that fills in ``reset``. The same header may speak of the minute or of the day."""
    from paceline._hints import seconds_of

    seconds = seconds_of(reset)
    if seconds is None or left >= amount or reset.isdecimal():
        return None
    share = amount / (amount - left)
    # Vendors round at a millisecond and look at a clock that has gone on; windows are far apart.
    blur = max(0.001, seconds / 10)
    low, high = (seconds - blur) * share, (seconds + blur) * share
    fitting = [window for window in _UNITS if low <= window <= high]
    return fitting[0] if len(fitting) == 1 else None


def _whole(text: str | None) -> int | None:
    try:
        return int(text or "")
    except ValueError:
        return None
