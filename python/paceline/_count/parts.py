"""Adds the parts of messages, whose shapes in the APIs differ in names and do not clash."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from paceline._count.tally import Tally, first, view

MESSAGE, NAME, PRIMING = 3, 1, 3
"""Tokens around each message, of a name, and of the beginning of the answer."""


def content(tally: Tally, given: Any) -> None:
    """Adds what a message says: a text, a part, or a list of them."""
    if isinstance(given, (list, tuple)):
        for one in given:
            part(tally, one)
    elif given is not None:
        part(tally, given)


def call_of(tally: Tally, call: Mapping[str, Any]) -> None:
    """Adds a call of a tool."""
    tally.likely(MESSAGE)
    tally.text(call.get("name"))
    tally.structure(first(call, "arguments", "args", "input", "parameters"))


def part(tally: Tally, given: Any) -> None:
    """Adds one part of a message, in the shape of any API."""
    if isinstance(given, str):
        tally.text(given)
        return
    width, height = getattr(given, "width", None), getattr(given, "height", None)
    if isinstance(width, int) and isinstance(height, int) and not isinstance(given, Mapping):
        tally.picture_of(width, height)
        return
    held = view(given)
    if held is None:
        if given is not None:
            tally.structure(given)
        return
    for names, take in _PARTS:
        for name in names:
            value = held.get(name)
            if value is not None and take(tally, value, held):
                return
    tally.structure({name: value for name, value in held.items() if name not in ("type", "id", "role", "status")})


def _take_text(tally: Tally, value: Any, held: Mapping[str, Any]) -> bool:
    if not isinstance(value, str):
        return False
    tally.text(value)
    return True


def _take_parts(tally: Tally, value: Any, held: Mapping[str, Any]) -> bool:
    if held.get("type") in ("tool_result", "search_result"):
        tally.likely(MESSAGE)
    content(tally, value)
    return True


def _take_image_url(tally: Tally, value: Any, held: Mapping[str, Any]) -> bool:
    inner = view(value)
    tally.picture(inner.get("url") if inner else value, (inner or held).get("detail") or held.get("detail"))
    return True


def _take_source(tally: Tally, value: Any, held: Mapping[str, Any]) -> bool:
    """Anthropic's: base64 or text with a media type, a URL, a file, or parts."""
    source = view(value)
    if source is None:
        return False
    kind = str(source.get("media_type") or held.get("type") or "")
    if source.get("type") == "content":
        content(tally, source.get("content"))
    elif source.get("type") == "text":
        tally.text(source.get("data"))
    else:
        tally.blob(kind, first(source, "data", "url", "file_id"))
    for name in ("title", "context"):
        tally.text(held.get(name))
    return True


def _take_converse(kind: str) -> Take:
    """Bedrock's: ``{"image": {"format": "png", "source": {"bytes": ...}}}``."""

    def take(tally: Tally, value: Any, held: Mapping[str, Any]) -> bool:
        inner = view(value)
        if inner is None or "source" not in inner:
            return False
        source = view(inner["source"]) or {}
        tally.text(inner.get("name"))
        if isinstance(source.get("text"), str):
            tally.text(source["text"])
        elif "content" in source:
            content(tally, source["content"])
        else:
            ending = str(inner.get("format", ""))
            tally.blob("text" if ending in ("txt", "md", "csv", "html") else kind, source.get("bytes"))
        return True

    return take


def _take_inline(tally: Tally, value: Any, held: Mapping[str, Any]) -> bool:
    """Gemini's data and files."""
    inner = view(value)
    if inner is None:
        return False
    before = tally.media_detail
    level = view(first(held, "mediaResolution", "media_resolution"))
    if level is not None:
        tally.media_detail = resolution(level.get("level"))
    data = first(inner, "data", "fileUri", "file_uri")
    tally.blob(str(first(inner, "mimeType", "mime_type") or ""), data)
    tally.media_detail = before
    return True


def _take_file(tally: Tally, value: Any, held: Mapping[str, Any]) -> bool:
    inner = view(value)
    if inner is not None and "file_data" not in inner and "file_id" not in inner:
        return False
    tally.document(first(inner, "file_data", "file_id") if inner is not None else value)
    return True


def _take_sound(tally: Tally, value: Any, held: Mapping[str, Any]) -> bool:
    inner = view(value) or {}
    tally.sound(inner.get("data"), str(inner.get("format", "")))
    return True


def _take_base64(tally: Tally, value: Any, held: Mapping[str, Any]) -> bool:
    """LangChain's blocks of data."""
    kind = first(held, "mime_type", "mimeType", "media_type")
    if kind is None and held.get("type") not in ("image", "audio", "video", "file"):
        return False
    tally.blob(str(kind or held.get("type")), value)
    return True


def _take_call(tally: Tally, value: Any, held: Mapping[str, Any]) -> bool:
    inner = view(value)
    if inner is None:
        return False
    call_of(tally, inner)
    return True


def _take_own_call(tally: Tally, value: Any, held: Mapping[str, Any]) -> bool:
    if held.get("type") not in ("tool_use", "function_call", "server_tool_use", "custom_tool_call"):
        return False
    call_of(tally, held)
    return True


def _take_result(tally: Tally, value: Any, held: Mapping[str, Any]) -> bool:
    tally.likely(MESSAGE)
    inner = view(value)
    if inner is None:
        content(tally, value)
        return True
    tally.text(inner.get("name"))
    if "content" in inner:
        content(tally, inner["content"])
    else:
        tally.structure(inner.get("response"))
    return True


def _take_nothing(tally: Tally, value: Any, held: Mapping[str, Any]) -> bool:
    return True


def _take_unseen(tally: Tally, value: Any, held: Mapping[str, Any]) -> bool:
    """What the provider keeps, or only it can read: files by their kind, reasoning by its summary."""
    tally.certain = False
    if held.get("summary"):
        content(tally, held["summary"])
    if "file_id" in held:
        tally.blob(str(held.get("type", "")).removeprefix("input_"), None)
    return True


Take = Callable[[Tally, Any, Mapping[str, Any]], bool]

_PARTS: tuple[tuple[tuple[str, ...], Take], ...] = (
    (("text", "thinking", "refusal", "reasoning"), _take_text),
    (("image_url",), _take_image_url),
    (("input_audio",), _take_sound),
    (("file", "file_data", "file_url"), _take_file),
    (("inlineData", "inline_data", "fileData", "file_data"), _take_inline),
    (("source",), _take_source),
    (("image",), _take_converse("image/*")),
    (("document",), _take_converse("")),
    (("video",), _take_converse("video/*")),
    (("base64", "data", "url"), _take_base64),
    (("functionCall", "function_call", "toolUse"), _take_call),
    (("functionResponse", "function_response", "toolResult", "output"), _take_result),
    (("name",), _take_own_call),
    (("reasoningText", "guardContent", "reasoningContent"), _take_parts),
    (("parts", "content"), _take_parts),
    (("cachePoint",), _take_nothing),
    (("encrypted_content", "summary", "file_id"), _take_unseen),
)
"""By which field a part is known, and how it is counted; the first that takes it counts."""


def resolution(level: Any) -> str:
    """Returns a media resolution as a detail."""
    return str(getattr(level, "value", level)).lower().removeprefix("media_resolution_")
