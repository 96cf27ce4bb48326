"""What the native part asks of Python: usages of SDK responses, demands of request bodies, and warnings about both."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

_log = logging.getLogger("paceline")
_unread: set[str] = set()
_settled_before: set[str] = set()

_NAMED = frozenset(
    {
        "tokens",
        "input_tokens",
        "cached_input_tokens",
        "cache_write_tokens",
        "output_tokens",
        "reasoning_tokens",
        "requests",
    }
)


def usage_of(usage: Any, strict: bool) -> dict[str, int]:
    """Returns what a call used: a mapping of metrics as it is, an SDK's response as its provider reported it.

    What cannot be read is charged as reserved, with one warning for each type; ``strict`` makes it a ``ValueError``.
    """
    if isinstance(usage, Mapping) and _is_plain(usage):
        return dict(usage)
    from ._usage import read

    used = read(usage)
    if used is not None:
        return used
    kind = f"{type(usage).__module__}.{type(usage).__qualname__}"
    if strict:
        raise ValueError(f"no usage can be read off a {kind}: settle with numbers, such as output_tokens=")
    if kind not in _unread:
        _unread.add(kind)
        _log.warning(
            "no usage can be read off a %s, so the call is charged as reserved; settle with numbers, such as "
            "output_tokens=, and on streams have the provider report its usage (stream_options={'include_usage': True})",
            kind,
        )
    return {}


def _is_plain(usage: Mapping[Any, Any]) -> bool:
    """Whether a mapping names metrics and whole amounts, and is no response's usage."""
    if not usage or not all(isinstance(name, str) for name in usage):
        return False
    if not all(isinstance(value, int) and not isinstance(value, bool) for value in usage.values()):
        return False
    return bool(_NAMED & usage.keys()) and not any(name.endswith("_input_tokens") and name not in _NAMED for name in usage)


def demand_of(body: Any) -> tuple[str | None, dict[str, int]]:
    """Returns the model that a request body names, and the demand that it comes to."""
    from ._request import demand, model

    if not isinstance(body, Mapping):
        raise TypeError(f"request= is the body of a call, a mapping with its model and messages, not a {type(body).__name__}")
    return model(body), demand(body)


def on_error(said: Any, error: BaseException) -> dict[str, int] | None:
    """Returns what an exception inside a block settles: ``None`` gives the permit back.

    It never raises: the exception of the block is what its caller is to see.
    """
    if callable(said):
        try:
            said = said(error)
        except Exception:
            _log.exception("on_error raised, so the call is charged as reserved")
            return {}
        if said is None:
            return {}
    if said == "give_back":
        return None
    used: dict[str, Any] | None
    if isinstance(said, str):
        used = {} if said == "spend" else None
    else:
        used = {"tokens": said} if isinstance(said, (int, float)) else usage_of(said, False)
    if used is None or not all(map(_is_amount, used.values())):
        _log.warning(
            'on_error is %r, so the call is charged as reserved; it can be "give_back", "spend", a usage, or a function of '
            "the exception",
            said,
        )
        return {}
    return used


def _is_amount(value: Any) -> bool:
    """Whether the native part takes a value for an amount."""
    if isinstance(value, bool) or not (isinstance(value, float) or hasattr(value, "__index__")):
        return value is None
    return bool(value == int(value) if not isinstance(value, float) else value.is_integer()) and 0 <= value <= 2**50


def settled_before(permit: str, resource: str) -> None:
    """Warns, once for each resource, that a permit was ended twice."""
    if resource not in _settled_before:
        _settled_before.add(resource)
        _log.warning(
            "%s: permit %s has ended before, and nothing is settled again; settle each permit once", resource, permit
        )
