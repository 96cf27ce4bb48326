"""Reads what a call used off the events of a stream."""

from __future__ import annotations

from typing import Any

from paceline._usage.block import Parts, Usage, field, finished
from paceline._usage.read import decode, find


class StreamUsage:
    """Gathers the usage that a stream states, event by event, in any API's format.

    Events are decoded dictionaries, JSON text, or the event objects of any SDK. Usage in streams is cumulative: the last
    word counts (LangChain's message chunks, which state shares, are added up). Of a stream that broke off before its
    end, ``result()`` has the input alone: what the provider produced until then, it does not say.

    >>> usage = StreamUsage()
    >>> usage.feed({"type": "message_start", "message": {"usage": {"input_tokens": 20, "output_tokens": 1}}})
    >>> usage.result()
    {'input_tokens': 20}
    >>> usage.feed({"type": "message_delta", "delta": {}, "usage": {"output_tokens": 55}})
    >>> usage.result()
    {'input_tokens': 20, 'output_tokens': 55}
    """

    __slots__ = ("_parts",)

    def __init__(self) -> None:
        self._parts: Parts | None = None

    def feed(self, event: Any) -> None:
        """Takes the next event, or a list of them. Never raises; an event without usage changes nothing."""
        try:
            self._feed(event)
        except Exception:
            return

    def result(self) -> Usage | None:
        """Returns what is known so far, with the keys of ``read``; ``None`` where no event has told."""
        return finished(self._parts)

    def copy(self) -> StreamUsage:
        """Returns an independent reader that has heard the same."""
        other = StreamUsage()
        other._parts = self._parts
        return other

    def _feed(self, event: Any) -> None:
        inner = field(field(event, "chunk"), "bytes")
        if isinstance(inner, bytes):
            event = inner
        if isinstance(event, (str, bytes, bytearray)):
            event = decode(event)
        if isinstance(event, (list, tuple)):
            for one in event:
                self.feed(one)
            return
        parts = find(event)
        if parts is None:
            return
        if _goes_on(event):
            parts = parts.without_output()
        if self._parts is None:
            self._parts = parts
        else:
            self._parts = parts.plus(self._parts) if _states_shares(event) else parts.over(self._parts)


def _goes_on(event: Any) -> bool:
    """Whether the event is of an answer that is not complete, so that its output is no final number."""
    if field(event, "type") == "message_start":
        return True
    choices = field(event, "choices")
    if isinstance(choices, list) and choices and field(choices[0], "delta") is not None:
        return all(field(choice, "finish_reason") is None for choice in choices)
    candidates = field(event, "candidates")
    if isinstance(candidates, list) and candidates:
        return all((field(one, "finishReason") or field(one, "finish_reason")) is None for one in candidates)
    return False


def _states_shares(event: Any) -> bool:
    names = (type(event).__name__, type(field(event, "message")).__name__)
    return "AIMessageChunk" in names
