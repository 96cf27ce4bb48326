"""Finds the usage block in a response, whatever SDK made it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from paceline._usage.block import Parts, Usage, field, finished, parts_of, whole

INSIDE = ("usage", "usage_metadata", "usageMetadata", "token_usage", "tokenUsage", "amazon-bedrock-invocationMetrics")
"""Under which names a response holds its usage."""

AROUND = ("response", "message", "data", "delta", "metadata", "meta", "chunk", "x_groq", "raw", "response_metadata")
"""Under which names an event or a framework's answer holds what holds the usage."""

DEEPEST = 3
"""How many of them are opened one within the other."""


def read(response: Any) -> Usage | None:
    """Reads what a call used; ``None`` where the response does not tell. Never raises.

    Understood are the responses (objects and dictionaries, JSON text too) of OpenAI's chat completions, completions,
    Responses, embeddings and transcriptions and of all who imitate them, Anthropic, Gemini, Bedrock (Converse, and the
    headers of InvokeModel), Cohere, Mistral, LiteLLM, LangChain, LlamaIndex, pydantic-ai and Ollama; a usage block by
    itself; a mapping of our own names; and a number of tokens. A list is read as a stream's events.

    The keys, all in tokens: ``input_tokens`` (the whole prompt, what was cached included), ``cached_input_tokens``,
    ``cache_write_tokens``, ``output_tokens`` (reasoning included), ``reasoning_tokens``; or ``tokens``, where only the
    sum is known. What a response does not state is left out.

    >>> read({"usage": {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}})
    {'input_tokens': 9, 'output_tokens': 4}
    >>> read({"usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 4, "thoughtsTokenCount": 30}})
    {'input_tokens': 9, 'output_tokens': 34, 'reasoning_tokens': 30}
    >>> read({"input_tokens": 9}), read(120), read("no usage in here")
    ({'input_tokens': 9}, {'tokens': 120}, None)
    """
    try:
        return _read(response)
    except Exception:
        return None


def _read(response: Any) -> Usage | None:
    if isinstance(response, (int, float)):
        tokens = whole(response)
        return None if tokens is None else {"tokens": tokens}
    if isinstance(response, (str, bytes, bytearray)):
        return _read_text(response)
    if isinstance(response, (list, tuple)):
        from paceline._usage.stream import StreamUsage

        stream = StreamUsage()
        stream.feed(response)
        return stream.result()
    return finished(find(response))


def _read_text(text: str | bytes | bytearray) -> Usage | None:
    text = text.encode(errors="replace") if isinstance(text, str) else bytes(text)
    if not text.startswith((b"data:", b"event:")):
        return _read(decode(text))
    from paceline._usage.sse import SseUsage

    stream = SseUsage()
    stream.feed(text)
    return stream.result()


def decode(text: str | bytes | bytearray) -> dict[str, Any] | list[Any] | None:
    """Returns the object or the list that JSON text holds; ``None`` for anything else, and for what states no tokens."""
    if isinstance(text, str):
        text = text.encode(errors="replace")
    if b"oken" not in text and b"_count" not in text:
        return None
    import json

    try:
        decoded = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return decoded if isinstance(decoded, (dict, list)) else None


def find(holder: Any, depth: int = DEEPEST) -> Parts | None:
    """Returns the parts of the usage that a response or an event holds."""
    if holder is None or isinstance(holder, (str, int, float)):
        return None
    if isinstance(holder, (bytes, bytearray)):
        return find(decode(holder), depth)
    for look in _LOOKS:
        parts = look(holder)
        if parts is not None:
            return parts
    if depth:
        for name in AROUND:
            parts = find(field(holder, name), depth - 1)
            if parts is not None:
                return parts
        return find(_further(holder), depth - 1)
    return None


def _inside(holder: Any) -> Parts | None:
    for name in INSIDE:
        block = field(holder, name)
        if callable(block) and type(holder).__module__.startswith("pydantic_ai"):
            block = block()
        parts = parts_of(block)
        if parts is not None:
            return parts
    return None


def _metered_headers(holder: Any) -> Parts | None:
    """Bedrock's InvokeModel and Fireworks state the usage in headers."""
    headers = field(field(holder, "ResponseMetadata"), "HTTPHeaders") or field(holder, "headers")
    if headers is None or not callable(getattr(headers, "get", None)):
        return None
    input_ = _header(headers, "x-amzn-bedrock-input-token-count")
    output = _header(headers, "x-amzn-bedrock-output-token-count")
    if input_ is not None or output is not None:
        cached = _header(headers, "x-amzn-bedrock-cache-read-input-token-count")
        written = _header(headers, "x-amzn-bedrock-cache-write-input-token-count")
        return Parts(input=input_, output=output, cached=cached, written=written, apart=True)
    prompt = _header(headers, "fireworks-prompt-tokens")
    cached = _header(headers, "fireworks-cached-prompt-tokens")
    return None if prompt is None else Parts(input=prompt, cached=cached)


def _header(headers: Any, name: str) -> int | None:
    try:
        return whole(int(headers.get(name)))
    except (TypeError, ValueError):
        return None


_LOOKS: tuple[Callable[[Any], Parts | None], ...] = (_inside, parts_of, _metered_headers)


def _further(holder: Any) -> Any:
    """What else may hold the usage: a body that was read already, an SDK's raw response, LangChain's results."""
    if isinstance(holder, Mapping):
        return None
    if field(holder, "is_closed") is True and field(holder, "status_code") is not None:
        content = field(holder, "content")
        return content if isinstance(content, (bytes, bytearray)) else None
    for name in ("http_response", "llm_output"):
        further = field(holder, name)
        if further is not None:
            return further
    generations = field(holder, "generations")
    while isinstance(generations, list) and generations:
        generations = generations[0]
    return None if isinstance(generations, list) else generations
