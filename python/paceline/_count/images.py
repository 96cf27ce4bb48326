"""How many tokens pictures, pages, sounds and films have, by the rules of the providers."""

from __future__ import annotations

import re
from math import ceil, floor, sqrt
from typing import NamedTuple

from paceline._count.models import Model

UNSEEN = (2048, 1536)
"""The size in pixels that a picture is taken for where only the provider can see it: a photo's."""


class Tiles(NamedTuple):
    """OpenAI's older rule: a base, and so much for each square of 512 pixels."""

    base: int
    tile: int


class Patches(NamedTuple):
    """OpenAI's newer rule: squares of 32 pixels times a factor, after fitting each detail's edge and budget."""

    percent: int
    low: tuple[int, int | None]
    high: tuple[int, int | None]
    original: tuple[int, int | None]
    auto: tuple[int, int | None]


_SMALL, _ALL = (512, None), (65_535, None)
_FIT_2500, _FIT_6144, _FIT_10000 = (2_048, 2_500), (2_048, 6_144), (6_000, 10_000)
_FIT_1536 = (2_048, 1_536)

_OPENAI: tuple[tuple[str, Tiles | Patches], ...] = (
    (r"gpt-6", Patches(120, _SMALL, (65_535, 2_500), _ALL, _ALL)),
    (r"gpt-5\.6", Patches(120, _SMALL, _FIT_2500, _ALL, _ALL)),
    (r"gpt-5\.5", Patches(120, _SMALL, _FIT_2500, _FIT_10000, _FIT_10000)),
    (r"gpt-5\.4", Patches(120, _FIT_6144, _FIT_2500, _FIT_10000, _FIT_2500)),
    (r"gpt-5\.[23]", Patches(120, _FIT_6144, _FIT_6144, _FIT_6144, _FIT_6144)),
    (r"gpt-4\.1-mini", Patches(162, _FIT_6144, _FIT_6144, _FIT_6144, _FIT_6144)),
    (r"gpt-4\.1-nano", Patches(246, _FIT_1536, _FIT_1536, _FIT_1536, _FIT_1536)),
    (r"gpt-5-mini", Patches(120, _FIT_1536, _FIT_1536, _FIT_1536, _FIT_1536)),
    (r"gpt-5-nano", Patches(150, _FIT_1536, _FIT_1536, _FIT_1536, _FIT_1536)),
    (r"o4-mini", Patches(172, _FIT_1536, _FIT_1536, _FIT_1536, _FIT_1536)),
    (r"gpt-5(\.1)?(-|$)", Tiles(70, 140)),
    (r"gpt-4o-mini", Tiles(2_833, 5_667)),
    (r"gpt-4o|gpt-4\.1|gpt-4\.5|gpt-4-turbo|chatgpt-4o", Tiles(85, 170)),
    (r"o[13](-|$)", Tiles(75, 150)),
    (r"computer-use-preview", Tiles(65, 129)),
)
_UNKNOWN = Tiles(85, 170)

_GEMINI_3 = {"low": 280, "medium": 560, "high": 1_120, "ultra_high": 2_240}
_GEMINI_2 = {"low": 64, "medium": 256}

PAGE_TEXT = 2_250
"""Tokens of the text of one page: the middle of Anthropic's "1,500-3,000 tokens per page" (PDF support, 2026)."""

PAGE = (1_224, 1_584)
"""The size in pixels at which a page is taken to be looked at: a letter's at 144 dots an inch."""

PAGES_UNSEEN = 10
"""How many pages a document has where only the provider can see it."""

SECONDS_UNSEEN = 60
"""How long a sound or a film is where only the provider can hear it."""

SECOND_OF_SOUND = {"gemini": 32, "openai": 10}
"""Tokens a second: Gemini's "32 tokens" (audio guide, 2026), OpenAI's "1 token per 100 ms" (Realtime costs, 2026)."""

SECOND_OF_FILM = 263
"""Tokens a second: Gemini's rate for a frame and its sound (token guide, 2026), the largest of those it gives."""


