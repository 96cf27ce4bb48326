"""What a provider's refusal means, and how long it says to wait."""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass
from typing import Any, Mapping

_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?")
_SAID = re.compile(
    r"(?:try again|retry) (?:in|after) (?:([\d.]+) ?(milliseconds?|seconds?|minutes?|hours?)|([\dhms.]*[hms]))"
)
_UNITS = {"millisecond": 0.001, "second": 1.0, "minute": 60.0, "hour": 3_600.0}

# Codes and types of refusals that waiting does not cure: PROVIDERS.md, sections 1, 3 and 4.
_SPENT = frozenset(
    {
        "insufficient_quota",
        "credit_balance_exhausted",
        "organization_spend_limit_exceeded",
        "project_spend_limit_exceeded",
        "organization_usage_limit_exceeded",
        "billing_hard_limit_reached",
        "billing_error",
        "enforced_spend_limit_reached",
    }
)
_OVERLOADED = frozenset({"server_is_overloaded", "overloaded_error", "resource_unavailable"})


@dataclass(frozen=True)
class Refusal:
    """A provider's no."""

    kind: str
    """``rate``: a limit is used up. ``day``: that of a day. ``spent``: credit or a spending limit is used up. ``too_large``:
    this one call can never be served. ``ramp``: the rate rose too fast. ``overload``: the provider is busy."""
    seconds: float | None
    """How long it says to wait, where it says so."""
    said: str
    """Its words, or its code."""


def read(status: int, headers: Mapping[str, str], body: Any = None) -> Refusal | None:
    """Reads a refusal; ``None`` where the status is that of another failure.

    ``body`` is the response's JSON, decoded or not.
    """
    error = _error(body)
    codes = {code for code in _codes(error) if isinstance(code, str)}
    message = str(error.get("message") or error.get("Message") or "")
    said = message or next(iter(sorted(codes)), "") or f"status {status}"
    if status == 402 or codes & _SPENT or "You have reached your specified" in message:
        return Refusal("spent", None, said)
    if status not in (429, 503, 529):
        return None
    if message.startswith("Request too large"):
        return Refusal("too_large", None, said)
    wait = _wait(headers, error, message)
    if "slow_down" in codes:
        return Refusal("ramp", wait, said)
    if status != 429 or codes & _OVERLOADED:
        return Refusal("overload", wait, said)
    if any("PerDay" in str(violation.get("quotaId")) for violation in _details(error, "violations")):
        return Refusal("day", _until_midnight_pacific(), said)
    return Refusal("rate", wait, said)


def seconds_of(text: str) -> float | None:
    """Reads a duration: ``20``, ``26.5``, ``84ms``, ``1m30s``, ``23h18m29.144s``.

    >>> [seconds_of(text) for text in ("20", "84ms", "6m0s", "1h1m1.5s", "soon", "")]
    [20.0, 0.084, 360.0, 3661.5, None, None]
    """
    text = text.strip()
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    found = _DURATION.fullmatch(text)
    if not text or not found:
        return None
    days, hours, minutes, seconds, ms = (float(part or 0) for part in found.groups())
    return days * 86_400 + hours * 3_600 + minutes * 60 + seconds + ms / 1_000


def until(text: str) -> float | None:
    """Reads a point in time as the seconds until then: RFC 3339, an HTTP date, or milliseconds since 1970."""
    from datetime import datetime, timezone
    from email.utils import parsedate_to_datetime

    moment: datetime | None = None
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        try:
            moment = parsedate_to_datetime(text)
        except (ValueError, TypeError, IndexError):
            pass
    if moment is None:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return max(0.0, moment.timestamp() - time.time())


def _wait(headers: Mapping[str, str], error: Mapping[str, Any], message: str) -> float | None:
    ms = seconds_of(headers.get("retry-after-ms") or "")
    if ms is not None:
        return ms / 1_000
    header = headers.get("retry-after") or ""
    after = seconds_of(header)
    if after is None and header:
        after = until(header)
    if after is not None:
        return after
    for info in _details(error, "retryDelay"):
        delay = seconds_of(str(info))
        if delay is not None:
            return max(delay, _said(message) or 0.0)
    told = _said(message)
    return told if told is not None else _reset(headers)


def _said(message: str) -> float | None:
    found = _SAID.search(message)
    if not found:
        return None
    if found[1]:
        return float(found[1].rstrip(".") or 0) * _UNITS[found[2].rstrip("s")]
    return seconds_of(found[3].rstrip("."))


def _reset(headers: Mapping[str, str]) -> float | None:
    """The longest reset of the limits of which nothing is left. It says when all is back: later than need be."""
    waits = []
    for name, value in headers.items():
        name = name.lower()
        if "ratelimit" in name and "reset" in name and headers.get(name.replace("reset", "remaining")) in ("0", None):
            wait = _reset_of(value)
            if wait is not None:
                waits.append(wait)
    return max(waits, default=None)


def _reset_of(value: str) -> float | None:
    seconds = seconds_of(value)
    if seconds is None:
        return until(value)
    if seconds > 1e11:
        return max(0.0, seconds / 1_000 - time.time())
    return max(0.0, seconds - time.time()) if seconds > 1e9 else seconds


def _error(body: Any) -> Mapping[str, Any]:
    if isinstance(body, (bytes, bytearray, str)):
        try:
            body = json.loads(body)
        except ValueError:
            return {"message": body if isinstance(body, str) else body.decode(errors="replace")}
    if isinstance(body, list) and body:
        body = body[0]
    if not isinstance(body, dict):
        return {}
    for key in ("error", "Error"):
        inner = body.get(key)
        if isinstance(inner, dict):
            return inner
        if isinstance(inner, str):
            return {**body, "message": body.get("message") or inner}
    return body


def _codes(error: Mapping[str, Any]) -> list[Any]:
    details = error.get("details")
    inner = details.get("error_code") if isinstance(details, dict) else None
    return [error.get("code"), error.get("type"), error.get("Code"), inner]


def _details(error: Mapping[str, Any], key: str) -> list[Any]:
    """All that Google's ``details`` say under a key."""
    found: list[Any] = []
    details = error.get("details")
    for detail in details if isinstance(details, list) else ():
        value = detail.get(key) if isinstance(detail, dict) else None
        if value is not None:
            found += value if isinstance(value, list) else [value]
    return found


def _until_midnight_pacific() -> float:
    from datetime import datetime, timedelta, timezone, tzinfo

    zone: tzinfo
    try:
        from zoneinfo import ZoneInfo

        zone = ZoneInfo("America/Los_Angeles")
    except Exception:  # no time zone data on this machine
        zone = timezone(timedelta(hours=-8))
    today = datetime.now(zone)
    midnight = (today + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight.timestamp() - today.timestamp()
