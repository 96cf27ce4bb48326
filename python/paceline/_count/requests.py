"""Walks through the bodies of all the APIs, whose parts differ in names and do not clash."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from paceline._count.models import model_of
from paceline._count.tally import Tally, first, view, written

MESSAGE, NAME, PRIMING = 3, 1, 3
"""Tokens around each message, of a name, and of the beginning of the answer."""

CLAUDE_TOOLS, CLAUDE_FORCED_TOOLS = 346, 313
"""Tokens of the system prompt that Anthropic adds where there are tools, with tool choice ``auto`` or ``none`` and with
``any`` or ``tool`` ("Tool use", for Claude 3.7 to 4.5; edition of 2025-11)."""


def tally_of(request: Any, model: str | None) -> Tally:
    """Returns what a request consists of; a text or a list of texts or tokens is taken as it is."""
    body = None if isinstance(request, (str, list, tuple)) else view(request)
    if body is None:
        tally = Tally(model_of(model))
        _plain(tally, request)
        return tally
    body = opened(body)
    name = model or first(body, "model", "modelId", "model_id")
    tally = Tally(model_of(name if isinstance(name, str) else None))
    _body(tally, body)
    return tally


def opened(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """InvokeModel takes its body as JSON."""
    inner = body.get("body")
    if isinstance(inner, (str, bytes, bytearray)) and "messages" not in body:
        import json

        try:
            decoded = json.loads(inner)
        except ValueError:
            return body
        if isinstance(decoded, dict):
            return {**body, **decoded}
    return body


def _plain(tally: Tally, request: Any) -> None:
    if isinstance(request, (list, tuple)) and any(view(one) is not None for one in request):
        _messages(tally, request)
    else:
        _texts_or_tokens(tally, request)


def _texts_or_tokens(tally: Tally, value: Any) -> None:
    """An embedding's input or a completion's prompt: a text, tokens, or a list of either."""
    if isinstance(value, str):
        tally.text(value)
    elif isinstance(value, int) and not isinstance(value, bool):
        tally.tokens += 1
    elif isinstance(value, (list, tuple)):
        for one in value:
            _texts_or_tokens(tally, one)
    elif value is not None:
        _part(tally, value)


def _body(tally: Tally, body: Mapping[str, Any]) -> None:
    config = view(first(body, "generationConfig", "generation_config", "config")) or {}
    detail = first(config, "mediaResolution", "media_resolution")
    if detail is not None:
        tally.media_detail = _resolution(detail)
    if "messages" in body:
        _messages(tally, body["messages"], system=first(body, "system"))
    elif "contents" in body:
        _contents(tally, body["contents"])
    elif "message" in body:
        _cohere_v1(tally, body)
    elif "input" in body and not is_embedding(body):
        _responses(tally, body)
    else:
        for name in ("input", "inputs", "texts", "prompt", "inputText", "suffix"):
            _texts_or_tokens(tally, body.get(name))
    for name in ("systemInstruction", "system_instruction"):
        _content(tally, first(body, name) or first(config, name))
    _all_tools(tally, body, config)
    for name in ("response_format", "text", "output_config", "responseSchema", "documents"):
        _schema_or_documents(tally, name, body.get(name))
    _schema_or_documents(tally, "responseSchema", first(config, "responseSchema", "response_schema"))
    if any(body.get(name) is not None for name in ("previous_response_id", "conversation", "cachedContent")):
        tally.certain = False


def is_embedding(body: Mapping[str, Any]) -> bool:
    """Whether a body that has ``input`` asks for embeddings, and not for an answer.

    >>> is_embedding({"model": "text-embedding-3-small", "input": "hi"}), is_embedding({"model": "gpt-5", "input": "hi"})
    (True, False)
    """
    if any(name in body for name in ("instructions", "max_output_tokens", "tools", "reasoning", "text")):
        return False
    if any(name in body for name in ("encoding_format", "dimensions", "input_type")):
        return True
    if "embed" in str(body.get("model", "")).lower():
        return True
    given = body.get("input")
    return isinstance(given, (list, tuple)) and bool(given) and view(given[0]) is None


def _messages(tally: Tally, messages: Any, system: Any = None) -> None:
    if system is not None:
        tally.tokens += MESSAGE
        _content(tally, system)
    for message in messages if isinstance(messages, (list, tuple)) else ():
        _message(tally, message)
    tally.tokens += PRIMING


def _message(tally: Tally, message: Any) -> None:
    held = view(message)
    if held is None:
        if isinstance(message, (list, tuple)) and len(message) == 2:
            held = {"role": message[0], "content": message[1]}
        else:
            held = {"role": "user", "content": message}
    tally.tokens += MESSAGE
    tally.text(held.get("role"))
    if isinstance(held.get("name"), str):
        tally.tokens += NAME
        tally.text(held["name"])
    _content(tally, held.get("content"))
    for name in ("reasoning_content", "refusal"):
        tally.text(held.get(name))
    calls = held.get("tool_calls") or ()
    for call in [*calls, held.get("function_call")] if isinstance(calls, (list, tuple)) else ():
        called = view(call)
        if called is not None:
            _call(tally, view(called.get("function")) or called)


def _call(tally: Tally, call: Mapping[str, Any]) -> None:
    tally.likely(MESSAGE)
    tally.text(call.get("name"))
    tally.structure(first(call, "arguments", "args", "input", "parameters"))


def _content(tally: Tally, content: Any) -> None:
    if isinstance(content, (list, tuple)):
        for part in content:
            _part(tally, part)
    elif content is not None:
        _part(tally, content)


def _contents(tally: Tally, contents: Any) -> None:
    """Gemini counts no tokens around messages."""
    _content(tally, contents)


def _responses(tally: Tally, body: Mapping[str, Any]) -> None:
    if body.get("instructions") is not None:
        _message(tally, {"role": "developer", "content": body["instructions"]})
    given = body["input"]
    for item in given if isinstance(given, (list, tuple)) else [{"role": "user", "content": given}]:
        held = view(item) or {"role": "user", "content": item}
        if "role" in held:
            _message(tally, held)
        else:
            _part(tally, held)
    tally.tokens += PRIMING


def _cohere_v1(tally: Tally, body: Mapping[str, Any]) -> None:
    tally.certain = False
    history = body.get("chat_history") or ()
    for turn in history if isinstance(history, (list, tuple)) else ():
        held = view(turn) or {}
        _message(tally, {"role": held.get("role"), "content": held.get("message")})
    _message(tally, {"role": "user", "content": body["message"]})
    tally.text(body.get("preamble"))
    tally.tokens += PRIMING


def _part(tally: Tally, part: Any) -> None:
    if isinstance(part, str):
        tally.text(part)
        return
    width, height = getattr(part, "width", None), getattr(part, "height", None)
    if isinstance(width, int) and isinstance(height, int) and not isinstance(part, Mapping):
        tally.picture_of(width, height)
        return
    held = view(part)
    if held is None:
        if part is not None:
            tally.structure(part)
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
    _content(tally, value)
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
        _content(tally, source.get("content"))
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
            _content(tally, source["content"])
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
        tally.media_detail = _resolution(level.get("level"))
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
    _call(tally, inner)
    return True


def _take_own_call(tally: Tally, value: Any, held: Mapping[str, Any]) -> bool:
    if held.get("type") not in ("tool_use", "function_call", "server_tool_use", "custom_tool_call"):
        return False
    _call(tally, held)
    return True


def _take_result(tally: Tally, value: Any, held: Mapping[str, Any]) -> bool:
    tally.likely(MESSAGE)
    inner = view(value)
    if inner is None:
        _content(tally, value)
        return True
    tally.text(inner.get("name"))
    if "content" in inner:
        _content(tally, inner["content"])
    else:
        tally.structure(inner.get("response"))
    return True


def _take_nothing(tally: Tally, value: Any, held: Mapping[str, Any]) -> bool:
    return True


def _take_unseen(tally: Tally, value: Any, held: Mapping[str, Any]) -> bool:
    """What the provider keeps, or only it can read: files by their kind, reasoning by its summary."""
    tally.certain = False
    if held.get("summary"):
        _content(tally, held["summary"])
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


def _all_tools(tally: Tally, body: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    tools = [*_listed(body.get("tools")), *_listed(config.get("tools")), *_listed(body.get("functions"))]
    converse = view(body.get("toolConfig"))
    if converse is not None:
        tools += _listed(converse.get("tools"))
    if not tools:
        return
    if tally.model.vendor != "anthropic" and "contents" not in body and converse is None:
        _openai_tools(tally, tools)
        return
    if tally.model.vendor == "anthropic":
        choice = view(body.get("tool_choice")) or {}
        forced = choice.get("type") in ("any", "tool")
        tally.likely(CLAUDE_FORCED_TOOLS if forced else CLAUDE_TOOLS)
    for tool in tools:
        tally.structure(tool)


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else []


def _openai_tools(tally: Tally, tools: Iterable[Any]) -> None:
    """The formula of OpenAI's cookbook, which was checked against the API for functions with a flat list of properties."""
    begin = 10 if tally.model.vocabulary == "cl100k_base" else 7
    for tool in tools:
        held = view(tool) or {}
        function = view(held.get("function")) or held
        if not isinstance(function.get("name"), str):
            tally.structure(tool)
            continue
        tally.tokens += begin
        tally.text(f"{function['name']}:{_without_dot(function.get('description'))}")
        _properties(tally, view(first(function, "parameters", "input_schema")) or {})
    tally.tokens += 12


