"""Walks through the bodies of all the APIs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from paceline._count.models import model_of
from paceline._count.parts import MESSAGE, NAME, PRIMING, call_of, content, part, resolution
from paceline._count.tally import Tally, first, view
from paceline._count.tools import all_tools, schema_or_documents

_SYSTEM = ("systemInstruction", "system_instruction")
_WRITTEN_OUT = frozenset({"response_format", "text", "output_config", "documents"})
_REMEMBERED = frozenset({"previous_response_id", "conversation", "cachedContent"})


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
        part(tally, value)


def _body(tally: Tally, body: Mapping[str, Any]) -> None:
    config = view(first(body, "generationConfig", "generation_config", "config")) or {}
    detail = first(config, "mediaResolution", "media_resolution")
    if detail is not None:
        tally.media_detail = resolution(detail)
    if "messages" in body:
        _messages(tally, body["messages"], system=first(body, "system"))
    elif "contents" in body:
        content(tally, body["contents"])  # Gemini counts no tokens around messages.
    elif "message" in body:
        _cohere_v1(tally, body)
    elif "input" in body and not is_embedding(body):
        _responses(tally, body)
    else:
        for name in ("input", "inputs", "texts", "prompt", "inputText", "suffix"):
            _texts_or_tokens(tally, body.get(name))
    if "contents" in body:
        content(tally, first(body, *_SYSTEM) or first(config, *_SYSTEM))
        schema_or_documents(tally, "responseSchema", first(config, "responseSchema", "response_schema"))
    all_tools(tally, body, config)
    for name in _WRITTEN_OUT & body.keys():
        schema_or_documents(tally, name, body[name])
    if any(body[name] is not None for name in _REMEMBERED & body.keys()):
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
        content(tally, system)
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
    content(tally, held.get("content"))
    for name in ("reasoning_content", "refusal"):
        tally.text(held.get(name))
    calls = held.get("tool_calls") or ()
    for call in [*calls, held.get("function_call")] if isinstance(calls, (list, tuple)) else ():
        called = view(call)
        if called is not None:
            call_of(tally, view(called.get("function")) or called)


def _responses(tally: Tally, body: Mapping[str, Any]) -> None:
    if body.get("instructions") is not None:
        _message(tally, {"role": "developer", "content": body["instructions"]})
    given = body["input"]
    for item in given if isinstance(given, (list, tuple)) else [{"role": "user", "content": given}]:
        held = view(item) or {"role": "user", "content": item}
        if "role" in held:
            _message(tally, held)
        else:
            part(tally, held)
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
