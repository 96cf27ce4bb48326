"""Reads off a request's body which model it asks for and what it will want at most."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from paceline._usage.block import whole

_BOUNDS = ("max_completion_tokens", "max_output_tokens", "max_tokens", "max_tokens_to_sample", "max_gen_len")
_BOUNDS_WITHIN = (
    "maxOutputTokens",
    "max_output_tokens",
    "maxTokens",
    "max_tokens",
    "max_new_tokens",
    "maxTokenCount",
)
_WITHIN = ("generationConfig", "generation_config", "config", "inferenceConfig", "textGenerationConfig")
_CHOICES_WITHIN = ("candidateCount", "candidate_count")

COMPLETION_BOUND = 16
"""What a legacy completion is bounded to unless it says so (OpenAI's API reference)."""

_COMPLETING = ("instruct", "davinci", "babbage")


def demand(body: Mapping[str, Any], resolved: str | None = None) -> dict[str, int]:
    """Returns what a call wants, under the names that ``Limiter.acquire`` takes. Never raises.

    ``input_tokens`` as :func:`paceline.count` counts them, and ``max_output_tokens`` where the body bounds the answer:
    the bound times the number of answers (``n``, ``best_of``, ``candidateCount``, prompts of a legacy completion).
    Budgets for thinking are within the bound, but for Qwen's ``thinking_budget``, which comes on top. Embeddings have no
    output. ``resolved`` stands for the body's model where that is an alias.

    >>> demand({"model": "gpt-4o", "prompt": [1, 2, 3], "max_tokens": 50, "n": 2})
    {'input_tokens': 3, 'max_output_tokens': 100}
    >>> demand({"model": "text-embedding-3-small", "input": [1, 2, 3]})
    {'input_tokens': 3, 'max_output_tokens': 0}
    """
    wanted: dict[str, int] = {}
    if not isinstance(body, Mapping):
        return wanted
    try:
        from paceline._count import count

        wanted["input_tokens"] = int(count(body, resolved))
    except Exception:
        wanted.pop("input_tokens", None)
    try:
        most = _most_output(body)
    except Exception:
        most = None
    if most is not None:
        wanted["max_output_tokens"] = most
    return wanted


def model(body: Mapping[str, Any]) -> str | None:
    """Returns the model that a body names, without the folders that clouds put before it; ``None`` where it names none.

    >>> model({"model": "models/gemini-2.5-flash"}), model({"modelId": "us.anthropic.claude-opus-4-7-v1:0"})
    ('gemini-2.5-flash', 'us.anthropic.claude-opus-4-7-v1:0')
    """
    if not isinstance(body, Mapping):
        return None
    for name in ("model", "modelId", "model_id", "model_name", "deployment"):
        named = body.get(name)
        if isinstance(named, str) and named:
            # "openai/gpt-4o" is a name that limiters know; a cloud's path is not.
            return (
                named.rsplit("/", 1)[-1] if named.startswith(("models/", "projects/", "publishers/", "arn:")) else named
            )
    return None


def _most_output(body: Mapping[str, Any]) -> int | None:
    from paceline._count.requests import is_embedding, opened

    body = opened(body)
    if _asks_for_vectors(body) or ("input" in body and "messages" not in body and is_embedding(body)):
        return 0
    within = [config for config in (_config(body, name) for name in _WITHIN) if config is not None]
    bound = _first(body, _BOUNDS)
    for config in within:
        bound = _first(config, _BOUNDS_WITHIN) if bound is None else bound
    prompts = _prompts(body)
    if bound is None and prompts and any(name in str(body.get("model")) for name in _COMPLETING):
        bound = COMPLETION_BOUND
    if bound is None:
        return None
    choices = max(whole(body.get("n")) or 1, whole(body.get("best_of")) or 1)
    for config in within:
        choices = max(choices, _first(config, _CHOICES_WITHIN) or 1)
    thinking = whole(body.get("thinking_budget")) or 0
    return (bound + thinking) * choices * max(1, prompts)


def _asks_for_vectors(body: Mapping[str, Any]) -> bool:
    """Cohere's and Titan's embeddings."""
    if "texts" in body or ("inputs" in body and "input_type" in body):
        return True
    return "inputText" in body and "textGenerationConfig" not in body


def _prompts(body: Mapping[str, Any]) -> int:
    """How many prompts a legacy completion has: a list of numbers is one."""
    given = body.get("prompt")
    if given is None or "messages" in body or "max_tokens_to_sample" in body or "max_gen_len" in body:
        return 0
    return len(given) if isinstance(given, (list, tuple)) and given and not isinstance(given[0], int) else 1


def _config(body: Mapping[str, Any], name: str) -> Any:
    held = body.get(name)
    return held if held is None or isinstance(held, Mapping) else vars(held) if hasattr(held, "__dict__") else None


def _first(holder: Mapping[str, Any], names: tuple[str, ...]) -> int | None:
    for name in names:
        number = whole(holder.get(name))
        if number is not None:
            return number
    return None
