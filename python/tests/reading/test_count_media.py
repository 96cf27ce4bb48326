"""Pictures, pages and sounds count by the providers' rules, at the sizes that their own bytes state."""

from __future__ import annotations

import base64
import io
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from paceline import count
from paceline._count.images import UNSEEN, picture_tokens
from paceline._count.media import pages_of, seconds_of, size_of
from paceline._count.models import model_of


def drawn(width: int, height: int, form: str, **options: Any) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height), (200, 120, 40)).save(out, form, **options)
    return out.getvalue()


def url(data: bytes, kind: str = "image/png") -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "WEBP"])
@pytest.mark.parametrize("size", [(1, 1), (320, 200), (1023, 4097)])
def test_sizes_are_read_off_what_pillow_writes(form: str, size: tuple[int, int]) -> None:
    data = drawn(*size, form)
    assert size_of(data) == size
    assert size_of(url(data, f"image/{form.lower()}")) == size
    assert size_of(base64.b64encode(data).decode()) == size


def test_other_kinds_of_webp_and_jpeg() -> None:
    assert size_of(drawn(300, 40, "WEBP", lossless=True)) == (300, 40)
    assert size_of(drawn(300, 40, "WEBP", exif=b"Exif\0\0" + bytes(200))) == (300, 40)
    assert size_of(drawn(300, 40, "JPEG", progressive=True)) == (300, 40)


def test_a_jpeg_whose_tables_come_before_its_size() -> None:
    plain = drawn(300, 40, "JPEG")
    tables = b"\xff\xc4" + struct.pack(">H", 31) + bytes(range(29))
    assert size_of(plain[:2] + tables + plain[2:]) == (300, 40)


def test_a_jpeg_whose_size_comes_after_much_else() -> None:
    plain = drawn(300, 40, "JPEG")
    profile = b"\xff\xe2" + struct.pack(">H", 65_000) + bytes(64_998)
    data = plain[:2] + profile * 4 + plain[2:]
    assert size_of(data) == (300, 40)
    assert size_of(url(data)) == (300, 40)


@pytest.mark.parametrize(
    "source",
    [None, 5, "", "https://example.com/a.png", "data:image/png;base64,%%%", b"\x89PNG", b"\xff\xd8\xff", "file-123"],
)
def test_what_has_no_size(source: Any) -> None:
    assert size_of(source) is None


@given(
    st.binary(max_size=80), st.sampled_from([b"", b"\xff\xd8", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"RIFF\0\0\0\0WEBP"])
)
def test_garbage_has_a_size_or_none(data: bytes, head: bytes) -> None:
    size_of(head + data)
    size_of(base64.b64encode(head + data).decode())


