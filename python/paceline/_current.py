"""The permit whose block is open, for wrapped clients that are called under it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Optional

from . import _native

if TYPE_CHECKING:
    from ._native import Limiter, Permit

_open: ContextVar[Optional[tuple[Permit, Any]]] = ContextVar("paceline_open_block", default=None)


def enable() -> None:
    """Notes open blocks from now on; before the first wrapped client nobody asks for them."""
    _native.keep_current(_open)


def permit() -> Permit | None:
    """Returns the permit of the innermost open block."""
    block = _open.get()
    return block[0] if block else None


@contextmanager
def offered(held: Permit) -> Iterator[None]:
    """Offers a permit to the wrapped clients that are called in this block, as an ``acquire`` block does."""
    token = _open.set((held, _open.get()))
    try:
        yield
    finally:
        _open.reset(token)


def adopt(limiter: Limiter, resource: str | None = None) -> Permit | None:
    """Takes the permit of the innermost open block that this limiter granted for the resource, or for any; each permit once.
    ``None`` where there is none left."""
    block = _open.get()
    while block:
        held, outer = block
        if (resource is None or held.resource == resource) and held.adopt(limiter):
            return held
        block = outer
    return None
