"""Limits in the long form of the configuration, as mappings."""

from __future__ import annotations

from typing import Any

Limit = dict[str, Any]


def length(seconds: float) -> str:
    """Returns a length of time as configurations write it.

    >>> length(60), length(0.25)
    ('60s', '250ms')
    """
    millis = round(seconds * 1_000)
    return f"{millis // 1_000}s" if millis % 1_000 == 0 else f"{millis}ms"


def bucket(metric: str, amount: int, seconds: float, *, burst: int | None = None, name: str | None = None) -> Limit:
    """Returns a limit that comes back continuously and saves up to ``burst`` (all of the amount where it is not said)."""
    limit = {"metric": metric, "amount": amount, "window": length(seconds), "algorithm": "token_bucket"}
    if burst is not None:
        limit["burst"] = burst
    if name is not None:
        limit["id"] = name
    return limit


def window(metric: str, amount: int, seconds: float) -> Limit:
    """Returns a limit of which no more than the amount is used in any window."""
    return {"metric": metric, "amount": amount, "window": length(seconds), "algorithm": "sliding_window"}


def described(limits: list[Limit]) -> dict[str, Any]:
    """Returns a resource of a configuration, without a limit on purpose where there is none."""
    return {"limits": limits} if limits else {"unlimited": True}


def resource(name: str, limits: list[Limit]) -> dict[str, Any]:
    """Returns the configuration of one resource of one's own."""
    return {"resources": {name: described(limits)}}
