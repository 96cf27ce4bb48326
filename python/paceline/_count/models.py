"""What is known of models by their names: the vendor, the vocabulary, and how their tokens differ from an estimate."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple


class Model(NamedTuple):
    """What counting needs to know of a model."""

    name: str
    """The bare name: no provider, no folder, no organization's suffix."""
    vendor: str
    """``openai``, ``anthropic``, ``gemini``, or empty."""
    vocabulary: str | None
    """The vocabulary that its texts are counted with; ``None``: they are estimated."""
    known: bool
    """Whether the vocabulary is the model's own by its vendor's word, not only likely."""
    ascii_rate: float
    """Tokens that this model makes of ASCII text, for each that an estimate has."""
    other_rate: float
    """The same of every other character."""
    version: tuple[int, int]
    """Of Claude and Gemini, the generation by which their rules for pictures change."""


_O200K = re.compile(
    r"(chatgpt-4o|gpt-4o|gpt-4\.1|gpt-4\.5|gpt-5|o1|o3|o4-mini|gpt-oss|codex-mini|computer-use-preview|gpt-audio|gpt-realtime)"
    r"(?![0-9])"
)
_CL100K = re.compile(
    r"(gpt-4|gpt-3\.5|gpt-35)(?![0-9.])|(text-embedding-3-|text-embedding-ada-002|davinci-002|babbage-002)"
)
_OPENAI = re.compile(r"gpt-|o[0-9](-|$)|chatgpt|codex-|text-embedding-|davinci|babbage|computer-use")
_CLAUDE = re.compile(r"claude-(?:opus|sonnet|haiku|fable|mythos)-(\d{1,2})(?:[-.](\d{1,2}))?(?!\d)")
_CLAUDE_3 = re.compile(r"claude-(?:v?[12]|instant|3)\b")
_GEMINI = re.compile(r"gem(?:ini|ma)[a-z-]*?-(\d+)(?:\.(\d+))?")


@lru_cache(maxsize=256)
def model_of(name: str | None) -> Model:
    """Returns what is known of a model by any of the names that SDKs, routers and clouds have for it.

    The vocabularies are those that OpenAI's tiktoken 0.14 maps its models to. A newer OpenAI model whose vocabulary is
    not published is counted with ``o200k_base`` as an estimate.

    Claude's vocabulary is not published either. Up to Claude 4.6 it is taken for 1.15 times the estimate (Claude 2's,
    which was published, makes 1.04 to 1.16 times o200k_base's tokens of English and code, 1.2 to 3.8 times of other
    languages); from Claude 4.7 on 1.3 times that: "approximately 30% more tokens for the same text" (Anthropic on
    Claude Sonnet 5, docs of mid-2026). Gemini's documentation gives four characters a token, as the estimate does.

    >>> model_of("azure/gpt-4o-mini").vocabulary, model_of("ft:gpt-4-0613:acme::x").vocabulary
    ('o200k_base', 'cl100k_base')
    >>> model_of("us.anthropic.claude-opus-4-7-v1:0").version
    (4, 7)
    """
    bare = _bare(name or "")
    if "claude" in bare:
        version = _claude_version(bare)
        rates = (1.5, 2.0) if version >= (4, 7) else (1.15, 1.7)
        return Model(bare, "anthropic", None, False, *rates, version)
    if gemini := _GEMINI.match(bare):
        return Model(bare, "gemini", None, False, 1.0, 1.0, (int(gemini[1]), int(gemini[2] or 0)))
    if _O200K.match(bare):
        return Model(bare, "openai", "o200k_base", True, 1.0, 1.0, (0, 0))
    if _CL100K.match(bare):
        return Model(bare, "openai", "cl100k_base", True, 1.0, 1.0, (0, 0))
    if _OPENAI.match(bare):
        return Model(bare, "openai", "o200k_base", False, 1.0, 1.0, (0, 0))
    return Model(bare, "", None, False, 1.0, 1.0, (0, 0))


def _bare(name: str) -> str:
    bare = name.lower().rsplit("/", 1)[-1]
    if bare.startswith("ft:"):
        bare = bare[3:]
    # Bedrock has its region and vendor before the name, and everyone else's suffixes come after a colon or an @.
    bare = re.sub(r"^(?:[a-z-]+\.)?(anthropic|openai)\.", "", bare)
    return re.split(r"[:@]", bare, maxsplit=1)[0]


def _claude_version(bare: str) -> tuple[int, int]:
    if match := _CLAUDE.search(bare):
        return int(match[1]), int(match[2] or 0)
    return (3, 0) if _CLAUDE_3.search(bare) else (5, 0)