def _properties(tally: Tally, schema: Mapping[str, Any], depth: int = 8) -> None:
    properties = view(schema.get("properties"))
    if not properties:
        return
    tally.tokens += 3
    for name, declared in properties.items():
        held = view(declared) or {}
        kind = held.get("type")
        tally.tokens += 3
        choices = _listed(held.get("enum"))
        if choices:
            tally.tokens += 3 * len(choices) - 3
            for choice in choices:
                tally.text(str(choice))
        tally.text(f"{name}:{kind if isinstance(kind, str) else written(kind)}:{_without_dot(held.get('description'))}")
        for inner in (held, view(held.get("items")) or {}):
            if depth and view(inner.get("properties")):
                tally.certain = False
                _properties(tally, inner, depth - 1)
        for option in ("anyOf", "oneOf", "allOf", "$ref"):
            if held.get(option):
                tally.structure(held[option])


def _without_dot(description: Any) -> str:
    text = description if isinstance(description, str) else ""
    return text[:-1] if text.endswith(".") else text


def _schema_or_documents(tally: Tally, name: str, value: Any) -> None:
    """A schema of the answer, or documents to answer from, are written out for the model."""
    if name == "documents":
        for document in _listed(value):
            tally.structure(document)
        return
    held = view(value)
    if held is not None:
        form = view(held.get("format")) or held
        if first(form, "json_schema", "schema") is not None or name == "responseSchema":
            tally.structure(form)
    elif value is not None and name == "responseSchema":
        tally.structure(getattr(value, "__name__", None))


def _resolution(level: Any) -> str:
    return str(getattr(level, "value", level)).lower().removeprefix("media_resolution_")
