"""Usage is read off raw bytes however they are split, whatever else they hold, in little memory."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paceline._usage import SseUsage
from paceline._usage.sse import LARGEST, WINDOW


def sse(*events: Any, end: str = "\n", names: bool = False, pretty: bool = False) -> bytes:
    lines: list[str] = []
    for event in events:
        if names and isinstance(event, dict):
            lines.append(f"event: {event.get('type', 'x')}")
        text = event if isinstance(event, str) else json.dumps(event, indent=1 if pretty else None)
        lines += [f"data: {line}" for line in text.split("\n")]
        lines.append("")
    return "".join(line + end for line in lines).encode()


def heard(body: bytes, size: int | None = None) -> dict[str, int] | None:
    usage = SseUsage()
    for start in range(0, len(body), size or max(1, len(body))):
        usage.feed(body[start : start + (size or len(body))])
    return usage.result()


def heard_around_ends(body: bytes) -> list[dict[str, int] | None]:
    """What is heard of a body that comes in two pieces, cut at and around the end of each event."""
    ends = {match.start() + off for match in re.finditer(rb"(\r?\n){2}", body) for off in range(-2, 5)}
    answers = []
    for end in ends:
        usage = SseUsage()
        usage.feed(body[:end])
        usage.feed(body[end:])
        answers.append(usage.result())
    return answers


def chat(content: str, usage: Any = None) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"content": content}, "finish_reason": None}], "usage": usage}


LAST = {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}}
TRICKY = 'the "usage": {"prompt_tokens": 999, "completion_tokens": 999} of\r\n\r\ndata: {"usage": {}}\n\n words 漢字 🙂'
STARTED = {
    "type": "message_start",
    "message": {"usage": {"input_tokens": 10, "cache_read_input_tokens": 300, "output_tokens": 1}},
}
ENDED = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 55}}
GEMINI = [
    {
        "candidates": [{"content": {"parts": [{"text": TRICKY}]}}],
        "usageMetadata": {"promptTokenCount": 7, "candidatesTokenCount": 1},
    },
    {
        "candidates": [{"content": {"parts": [{"text": "b"}]}, "finishReason": "STOP"}],
        "usageMetadata": {"promptTokenCount": 7, "candidatesTokenCount": 6, "thoughtsTokenCount": 30},
        "modelVersion": "gemini-2.5-flash",
    },
]
CHAT_USED = {"input_tokens": 9, "output_tokens": 4}
ANTHROPIC_USED = {"input_tokens": 310, "cached_input_tokens": 300, "output_tokens": 55}
GEMINI_USED = {"input_tokens": 7, "output_tokens": 36, "reasoning_tokens": 30}
COMPLETED = {
    "type": "response.completed",
    "response": {"output": [{"text": TRICKY}], "usage": {"input_tokens": 3, "output_tokens": 2}, "metadata": {}},
}

BODIES: dict[str, tuple[bytes, dict[str, int]]] = {
    "chat": (sse(chat("a"), chat(TRICKY), LAST, "[DONE]"), CHAT_USED),
    "crlf": (sse(chat("a"), chat(TRICKY), LAST, "[DONE]", end="\r\n"), CHAT_USED),
    "cr": (sse(chat("a"), LAST, "[DONE]", end="\r"), CHAT_USED),
    "lines": (sse(chat(TRICKY), LAST, pretty=True), CHAT_USED),
    "lines and crlf": (sse(chat(TRICKY), LAST, pretty=True, end="\r\n"), CHAT_USED),
    "byte order mark": (b"\xef\xbb\xbf" + sse(LAST), CHAT_USED),
    "comments": (b": keep-alive\n\n:\n\n\n\n" + sse(LAST) + b": bye\n\n", CHAT_USED),
    "no space": (sse(LAST).replace(b"data: ", b"data:"), CHAT_USED),
    "no last blank line": (sse(chat("a"), LAST).rstrip(), CHAT_USED),
    "anthropic": (sse(STARTED, {"type": "ping"}, ENDED, {"type": "message_stop"}, names=True), ANTHROPIC_USED),
    "responses": (sse({"type": "response.created"}, COMPLETED, names=True), {"input_tokens": 3, "output_tokens": 2}),
    "gemini": (sse(*GEMINI, end="\r\n"), GEMINI_USED),
    "gemini as an array": (json.dumps(GEMINI, indent=2).encode(), GEMINI_USED),
    "gemini array in lines": (b"[" + b"\n,\r\n".join(json.dumps(one).encode() for one in GEMINI) + b"]", GEMINI_USED),
    "newline-delimited": (b"\n".join(json.dumps(one).encode() for one in GEMINI) + b"\n", GEMINI_USED),
    "plain": (json.dumps(LAST).encode(), CHAT_USED),
    "ollama": (
        b'{"response":"a"}\n{"done":true,"prompt_eval_count":3,"eval_count":5}\n',
        {"input_tokens": 3, "output_tokens": 5},
    ),
    "nothing": (sse(chat("a"), "[DONE]"), {}),
    "error": (b'{"error": {"message": "tokens per min"}}', {}),
}


@pytest.mark.parametrize("name", BODIES)
def test_bodies(name: str) -> None:
    body, used = BODIES[name]
    assert (heard(body) or {}) == used
    for size in (1, 2, 3, 7):
        assert (heard(body, size) or {}) == used, size


@given(st.data())
def test_any_split_gives_the_same(data: st.DataObject) -> None:
    body, used = data.draw(st.sampled_from(list(BODIES.values())))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=12)))
    usage = SseUsage()
    for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True):
        usage.feed(body[start:end])
        usage.result()
    assert (usage.result() or {}) == used


@given(
    st.lists(
        st.sampled_from([b"\r", b"\n", b"data:", b" ", b'{"usage": {"prompt_tokens": 5}}', b"{", b"\xef\xbb\xbf", b"x"])
    )
)
def test_any_split_of_line_ends_gives_the_same(pieces: list[bytes]) -> None:
    body = b"".join(pieces)
    whole = heard(body)
    assert heard(body, 1) == whole
    assert heard(body, 3) == whole
    usage = SseUsage()
    for piece in pieces:
        usage.feed(piece)
    assert usage.result() == whole


@given(st.lists(st.binary(max_size=40), max_size=20))
def test_garbage_never_raises(pieces: list[bytes]) -> None:
    usage = SseUsage()
    for piece in pieces:
        usage.feed(piece)
        usage.result()


def test_a_cut_stream_has_the_input_alone() -> None:
    body = sse(STARTED, ENDED)
    assert heard(body[: body.index(b"message_delta")]) == {"input_tokens": 310, "cached_input_tokens": 300}
    array = json.dumps(GEMINI[:1]).encode()
    assert heard(array[:-1]) == {"input_tokens": 7}
    assert heard(array) == {"input_tokens": 7}


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("over", [-2, -1, 0, 1, 2, 3, WINDOW, 3 * LARGEST])
def test_a_huge_event_is_read_by_its_end(over: int, end: str) -> None:
    event = {"type": "response.completed", "response": {"text": "", "usage": {"input_tokens": 3, "output_tokens": 2}}}
    missing = LARGEST + over - len(json.dumps(event)) - len("data: ")
    event["response"]["text"] = "t" * missing  # type: ignore[index]
    body = sse(chat("a"), event, chat("b"), end=end)
    used = {"input_tokens": 3, "output_tokens": 2}
    assert heard(body) == used
    for size in (1 << 12, (1 << 16) + 1, LARGEST):
        assert heard(body, size) == used
    assert all(each == used for each in heard_around_ends(body))


@pytest.mark.parametrize(("after", "used"), [(WINDOW - 200, {"input_tokens": 3, "output_tokens": 2}), (WINDOW, None)])
def test_of_a_huge_event_one_window_is_kept(after: int, used: dict[str, int] | None) -> None:
    event = {"text": "t" * LARGEST, "usage": {"input_tokens": 3, "output_tokens": 2}, "metadata": "m" * after}
    body = sse(event, chat("b"))
    for size in (len(body), 10_000, 65_537):
        assert heard(body, size) == used
    assert all(each == used for each in heard_around_ends(body))


def test_a_huge_body_is_read_by_its_end() -> None:
    body = json.dumps([GEMINI[0]] * 9_000 + [GEMINI[1]]).encode()
    assert len(body) > 2 * LARGEST
    assert heard(body) == heard(body, 4_096) == GEMINI_USED


@pytest.mark.parametrize("begin", [b"data: ", b"{"])
def test_memory_is_bounded(begin: bytes) -> None:
    usage = SseUsage()
    usage.feed(begin)
    for _ in range(300):
        usage.feed(b"x" * 50_000)
        assert len(usage._kept) <= LARGEST + 50_000
    assert usage.result() is None


def test_events_without_usage_are_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[Any] = []
    loads = json.loads
    monkeypatch.setattr(json, "loads", lambda text: decoded.append(text) or loads(text))
    assert heard(sse(*[chat("a")] * 50, LAST, "[DONE]")) == CHAT_USED
    assert len(decoded) == 1
