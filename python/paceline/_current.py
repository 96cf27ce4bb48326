"""The permit whose block is open, for wrapped clients that are called under it."""

from __future__ import annotations

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


def adopt(limiter: Limiter) -> Permit | None:
    """Takes the permit of the innermost open block that this limiter granted, once; ``None`` where there is none left."""
    block = _open.get()
    while block:
        held, outer = block
        if held.adopt(limiter):
            return held
        block = outer
    return None
