"""A permit that an adapter holds for a framework's call, offered to the wrapped client that may be under it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from paceline import _current, _failure
from paceline._call import Call


@contextmanager
def offered(call: Call) -> Iterator[None]:
    """Lets the first call of a wrapped client in this block adopt the permit of ``call``, and ends ``call`` if it raises."""
    with _current.offered(call.permit):
        try:
            yield
        except BaseException as error:
            if not _ended(call):
                _failure.end(call, error)
            raise


def settle(call: Call, usage: Any) -> None:
    """Ends a call with a usage, or as reserved, unless who adopted its permit has settled it."""
    if not _ended(call):
        call.settle(usage)


def _ended(call: Call) -> bool:
    if call.permit.settled:
        call._open = False
    return not call._open