def picture_tokens(size: tuple[int, int] | None, model: Model, detail: str = "auto") -> tuple[int, bool]:
    """Returns the tokens of a picture, and whether its provider's rule gives them for certain.

    OpenAI: squares of 512 or of 32 pixels by model and ``detail`` (guide "Images and vision", copy of autumn 2026; the
    budgets of models that the guide has dropped since are from its edition of summer 2026). Anthropic: squares of 28
    pixels after fitting 1,568 pixels and tokens, from Claude 4.7 on 2,576 pixels and 4,784 tokens ("Vision" and
    "Coordinates", August 2026). Gemini 3: a number by ``media_resolution``; before it 258 tokens a tile ("Media
    resolution" and "Image understanding", 2026), which the guide calls approximate. Others: OpenAI's first rule.

    >>> from paceline._count.models import model_of
    >>> picture_tokens((1024, 1024), model_of("gpt-4o"), "high")
    (765, True)
    >>> picture_tokens((2048, 2048), model_of("gpt-6-astra"), "high")
    (3000, True)
    >>> picture_tokens((1920, 1080), model_of("claude-opus-4-7"))
    (2691, True)
    """
    seen = size is not None and min(size) > 0
    width, height = size if size is not None and seen else UNSEEN
    if model.vendor == "anthropic":
        return _anthropic(width, height, model.version), seen
    if model.vendor == "gemini":
        return _gemini(width, height, model.version, detail), False
    rule = next((rule for pattern, rule in _OPENAI if re.match(pattern, model.name)), None)
    if isinstance(rule, Patches):
        return _patches(width, height, rule, detail), seen
    tokens = _tiles(width, height, rule or _UNKNOWN, detail)
    return tokens, rule is not None and (seen or detail == "low")


def page_tokens(model: Model) -> int:
    """Returns the tokens of one page of a document: its text and its picture; Gemini gives one number for both."""
    if model.vendor == "gemini":
        return 560 if model.version >= (3, 0) else 258
    return PAGE_TEXT + picture_tokens(PAGE, model)[0]


def _tiles(width: int, height: int, rule: Tiles, detail: str) -> int:
    if detail == "low":
        return rule.base
    longest = max(width, height)
    if longest > 2_048:
        width, height = max(1, width * 2_048 // longest), max(1, height * 2_048 // longest)
    shortest = min(width, height)
    if shortest > 768:
        width, height = width * 768 // shortest, height * 768 // shortest
    return rule.base + rule.tile * ceil(width / 512) * ceil(height / 512)


def _patches(width: int, height: int, rule: Patches, detail: str) -> int:
    fits = {"low": rule.low, "high": rule.high, "original": rule.original}
    edge, budget = fits.get(detail, rule.auto)
    longest = max(width, height)
    if longest > edge:
        width, height = max(1, round(width * edge / longest)), max(1, round(height * edge / longest))
    patches = ceil(width / 32) * ceil(height / 32)
    if budget is not None and patches > budget:
        shrink = sqrt(32 * 32 * budget / (width * height))
        columns, rows = width * shrink / 32, height * shrink / 32
        shrink *= min(floor(columns) / columns, floor(rows) / rows) if min(columns, rows) >= 1 else 1.0
        patches = min(budget, max(1, ceil(floor(width * shrink) / 32)) * max(1, ceil(floor(height * shrink) / 32)))
    return -(-patches * rule.percent // 100)


def _anthropic(width: int, height: int, version: tuple[int, int]) -> int:
    edge, most = (2_576, 4_784) if version >= (4, 7) else (1_568, 1_568)
    long, short = max(width, height), min(width, height)

    def tokens(longer: int) -> int:
        shorter = short if longer == long else max(1, round(longer * short / long))
        return ceil(longer / 28) * ceil(shorter / 28)

    def fits(longer: int) -> bool:
        return ceil(longer / 28) * 28 <= edge and tokens(longer) <= most

    if fits(long):
        return tokens(long)
    good, bad = 1, long
    while good + 1 < bad:
        middle = (good + bad) // 2
        good, bad = (middle, bad) if fits(middle) else (good, middle)
    return tokens(good)


def _gemini(width: int, height: int, version: tuple[int, int], detail: str) -> int:
    if version >= (3, 0):
        return _GEMINI_3.get(detail, 1_120)
    if detail in _GEMINI_2:
        return _GEMINI_2[detail]
    if width <= 384 and height <= 384:
        return 258
    crop = max(1, floor(min(width, height) / 1.5))
    # A strip is cut into no more tiles than a picture of the largest size has.
    return 258 * min(ceil(width / crop) * ceil(height / crop), 32)
