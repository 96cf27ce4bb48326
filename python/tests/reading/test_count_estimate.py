"""Estimates stay within the error that is stated, and grow with the text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracle import tokens
from texts import ALL, CODE, PROSE

from paceline import count
from paceline._count.models import model_of
from paceline._count.text import estimate

UNKNOWN = model_of(None)


def error(text: str) -> float:
    return estimate([text], UNKNOWN) / tokens("o200k_base", text) - 1


@pytest.mark.parametrize("name", ALL)
def test_every_text_is_within_the_stated_error(name: str) -> None:
    assert abs(error(ALL[name])) <= 0.18


def test_the_average_is_near() -> None:
    errors = [error(text) for text in ALL.values()]
    assert abs(sum(errors) / len(errors)) <= 0.05
    assert sum(map(abs, errors)) / len(errors) <= 0.08


def test_long_mixed_texts_are_nearer() -> None:
    for texts in (PROSE, CODE, ALL):
        assert abs(error("\n\n".join(texts.values()))) <= 0.07


# Texts that no constant was fitted to.
UNSEEN = {
    "letter": "Dear Ms Halloran,\n\nThank you for sending the revised drawings. We have compared them with the survey and found "
    "two differences: the east wall is 40 mm further out than shown, and the stair has eleven risers, not twelve. Could you "
    "let us know by Thursday whether the joinery can still be adapted? Otherwise we would ask for a visit on site.\n\nKind regards",
    "danish": "Havnen lå stille den morgen, og lodsbåden gyngede ved kajen, mens mandskabet ventede på, at tågen skulle lette. "
    "Ingen havde sovet ret meget.",
    "bulgarian": "Онази сутрин пристанището беше тихо, а пилотният катер се поклащаше до кея, докато екипажът чакаше мъглата да се вдигне.",
    "chinese": "限流器需要在请求发出之前估计令牌的数量，并在收到回复之后按照实际用量结算。多出来的部分会立即归还给排队的人。",
    "go": "func (b *Bucket) Take(ctx context.Context, n int64) error {\n\tfor {\n\t\tb.mu.Lock()\n\t\twait := b.fits(n)\n"
    "\t\tb.mu.Unlock()\n\t\tif wait == 0 {\n\t\t\treturn nil\n\t\t}\n\t\tselect {\n\t\tcase <-ctx.Done():\n\t\t\treturn ctx.Err()\n"
    "\t\tcase <-time.After(wait):\n\t\t}\n\t}\n}\n",
    "toml": '[package]\nname = "paceline"\nversion = "0.4.0"\nedition = "2024"\nrust-version = "1.90"\n\n[dependencies]\n'
    'serde = { version = "1", features = ["derive"] }\ntokio = { version = "1.47", default-features = false }\n',
}


@pytest.mark.parametrize("name", UNSEEN)
def test_unseen_texts_are_within_a_third(name: str) -> None:
    assert abs(error(UNSEEN[name])) <= 0.33


@given(st.text(max_size=200), st.text(max_size=50))
def test_estimates_are_numbers_and_do_not_shrink(text: str, more: str) -> None:
    shorter, longer = estimate([text], UNKNOWN), estimate([text, more], UNKNOWN)
    assert 0 <= shorter <= longer


@given(st.text(max_size=200))
def test_lone_surrogates_and_anything_else_is_counted(text: str) -> None:
    assert count(text + "\ud800") >= 0
    assert count(text + "\ud800", "gpt-4o") >= 0


def test_claude_makes_more_tokens_of_a_text_and_newer_ones_still_more() -> None:
    text = PROSE["english"]
    plain, older, newer = (count(text, model) for model in ("unknown", "claude-sonnet-4-5", "claude-sonnet-5"))
    assert plain < older < newer < 2 * plain


@pytest.mark.parametrize(
    ("model", "version"),
    [
        ("claude-3-5-sonnet-20241022", (3, 0)),
        ("claude-sonnet-4-20250514", (4, 0)),
        ("anthropic/claude-opus-4.6", (4, 6)),
        ("claude-haiku-4-5-20251001", (4, 5)),
        ("us.anthropic.claude-opus-4-7-20260416-v1:0", (4, 7)),
        ("claude-opus-4-7@20260416", (4, 7)),
        ("claude-sonnet-5", (5, 0)),
        ("claude-opus-5-5", (5, 5)),
        ("claude-fable-5-1", (5, 1)),
        ("gemini-3.1-pro-preview", (3, 1)),
        ("models/gemini-2.5-flash", (2, 5)),
    ],
)
def test_versions_by_name(model: str, version: tuple[int, int]) -> None:
    assert model_of(model).version == version
