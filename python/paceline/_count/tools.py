"""Adds what a provider writes out for the model beside the messages: tools, schemas of the answer, documents."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from paceline._count.tally import Tally, first, view, written

CLAUDE_TOOLS, CLAUDE_FORCED_TOOLS = 346, 313
"""Tokens of the system prompt that Anthropic adds where there are tools, with tool choice ``auto`` or ``none`` and with
``any`` or ``tool`` ("Tool use", for Claude 3.7 to 4.5; edition of 2025-11)."""


def all_tools(tally: Tally, body: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    """Adds the tools that a body declares, and what their provider adds for them."""
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


def schema_or_documents(tally: Tally, name: str, value: Any) -> None:
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
