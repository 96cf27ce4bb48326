"""Reads one usage block, in whichever dialect a provider writes it, into Paceline's own names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import ceil, isfinite
from typing import Any, NamedTuple

MOST = (1 << 50) - 1
"""The largest number of tokens that is believed; the ledger holds no larger amount."""

Usage = dict[str, int]
"""What a call used: ``input_tokens`` (the whole prompt, what was cached included), ``cached_input_tokens``,
``cache_write_tokens``, ``output_tokens`` (reasoning included), ``reasoning_tokens``, or ``tokens`` alone."""

Path = tuple[str, ...]


class Parts(NamedTuple):
    """The numbers of a block as its dialect has them; a part that is not stated is ``None``."""

    input: int | None = None
    output: int | None = None
    cached: int | None = None
    written: int | None = None
    reasoning: int | None = None
    tool: int | None = None
    total: int | None = None
    apart: bool = False
    """Whether ``input`` leaves out what was read from and written to the cache."""
    beside: bool = False
    """Whether ``output`` leaves out the reasoning."""

    def over(self, before: Parts) -> Parts:
        """Returns these parts, and those of before where these state nothing."""
        return self._joined(before, lambda new, old: new)

    def plus(self, before: Parts) -> Parts:
        """Returns the sum of two blocks of which each states a share."""
        return self._joined(before, lambda new, old: new + old)

    def _joined(self, before: Parts, join: Callable[[int, int], int]) -> Parts:
        def both(new: int | None, old: int | None) -> int | None:
            return old if new is None else new if old is None else join(new, old)

        return Parts(
            input=both(self.input, before.input),
            output=both(self.output, before.output),
            cached=both(self.cached, before.cached),
            written=both(self.written, before.written),
            reasoning=both(self.reasoning, before.reasoning),
            tool=both(self.tool, before.tool),
            total=both(self.total, before.total),
            apart=self.apart or before.apart,
            beside=self.beside or before.beside,
        )

    def without_output(self) -> Parts:
        """Returns what is known before the answer is complete."""
        return self._replace(output=None, reasoning=None, total=None)


class Dialect(NamedTuple):
    """Where a provider states each part: the first path that leads to a number counts."""

    input: tuple[Path, ...]
    output: tuple[Path, ...]
    cached: tuple[Path, ...] = ()
    written: tuple[Path, ...] = ()
    reasoning: tuple[Path, ...] = ()
    tool: tuple[Path, ...] = ()
    total: tuple[Path, ...] = ()
    apart: bool = False
    beside: bool = False


def _paths(text: str) -> tuple[Path, ...]:
    return tuple(tuple(path.split(".")) for path in text.split())


CHAT = Dialect(
    input=_paths("prompt_tokens"),
    output=_paths("completion_tokens"),
    cached=_paths(
        "prompt_tokens_details.cached_tokens prompt_cache_hit_tokens cached_tokens num_cached_tokens "
        "cache_read_input_tokens"
    ),
    written=_paths(
        "prompt_tokens_details.cache_write_tokens prompt_tokens_details.cache_creation_tokens "
        "cache_creation_input_tokens"
    ),
    reasoning=_paths("completion_tokens_details.reasoning_tokens reasoning_tokens"),
    total=_paths("total_tokens"),
)
"""Chat completions, legacy completions and embeddings of OpenAI and of all who speak like it (Azure, Mistral, Groq,
DeepSeek, OpenRouter, LiteLLM, vLLM)."""

MESSAGES = Dialect(
    input=_paths("input_tokens"),
    output=_paths("output_tokens"),
    cached=_paths("cache_read_input_tokens"),
    written=_paths("cache_creation_input_tokens"),
    reasoning=_paths("output_tokens_details.thinking_tokens"),
    apart=True,
)
"""Anthropic's Messages, whose ``input_tokens`` are those after the last cache breakpoint."""

RESPONSES = Dialect(
    input=_paths("input_tokens"),
    output=_paths("output_tokens"),
    cached=_paths(
        "input_tokens_details.cached_tokens input_token_details.cached_tokens input_token_details.cache_read "
        "cached_input_tokens cache_read_tokens"
    ),
    written=_paths("input_tokens_details.cache_write_tokens input_token_details.cache_creation cache_write_tokens"),
    reasoning=_paths(
        "output_tokens_details.reasoning_tokens output_tokens_details.thinking_tokens "
        "output_token_details.reasoning reasoning_tokens details.reasoning_tokens"
    ),
    total=_paths("total_tokens"),
)
"""OpenAI's Responses, transcriptions and Realtime; LangChain's ``UsageMetadata``; pydantic-ai's usages; our own names."""

GEMINI = Dialect(
    input=_paths("promptTokenCount prompt_token_count"),
    output=_paths(
        "candidatesTokenCount candidates_token_count responseTokenCount response_token_count generation_token_count"
    ),
    cached=_paths("cachedContentTokenCount cached_content_token_count"),
    reasoning=_paths("thoughtsTokenCount thoughts_token_count"),
    tool=_paths("toolUsePromptTokenCount tool_use_prompt_token_count"),
    total=_paths("totalTokenCount total_token_count"),
    beside=True,
)
"""Gemini's ``usageMetadata``, by REST and by google-genai; Llama on Bedrock shares its snake case."""

