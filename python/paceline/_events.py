"""What happens in a store, as values."""

from __future__ import annotations

from typing import Any


class Event:
    """Something that happened: ``kind`` says what, and its facts are attributes.

    Kinds: ``queued``, ``granted``, ``refused``, ``cancelled``, ``settled``, ``lease_ended``, ``long_wait``, ``near_limit``, ``no_longer_near``, ``paused``,
    ``resumed``, ``configured``, ``configuration_refused``, ``configuration_differs``, ``store_lost``, ``store_back``,
    ``state_lost``, ``session_expired``, and ``lost`` where the reader was too slow. Times are in seconds.

    >>> event = Event("granted", resource="openai/gpt-4o", waited=0.0)
    >>> event.kind, event.resource
    ('granted', 'openai/gpt-4o')
    """

    __slots__ = ("kind", "facts")

    def __init__(self, kind: str, /, **facts: Any) -> None:
        self.kind = kind
        self.facts = facts

    def __getattr__(self, name: str) -> Any:
        if name in ("facts", "kind"):
            raise AttributeError(name)
        try:
            return self.facts[name]
        except KeyError:
            raise AttributeError(f"an event of the kind {self.kind} has no {name}") from None

    def __getstate__(self) -> tuple[str, dict[str, Any]]:
        return self.kind, self.facts

    def __setstate__(self, state: tuple[str, dict[str, Any]]) -> None:
        self.kind, self.facts = state

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Event):
            return NotImplemented
        return self.kind == other.kind and self.facts == other.facts

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        facts = "".join(f" {name}={value!r}" for name, value in self.facts.items())
        return f"<paceline.Event {self.kind}{facts}>"
