"""The usage that streams state, by the event objects of the real SDKs and as decoded dictionaries."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from paceline._usage import StreamUsage


def heard(*events: Any) -> dict[str, int] | None:
    usage = StreamUsage()
    for event in events:
        usage.feed(event)
    return usage.result()


def chunk(delta: dict[str, Any] | None, usage: Any = None, finish: str | None = None) -> dict[str, Any]:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    return {
        "id": "1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "gpt-4o",
        "choices": choices,
        "usage": usage,
    }


LAST = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}


def test_chat_chunks() -> None:
    from openai.types.chat import ChatCompletionChunk

    events = [chunk({"content": "a"}), chunk({}, finish="stop"), chunk(None, LAST)]
    used = {"input_tokens": 9, "output_tokens": 4}
    assert heard(*events) == used
    assert heard(*(ChatCompletionChunk.model_validate(event) for event in events)) == used
    assert heard(*(json.dumps(event) for event in events)) == used
    assert heard(events) == used
    assert heard(*events[:2]) is None


def test_usage_in_every_chunk_counts_once_the_answer_is_complete() -> None:
    first = {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10}
    assert heard(chunk({"content": "a"}, first)) == {"input_tokens": 9}
    assert heard(chunk({"content": "a"}, first), chunk({"content": "b"}, LAST, finish="stop")) == {
        "input_tokens": 9,
        "output_tokens": 4,
    }


def test_responses_end_in_one_of_three_events() -> None:
    from openai.types.responses import ResponseCompletedEvent, ResponseCreatedEvent

    usage = {
        "input_tokens": 30,
        "input_tokens_details": {"cached_tokens": 5, "cache_write_tokens": 0},
        "output_tokens": 7,
        "output_tokens_details": {"reasoning_tokens": 2},
        "total_tokens": 37,
    }
    used = {
        "input_tokens": 30,
        "cached_input_tokens": 5,
        "cache_write_tokens": 0,
        "output_tokens": 7,
        "reasoning_tokens": 2,
    }
    begun = {"type": "response.created", "sequence_number": 0, "response": {"id": "r", "usage": None}}
    for kind in ("completed", "incomplete", "failed"):
        ended = {"type": f"response.{kind}", "sequence_number": 1, "response": {"id": "r", "usage": usage}}
        assert heard(begun, {"type": "response.output_text.delta", "delta": "hi"}, ended) == used
    objects = [ResponseCreatedEvent.construct(**begun), ResponseCompletedEvent.construct(**ended)]
    assert heard(*objects) == used
    failed = {"type": "response.failed", "response": {"usage": None, "error": {"code": "server_error"}}}
    assert heard(begun, failed) is None


STARTED = {
    "type": "message_start",
    "message": {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {
            "input_tokens": 10,
            "cache_creation_input_tokens": 20,
            "cache_read_input_tokens": 300,
            "output_tokens": 1,
        },
    },
}
TEXT = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hi"}}
ENDED = {
    "type": "message_delta",
    "delta": {"stop_reason": "end_turn", "stop_sequence": None},
    "usage": {"output_tokens": 55},
}
ANTHROPIC_USED = {"input_tokens": 330, "cached_input_tokens": 300, "cache_write_tokens": 20, "output_tokens": 55}


def test_anthropic_states_the_input_first_and_the_output_last() -> None:
    from anthropic.types import RawContentBlockDeltaEvent, RawMessageDeltaEvent, RawMessageStartEvent

    assert heard(STARTED, TEXT, ENDED, {"type": "message_stop"}) == ANTHROPIC_USED
    objects = [
        RawMessageStartEvent.model_validate(STARTED),
        RawContentBlockDeltaEvent.model_validate(TEXT),
        RawMessageDeltaEvent.model_validate(ENDED),
    ]
    assert heard(*objects) == ANTHROPIC_USED


def test_anthropic_cut_short_has_the_input_alone() -> None:
    assert heard(STARTED, TEXT) == {"input_tokens": 330, "cached_input_tokens": 300, "cache_write_tokens": 20}


def test_anthropic_deltas_are_cumulative_and_may_restate_the_input() -> None:
    first = ENDED | {"usage": {"output_tokens": 20}}
    assert heard(STARTED, first, ENDED) == ANTHROPIC_USED
    grown = ENDED | {
        "usage": {
            "input_tokens": 40,
            "cache_creation_input_tokens": 20,
            "cache_read_input_tokens": 300,
            "output_tokens": 60,
        }
    }
    assert heard(STARTED, grown) == ANTHROPIC_USED | {"input_tokens": 360, "output_tokens": 60}
    alone = ENDED | {"usage": {"input_tokens": 40, "output_tokens": 60}}
    assert heard(STARTED, alone) == ANTHROPIC_USED | {"input_tokens": 360, "output_tokens": 60}


def gemini(text: str, output: int, thoughts: int = 0, finish: str | None = None) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"parts": [{"text": text}], "role": "model"}}
    if finish:
        candidate["finishReason"] = finish
    usage = {"promptTokenCount": 12, "candidatesTokenCount": output, "thoughtsTokenCount": thoughts}
    return {"candidates": [candidate], "usageMetadata": usage}


def test_gemini_last_chunk_wins() -> None:
    from google.genai.types import GenerateContentResponse

    events = [gemini("a", 1, 50), gemini("b", 5, 50), gemini("", 9, 50, finish="STOP")]
    used = {"input_tokens": 12, "output_tokens": 59, "reasoning_tokens": 50}
    assert heard(*events) == used
    assert heard(*(GenerateContentResponse.model_validate(event) for event in events)) == used
    assert heard(*events[:2]) == {"input_tokens": 12}
    assert heard({"usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 4}}) == {
        "input_tokens": 3,
        "output_tokens": 4,
    }


def test_bedrock_metadata_event() -> None:
    events = [
        {"messageStart": {"role": "assistant"}},
        {"contentBlockDelta": {"delta": {"text": "hi"}, "contentBlockIndex": 0}},
        {"messageStop": {"stopReason": "end_turn"}},
        {
            "metadata": {
                "usage": {"inputTokens": 3, "outputTokens": 8, "totalTokens": 111, "cacheReadInputTokens": 100},
                "metrics": {"latencyMs": 1},
            }
        },
    ]
    assert heard(*events) == {"input_tokens": 103, "cached_input_tokens": 100, "output_tokens": 8}


def test_bedrock_chunks_of_invoke_model() -> None:
    metrics = {"inputTokenCount": 10, "outputTokenCount": 55, "invocationLatency": 9, "firstByteLatency": 3}
    last = {"type": "message_stop", "amazon-bedrock-invocationMetrics": metrics}
    events = [{"chunk": {"bytes": json.dumps(event).encode()}} for event in (STARTED, TEXT, ENDED, last)]
    assert heard(*events) == ANTHROPIC_USED
    assert heard(events[-1]) == {"input_tokens": 10, "output_tokens": 55}


def test_cohere_message_end() -> None:
    from cohere.v2.types import MessageEndV2ChatStreamResponse

    delta = {
        "finish_reason": "COMPLETE",
        "usage": {
            "billed_units": {"input_tokens": 5, "output_tokens": 9},
            "tokens": {"input_tokens": 71, "output_tokens": 9},
        },
    }
    event = {"type": "message-end", "id": "1", "delta": delta}
    used = {"input_tokens": 71, "output_tokens": 9}
    assert heard({"type": "content-delta", "delta": {"message": {"content": {"text": "x"}}}}, event) == used
    assert heard(MessageEndV2ChatStreamResponse.model_validate(event)) == used


def test_mistral_events() -> None:
    from mistralai.client.models import CompletionEvent

    event = {"data": chunk({"content": ""}, LAST, finish="stop")}
    assert heard(event) == {"input_tokens": 9, "output_tokens": 4}
    assert heard(CompletionEvent.model_validate(event)) == {"input_tokens": 9, "output_tokens": 4}


def test_groq_states_it_beside_the_last_choice() -> None:
    event = chunk({}, finish="stop") | {"x_groq": {"id": "req", "usage": LAST}}
    assert heard(chunk({"content": "a"}), event) == {"input_tokens": 9, "output_tokens": 4}


def test_langchain_chunks_state_shares() -> None:
    from langchain_core.messages import AIMessageChunk
    from langchain_core.outputs import ChatGenerationChunk

    first = AIMessageChunk(content="", usage_metadata={"input_tokens": 30, "output_tokens": 0, "total_tokens": 30})
    text = AIMessageChunk(content="hi")
    last = AIMessageChunk(content="", usage_metadata={"input_tokens": 0, "output_tokens": 12, "total_tokens": 12})
    assert heard(first, text, last) == {"input_tokens": 30, "output_tokens": 12}
    assert heard(*(ChatGenerationChunk(message=one) for one in (first, text, last))) == {
        "input_tokens": 30,
        "output_tokens": 12,
    }


def test_litellm_chunks() -> None:
    from litellm import ModelResponseStream, Usage

    last = ModelResponseStream(choices=[], usage=Usage(**LAST))
    assert heard(ModelResponseStream(), last) == {"input_tokens": 9, "output_tokens": 4}


def test_a_copy_hears_for_itself() -> None:
    usage = StreamUsage()
    usage.feed(STARTED)
    other = usage.copy()
    other.feed(ENDED)
    assert other.result() == ANTHROPIC_USED
    assert "output_tokens" not in (usage.result() or {})


@given(
    st.lists(
        st.none() | st.integers() | st.text() | st.binary() | st.dictionaries(st.text(), st.integers()), max_size=9
    )
)
def test_garbage_never_raises(events: list[Any]) -> None:
    usage = StreamUsage()
    for event in events:
        usage.feed(event)
    usage.feed(ENDED)
    assert (usage.result() or {})["output_tokens"] == 55