INTERACTIONS = Dialect(
    input=_paths("total_input_tokens"),
    output=_paths("total_output_tokens"),
    cached=_paths("total_cached_tokens"),
    reasoning=_paths("total_thought_tokens"),
    tool=_paths("total_tool_use_tokens"),
    total=_paths("total_tokens"),
    beside=True,
)
"""Gemini's Interactions."""

CONVERSE = Dialect(
    input=_paths("inputTokens inputTokenCount inputTextTokenCount"),
    output=_paths("outputTokens outputTokenCount"),
    cached=_paths("cacheReadInputTokens cacheReadInputTokenCount"),
    written=_paths("cacheWriteInputTokens cacheWriteInputTokenCount"),
    apart=True,
)
"""Bedrock's Converse, its invocation metrics, and Titan's bodies."""

COHERE = Dialect(
    input=_paths("tokens.input_tokens billed_units.input_tokens"),
    output=_paths("tokens.output_tokens billed_units.output_tokens"),
    cached=_paths("cached_tokens"),
)
"""Cohere: ``tokens`` is what the model read and wrote, ``billed_units`` what is paid for."""

OLLAMA = Dialect(input=_paths("prompt_eval_count"), output=_paths("eval_count"))
"""Ollama's own API."""

DIALECTS = (CHAT, MESSAGES, RESPONSES, GEMINI, CONVERSE, COHERE, INTERACTIONS, OLLAMA)


def parts_of(block: Any) -> Parts | None:
    """Returns the parts of a usage block; ``None`` where no dialect fits.

    >>> finished(parts_of({"prompt_tokens": 12, "completion_tokens": 5}))
    {'input_tokens': 12, 'output_tokens': 5}
    >>> finished(parts_of({"input_tokens": 3, "cache_read_input_tokens": 90, "output_tokens": 5}))
    {'input_tokens': 93, 'cached_input_tokens': 90, 'output_tokens': 5}
    """
    if block is None or isinstance(block, (str, bytes, int, float)):
        return None
    for dialect in DIALECTS:
        input_, output = _number(block, dialect.input), _number(block, dialect.output)
        if input_ is None and output is None:
            continue
        cached, written = _number(block, dialect.cached), _written(block, dialect)
        if dialect is MESSAGES and cached is None and written is None:
            continue
        return Parts(
            input=input_,
            output=output,
            cached=cached,
            written=written,
            reasoning=_number(block, dialect.reasoning),
            tool=_number(block, dialect.tool),
            total=_number(block, dialect.total),
            apart=dialect.apart,
            beside=dialect.beside,
        )
    total = _number(block, (("tokens",), ("total_tokens",)))
    return None if total is None else Parts(total=total)


def finished(parts: Parts | None) -> Usage | None:
    """Returns parts under Paceline's names, cached tokens within the input and reasoning within the output."""
    if parts is None:
        return None
    input_, output = parts.input, parts.output
    if input_ is not None:
        input_ += parts.tool or 0
        if parts.apart:
            input_ += (parts.cached or 0) + (parts.written or 0)
    if parts.beside and (output is not None or parts.reasoning is not None):
        output = (output or 0) + (parts.reasoning or 0)
    output = _by_total(parts, input_, output)
    stated = {
        "input_tokens": input_,
        "cached_input_tokens": _within(parts.cached, input_),
        "cache_write_tokens": _within(parts.written, input_),
        "output_tokens": output,
        "reasoning_tokens": _within(parts.reasoning, output),
    }
    if input_ is None and output is None:
        stated = {"tokens": parts.total}
    return {name: min(number, MOST) for name, number in stated.items() if number is not None} or None


def _by_total(parts: Parts, input_: int | None, output: int | None) -> int | None:
    """Embeddings state no output, and xAI none of its reasoning: the total tells both."""
    if parts.total is None or input_ is None:
        return output
    rest = parts.total - input_
    if output is None:
        return rest if rest >= 0 else None
    if not parts.beside and parts.reasoning and rest == output + parts.reasoning:
        return rest
    return output


def _within(part: int | None, whole: int | None) -> int | None:
    return part if part is None or whole is None else min(part, whole)


def _written(block: Any, dialect: Dialect) -> int | None:
    """Anthropic, and LangChain after it, may state what was written by the cache's lifetime only."""
    written = _number(block, dialect.written)
    by_lifetime = "cache_creation" if dialect is MESSAGES else "input_token_details" if dialect is RESPONSES else None
    if written or by_lifetime is None:
        return written
    lives = (_number(block, ((by_lifetime, f"ephemeral_{life}_input_tokens"),)) for life in ("5m", "1h"))
    known = [life for life in lives if life is not None]
    return sum(known) if known else written


def _number(block: Any, paths: tuple[Path, ...]) -> int | None:
    for path in paths:
        value = block
        for name in path:
            value = field(value, name)
            if value is None:
                break
        number = whole(value)
        if number is not None:
            return number
    return None


def field(holder: Any, name: str) -> Any:
    """Returns a field of a mapping or an object; ``None`` where it has none, or reading it fails."""
    # An abstract class is asked at some cost, and most holders are plain dictionaries.
    if type(holder) is dict:
        return holder.get(name)
    try:
        if isinstance(holder, Mapping):
            return holder.get(name)
        return getattr(holder, name, None)
    except Exception:
        return None


def whole(value: Any) -> int | None:
    """Returns a believable count: not negative, not a truth value, not NaN; a fraction is rounded up."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    if isinstance(value, float):
        if not isfinite(value):
            return None
        value = ceil(value)
    return value if 0 <= value <= MOST else None