# Numbers that OpenAI's guide "Images and vision" works out itself.
@pytest.mark.parametrize(
    ("model", "size", "detail", "tokens"),
    [
        ("gpt-4o", (1024, 1024), "high", 765),
        ("gpt-4o", (2048, 4096), "high", 1105),
        ("gpt-4o", (4096, 8192), "low", 85),
        ("gpt-4.1-nano", (1800, 2400), "high", -(-1452 * 246 // 100)),
        ("gpt-5-mini", (1024, 1024), "high", 1229),
        ("gpt-6-astra", (1024, 1024), "high", 1229),
        ("gpt-6-astra", (2048, 2048), "high", 3000),
        ("gpt-6-astra", (4096, 512), "high", 2458),
    ],
)
def test_openai_as_its_guide_works_it_out(model: str, size: tuple[int, int], detail: str, tokens: int) -> None:
    assert picture_tokens(size, model_of(model), detail) == (tokens, True)


@pytest.mark.parametrize(
    ("model", "size", "detail", "tokens"),
    [
        ("gpt-4o", (300, 200), "auto", 85 + 170),
        ("gpt-4o", (4096, 1024), "auto", 85 + 170 * 4),
        ("gpt-4o-mini", (1024, 1024), "auto", 2833 + 4 * 5667),
        ("gpt-5.1", (1024, 1024), "low", 70),
        ("gpt-5", (1024, 1024), "auto", 70 + 4 * 140),
        ("o3", (1024, 1024), "auto", 75 + 4 * 150),
        ("gpt-5.6-sol", (1024, 1024), "low", 308),
        ("gpt-5.6-sol", (6400, 4800), "auto", 36_000),
        ("gpt-5.5", (6400, 4800), "auto", 115 * 86 * 120 // 100),
        ("gpt-5.4", (1024, 1024), "low", 1229),
        ("gpt-4.1-mini", (2048, 2048), "high", -(-4096 * 162 // 100)),
    ],
)
def test_openai_by_its_rules(model: str, size: tuple[int, int], detail: str, tokens: int) -> None:
    assert picture_tokens(size, model_of(model), detail)[0] == tokens


# Numbers that Anthropic's guides "Vision" and "Coordinates" give.
@pytest.mark.parametrize(
    ("model", "size", "tokens"),
    [
        ("claude-opus-4-7", (200, 200), 64),
        ("claude-opus-4-7", (1000, 1000), 1296),
        ("claude-opus-4-7", (1092, 1092), 1521),
        ("claude-opus-4-7", (1920, 1080), 2691),
        ("claude-opus-5", (3840, 2160), 4784),
        ("claude-sonnet-4-6", (3840, 2160), 1560),
        ("claude-sonnet-4-6", (1075, 1520), 33 * 47),
        ("claude-sonnet-4-6", (1520, 1075), 33 * 47),
    ],
)
def test_anthropic_as_its_guides_work_it_out(model: str, size: tuple[int, int], tokens: int) -> None:
    assert picture_tokens(size, model_of(model)) == (tokens, True)


@pytest.mark.parametrize(
    ("model", "size", "detail", "tokens"),
    [
        ("gemini-2.5-flash", (384, 384), "auto", 258),
        ("gemini-2.5-flash", (960, 540), "auto", 6 * 258),
        ("gemini-2.5-flash", (960, 540), "low", 64),
        ("gemini-3.1-pro", (960, 540), "auto", 1120),
        ("gemini-3.1-pro", (960, 540), "low", 280),
        ("gemini-3.1-pro", (960, 540), "ultra_high", 2240),
    ],
)
def test_gemini_by_its_guides(model: str, size: tuple[int, int], detail: str, tokens: int) -> None:
    assert picture_tokens(size, model_of(model), detail) == (tokens, False)


@given(
    st.integers(1, 70_000),
    st.integers(1, 70_000),
    st.sampled_from(
        [
            "gpt-4o",
            "gpt-5.4",
            "gpt-5.6-sol",
            "gpt-4.1-nano",
            "claude-opus-5",
            "claude-sonnet-4-5",
            "gemini-2.5-pro",
            "x",
        ]
    ),
    st.sampled_from(["low", "high", "original", "auto", "strange"]),
)
def test_any_size_has_a_believable_count(width: int, height: int, model: str, detail: str) -> None:
    tokens, _ = picture_tokens((width, height), model_of(model), detail)
    assert tokens > 0
    if model == "claude-opus-5":
        assert tokens <= 4784
    if model == "claude-sonnet-4-5":
        assert tokens <= 1568


TEXT = {"type": "text", "text": "What is this?"}


def pictured(part: Any, model: str) -> int:
    """The tokens that a part adds to a message."""
    with_part = count([{"role": "user", "content": [TEXT, part]}], model)
    return with_part - count([{"role": "user", "content": [TEXT]}], model)


PNG = drawn(1024, 1024, "PNG")
ENCODED = base64.b64encode(PNG).decode()


@pytest.mark.parametrize(
    ("part", "model", "tokens"),
    [
        ({"type": "image_url", "image_url": {"url": url(PNG)}}, "gpt-4o", 765),
        ({"type": "image_url", "image_url": {"url": url(PNG), "detail": "low"}}, "gpt-4o", 85),
        ({"type": "image_url", "image_url": url(PNG)}, "gpt-4o", 765),
        ({"type": "input_image", "image_url": url(PNG), "detail": "low"}, "gpt-4o", 85),
        ({"type": "input_image", "file_id": "file-1"}, "gpt-4o", 765),
        ({"type": "image_url", "image_url": {"url": "https://example.com/photo.jpg"}}, "gpt-4o", 765),
        (
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": ENCODED}},
            "claude-opus-5",
            37 * 37,
        ),
        ({"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}, "claude-opus-5", 74 * 55),
        ({"type": "image", "source": {"type": "file", "file_id": "file_1"}}, "claude-opus-5", 74 * 55),
        ({"image": {"format": "png", "source": {"bytes": PNG}}}, "anthropic.claude-opus-5", 37 * 37),
        ({"type": "image", "base64": ENCODED, "mime_type": "image/png"}, "claude-opus-5", 37 * 37),
    ],
)
def test_parts_of_messages(part: dict[str, Any], model: str, tokens: int) -> None:
    assert pictured(part, model) == tokens


def test_a_photo_that_only_the_provider_sees() -> None:
    assert UNSEEN == (2048, 1536)
    unseen = {"type": "image_url", "image_url": {"url": "https://example.com/photo.jpg"}}
    assert not count([{"role": "user", "content": [unseen]}], "gpt-4o").exact
    seen = {"type": "image_url", "image_url": {"url": url(PNG)}}
    assert count([{"role": "user", "content": [seen]}], "gpt-4o").exact


def test_gemini_parts_in_both_spellings_and_as_objects() -> None:
    from google.genai import types

    rest = {"contents": [{"role": "user", "parts": [{"inlineData": {"mimeType": "image/png", "data": ENCODED}}]}]}
    snake = {"contents": [{"role": "user", "parts": [{"inline_data": {"mime_type": "image/png", "data": PNG}}]}]}
    made = {"contents": [types.Content(role="user", parts=[types.Part.from_bytes(data=PNG, mime_type="image/png")])]}
    pillow = {"contents": [Image.new("RGB", (1024, 1024))]}
    for body in (rest, snake, made, pillow):
        assert count(body, "gemini-2.5-flash") == 4 * 258, body
    config = {"generationConfig": {"mediaResolution": "MEDIA_RESOLUTION_LOW"}}
    assert count(rest | config, "gemini-3.1-pro") == 280
    by_object = types.GenerateContentConfig(media_resolution=types.MediaResolution.MEDIA_RESOLUTION_MEDIUM)
    assert count(made | {"config": by_object}, "gemini-3.1-pro") == 560
    sound = {"contents": [{"parts": [{"fileData": {"mimeType": "audio/mp3", "fileUri": "gs://a/b.mp3"}}]}]}
    assert count(sound, "gemini-2.5-flash") == 60 * 32


PDF = b"%PDF-1.7\n1 0 obj<</Type/Pages/Kids[2 0 R 3 0 R]/Count 2>>endobj\n2 0 obj<</Type /Page>>endobj\n3 0 obj<</Type/Page>>endobj"


def test_pages() -> None:
    assert pages_of(PDF) == 2
    assert pages_of(b"%PDF-1.7 /Count 12 ") == 12
    assert pages_of(b"%PDF-1.7" + bytes(200_000)) == 3


@pytest.mark.parametrize(
    ("part", "model", "tokens"),
    [
        (
            {
                "type": "document",
                "source": {"type": "base64", "media_type": "application/pdf", "data": base64.b64encode(PDF).decode()},
            },
            "claude-sonnet-4-5",
            2 * (2250 + 34 * 44),
        ),
        (
            {"type": "file", "file": {"file_data": url(PDF, "application/pdf"), "filename": "a.pdf"}},
            "gpt-4o",
            2 * (2250 + 765),
        ),
        ({"type": "input_file", "file_data": url(PDF, "application/pdf")}, "gpt-4o", 2 * (2250 + 765)),
        ({"type": "input_file", "file_id": "file-1"}, "gpt-4o", 10 * (2250 + 765)),
        ({"document": {"format": "pdf", "name": "a", "source": {"bytes": PDF}}}, "gemini-3-pro", 1 + 2 * 560),
    ],
)
def test_documents_count_their_pages(part: dict[str, Any], model: str, tokens: int) -> None:
    assert pictured(part, model) == tokens


def test_documents_of_text_are_text() -> None:
    for source in (
        {"type": "text", "media_type": "text/plain", "data": "hello world"},
        {"type": "content", "content": [{"type": "text", "text": "hello world"}]},
    ):
        assert pictured({"type": "document", "source": source}, "gpt-4o") == 2
    assert pictured({"document": {"format": "txt", "source": {"bytes": b"hello world"}}}, "gpt-4o") == 2


def test_sounds_count_by_the_second() -> None:
    wav = b"RIFF" + bytes(4) + b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 16_000, 32_000, 2, 16)
    wav += bytes(320_000 - len(wav))
    assert seconds_of(wav, "wav") == 10.0
    part = {"type": "input_audio", "input_audio": {"data": base64.b64encode(wav).decode(), "format": "wav"}}
    assert pictured(part, "gpt-audio") == 100
    assert seconds_of(bytes(160_000), "mp3") == 10.0
