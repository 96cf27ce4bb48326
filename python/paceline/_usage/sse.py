"""Reads what a call used off the raw bytes of a streamed answer."""

from __future__ import annotations

import re
from typing import Any

from paceline._usage.block import Usage
from paceline._usage.stream import StreamUsage

LARGEST = 1 << 20
"""An event of more bytes than this is not decoded: its usage is looked for in its end."""

WINDOW = 1 << 16
"""How many of the last bytes of such an event are kept."""

# Two line ends in a row, whichever they are, hold one of these.
_BLANKS = (b"\n\n", b"\n\r", b"\r\r")
_LINE = re.compile(rb"\r\n|\n|\r")
_STATED = re.compile(rb'"(usage\w*)"\s*:\s*(?=\{)')
_DONE = re.compile(rb'"finish_?[rR]eason"\s*:\s*"')
_BOM = b"\xef\xbb\xbf"


class SseUsage:
    """Splits raw bytes into events and gathers the usage that they state.

    Server-sent events (with any line ends, comments, names, data of several lines, ``[DONE]``), newline-delimited JSON,
    the array of objects that Gemini streams without ``alt=sse``, and a plain JSON body. The bytes come in pieces of any
    size, already decompressed; how they are split changes nothing. At most a megabyte of one event is kept, and events
    that state no usage are not decoded.

    >>> usage = SseUsage()
    >>> usage.feed(b'data: {"choices": [], "usage": {"prompt_tok')
    >>> usage.feed(b'ens": 7, "completion_tokens": 2}}\\n\\ndata: [DONE]\\n\\n')
    >>> usage.result()
    {'input_tokens': 7, 'output_tokens': 2}
    """

    __slots__ = ("_blanks", "_cut", "_events", "_kept", "_stream")

    def __init__(self) -> None:
        self._stream = StreamUsage()
        self._kept = bytearray()
        """The bytes of the event that is not complete."""
        self._cut = 0
        """How many bytes of its beginning were let go."""
        self._events: bool | None = None
        """Whether the bytes are server-sent events; not known before the first of them."""
        self._blanks = list(_BLANKS)
        """The one that came last stands first, so that the others are not looked for further than it."""

    def feed(self, chunk: bytes) -> None:
        """Takes the next bytes. Never raises."""
        heard = len(self._kept)
        self._kept += chunk
        if self._events is None:
            heard = 0
            self._begin()
        if self._events:
            self._split(heard)
        self._shorten()

    def result(self) -> Usage | None:
        """Returns what is known so far, with the keys of ``read``; an event that lacks only its blank line counts."""
        if not self._kept:
            return self._stream.result()
        stream = self._stream.copy()
        if self._events:
            _feed_event(stream, self._kept, self._cut)
        else:
            _feed_plain(stream, self._kept, self._cut)
        return stream.result()

    def _begin(self) -> None:
        while self._kept.startswith(_BOM):
            del self._kept[: len(_BOM)]
        first = self._kept.lstrip()[:1]
        if first and not _BOM.startswith(bytes(self._kept[:3])):
            self._events = bytes(first) not in (b"{", b"[")

    def _split(self, heard: int) -> None:
        """Reads the events that are complete; the bytes heard before hold no blank line."""
        kept = self._kept
        last = max(kept.rfind(blank, max(0, heard - 1)) for blank in _BLANKS)
        if last >= 0:
            self._read_until(last)
            del kept[: last + 2]
            self._cut = 0
        if not self._cut and kept.startswith((b"\n", b"\r")):
            del kept[: len(kept) - len(kept.lstrip(b"\r\n"))]

    def _read_until(self, last: int) -> None:
        kept, done = self._kept, 0
        while stated := _STATED.search(kept, done, last):
            before = max(kept.rfind(blank, done, stated.start()) for blank in _BLANKS)
            start = done if before < 0 else before + 2
            end = self._first_blank(stated.end(), last)
            _feed_event(self._stream, kept[start:end].lstrip(b"\r\n"), 0 if start else self._cut)
            done = end + 2

    def _first_blank(self, start: int, last: int) -> int:
        end, which = last, None
        for blank in self._blanks:
            at = self._kept.find(blank, start, end + 1)
            if 0 <= at < end:
                end, which = at, blank
        if which is not None and which is not self._blanks[0]:
            self._blanks.remove(which)
            self._blanks.insert(0, which)
        return end

    def _shorten(self) -> None:
        size = len(self._kept)
        # The last byte may be half a blank line, which belongs to no event.
        if self._cut + size > LARGEST + 1 and size > 2 * WINDOW:
            old = size - WINDOW - 1
            del self._kept[:old]
            self._cut += old


def _feed_event(stream: StreamUsage, event: bytes | bytearray, cut: int) -> None:
    if not _STATED.search(event):
        return
    if cut + len(event) > LARGEST:
        _feed_end(stream, event)
        return
    data = [line[5:] for line in _LINE.split(event) if line.startswith(b"data:")]
    stream.feed(b"\n".join(data))


def _feed_plain(stream: StreamUsage, body: bytes | bytearray, cut: int) -> None:
    """A body is one JSON document, or one a line."""
    if cut + len(body) > LARGEST:
        _feed_end(stream, body)
        return
    whole = _decoded(body)
    if whole is not None:
        stream.feed(whole)
        return
    for line in body.splitlines():
        if b"oken" in line or b"_count" in line:
            stream.feed(_decoded(line))
    if stream.result() is None:
        _feed_end(stream, body)


def _feed_end(stream: StreamUsage, end: bytes | bytearray) -> None:
    """Of bytes that are no whole document, the last usage counts."""
    import json

    end = end[-WINDOW:]
    # The quotes of such a name within a string are escaped, so that it is none here.
    stated = list(_STATED.finditer(end))
    if not stated:
        return
    last = stated[-1]
    text = bytes(end[last.end() :]).decode(errors="replace")
    try:
        block, _ = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return
    event: dict[str, Any] = {last[1].decode(): block}
    if b'"candidates"' in end and not _DONE.search(end):
        event["candidates"] = [{}]
    stream.feed(event)


def _decoded(text: bytes | bytearray) -> Any:
    import json

    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
