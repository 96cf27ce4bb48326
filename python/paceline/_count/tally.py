"""What counting gathers of a request: its texts, and the tokens of everything that is no text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import ceil
from typing import Any

from paceline._count import images, media
from paceline._count.models import Model

_BLOB = 4_096
"""A string that has no space in so many characters is data, not text."""


class Tally:
    """Texts to be counted, each by itself, and tokens that are known already."""

    __slots__ = ("certain", "media_detail", "model", "texts", "tokens")

    def __init__(self, model: Model) -> None:
        self.model = model
        self.texts: list[str] = []
        self.tokens = 0
        self.certain = True
        """Whether nothing had to be estimated beside the texts."""
        self.media_detail = "auto"
        """The detail at which pictures are looked at, unless they state their own."""

    def text(self, text: Any) -> None:
        if isinstance(text, str) and text:
            self.texts.append(text)

    def likely(self, tokens: int) -> None:
        """Adds tokens that are an estimate."""
        self.tokens += tokens
        self.certain = False

    def structure(self, value: Any) -> None:
        """Adds what a provider writes out for the model in a form of its own: about its JSON."""
        self.certain = False
        if value is not None and value != {} and value != []:
            self.text(value if isinstance(value, str) else written(value))

    def picture(self, source: Any, detail: Any = None) -> None:
        self._picture(media.size_of(source), detail)

    def picture_of(self, width: Any, height: Any) -> None:
        self._picture((width, height), None)

    def _picture(self, size: tuple[int, int] | None, detail: Any) -> None:
        tokens, certain = images.picture_tokens(
            size, self.model, detail if isinstance(detail, str) else self.media_detail
        )
        self.tokens += tokens
        self.certain = self.certain and certain

    def document(self, source: Any) -> None:
        """Adds a PDF, or another file, by its pages."""
        data = media.data_of(source)
        pages = images.PAGES_UNSEEN if data is None else media.pages_of(data)
        self.likely(pages * images.page_tokens(self.model))

    def sound(self, source: Any, kind: str) -> None:
        data = media.data_of(source)
        rate = images.SECOND_OF_SOUND.get(self.model.vendor, images.SECOND_OF_SOUND["openai"])
        self.likely(ceil((images.SECONDS_UNSEEN if data is None else media.seconds_of(data, kind)) * rate))

    def film(self, source: Any) -> None:
        data = media.data_of(source)
        seconds = images.SECONDS_UNSEEN if data is None else media.seconds_of(data, "film")
        self.likely(ceil(seconds * images.SECOND_OF_FILM))

    def blob(self, kind: str, source: Any) -> None:
        """Adds data of a media type, or of a file name's ending."""
        kind = kind.lower()
        if kind.startswith("image") or kind in ("png", "jpeg", "jpg", "gif", "webp"):
            self.picture(source)
        elif kind.startswith("audio"):
            self.sound(source, kind.partition("/")[2])
        elif kind.startswith("video"):
            self.film(source)
        elif kind.startswith("text") and (data := media.data_of(source)) is not None:
            self.text(data.decode(errors="replace"))
        else:
            self.document(source)


def view(value: Any) -> Mapping[str, Any] | None:
    """Returns a mapping, or what an SDK's object holds as one; ``None`` for anything else."""
    # An abstract class is asked at some cost, and most values are plain.
    if type(value) is dict:
        return value
    if value is None or type(value) is str:
        return None
    if isinstance(value, Mapping):
        return value
    dump = getattr(value, "model_dump", None)
    if callable(dump) and not isinstance(value, type):
        dumped = dump(exclude_none=True)
        return dumped if isinstance(dumped, Mapping) else None
    return None


def first(holder: Mapping[str, Any], *names: str) -> Any:
    """Returns the first of some fields that is not ``None``."""
    for name in names:
        value = holder.get(name)
        if value is not None:
            return value
    return None


def written(value: Any) -> str:
    """Returns a value as compact JSON, what is no JSON by its name, and data by a mark."""
    return json.dumps(_readable(value), ensure_ascii=False, separators=(",", ":"), default=str)


def _readable(value: Any, depth: int = 16) -> Any:
    if isinstance(value, str):
        return value if len(value) < _BLOB or any(space in value[:_BLOB] for space in " \n") else "data"
    if isinstance(value, (bytes, bytearray)):
        return "data"
    held = view(value)
    if held is not None:
        skipped = ("cache_control", "cachePoint")
        return {str(k): _readable(v, depth - 1) for k, v in held.items() if k not in skipped} if depth else "..."
    if isinstance(value, (list, tuple)):
        return [_readable(one, depth - 1) for one in value] if depth else "..."
    if callable(value):
        return [getattr(value, "__name__", ""), getattr(value, "__doc__", None) or ""]
    return value
