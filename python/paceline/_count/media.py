"""Reads off pictures, documents and sounds what their count of tokens depends on, from their first bytes."""

from __future__ import annotations

import re
from typing import Any

_HEAD = 1 << 16
_PAGE = re.compile(rb"/Type\s*/Page(?![a-zA-Z])")
_PAGES = re.compile(rb"/Count\s+(\d{1,6})")
_BYTES_A_PAGE = 75_000
"""Of a document whose pages are packed, so that they cannot be told: bytes of a page of text with some graphics."""

_BYTES_A_SECOND = {"pcm16": 48_000, "wav": 48_000, "film": 125_000}
_MP3_BYTES_A_SECOND = 16_000
"""At 128 kbit a second, which most encoders make by default."""


def data_of(source: Any, most: int | None = None) -> bytes | None:
    """Returns the bytes of base64 text, of a data URL, or bytes as they are; ``None`` where there are none.

    Of text, about the first ``most`` bytes.
    """
    if isinstance(source, (bytes, bytearray, memoryview)):
        return bytes(source)
    if not isinstance(source, str) or source.startswith(("http:", "https:", "gs:", "s3:", "file-")):
        return None
    if source.startswith("data:"):
        source = source.partition(",")[2]
    if most is not None:
        source = source[: most // 3 * 4]
    import base64
    import binascii

    try:
        return base64.b64decode(source + "=" * (-len(source) % 4))
    except (binascii.Error, ValueError):
        return None


def size_of(source: Any) -> tuple[int, int] | None:
    """Returns width and height in pixels of a picture; ``None`` where its bytes do not tell.

    >>> size_of(b"GIF89a" + bytes([64, 1, 200, 0]))
    (320, 200)
    """
    data = data_of(source, _HEAD)
    if data is None:
        return None
    if data.startswith(b"\xff\xd8"):
        return _jpeg_size(data) or _jpeg_size(data_of(source) or b"")
    return _size(data)


def _size(data: bytes) -> tuple[int, int] | None:
    if data.startswith(b"\x89PNG\r\n\x1a\n") and len(data) >= 24:
        return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    if data.startswith((b"GIF87a", b"GIF89a")) and len(data) >= 10:
        return int.from_bytes(data[6:8], "little"), int.from_bytes(data[8:10], "little")
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP" and len(data) >= 30:
        return _webp_size(data)
    return None


def _webp_size(data: bytes) -> tuple[int, int] | None:
    kind = data[12:16]
    if kind == b"VP8X":
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    if kind == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 ":
        return int.from_bytes(data[26:28], "little") & 0x3FFF, int.from_bytes(data[28:30], "little") & 0x3FFF
    return None


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    """The frame's header follows segments of any length: profiles, a thumbnail."""
    at = 2
    while at + 9 <= len(data):
        if data[at] != 0xFF:
            return None
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return int.from_bytes(data[at + 7 : at + 9], "big"), int.from_bytes(data[at + 5 : at + 7], "big")
        elif marker == 0x01 or 0xD0 <= marker <= 0xD8:
            at += 2
        else:
            at += 2 + max(2, int.from_bytes(data[at + 2 : at + 4], "big"))
    return None


def pages_of(data: bytes) -> int:
    """Returns how many pages a PDF has: its page objects, its page tree's count, else by its size."""
    stated = [int(count) for count in _PAGES.findall(data)] if data.startswith(b"%PDF") else []
    seen = max([len(_PAGE.findall(data)), *(count for count in stated if count <= 10_000)])
    return seen or 1 + len(data) // _BYTES_A_PAGE


def seconds_of(data: bytes, kind: str) -> float:
    """Returns how long a sound is; a WAV says how many bytes a second has, others are taken at a usual rate."""
    rate = _BYTES_A_SECOND.get(kind, _MP3_BYTES_A_SECOND)
    if data.startswith(b"RIFF") and data[8:12] == b"WAVE" and len(data) >= 32:
        rate = int.from_bytes(data[28:32], "little") or rate
    return len(data) / rate
