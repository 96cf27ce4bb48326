"""Usage is read off the response classes of the real SDKs, and off dictionaries, JSON and numbers."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paceline._usage import read

CHAT = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4o",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
    "usage": {
        "prompt_tokens": 120,
        "completion_tokens": 50,
        "total_tokens": 170,
        "prompt_tokens_details": {"cached_tokens": 64, "cache_write_tokens": 32, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 30, "audio_tokens": 0},
    },
}
CHAT_USED = {
    "input_tokens": 120,
    "cached_input_tokens": 64,
    "cache_write_tokens": 32,
    "output_tokens": 50,
    "reasoning_tokens": 30,
}
RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "model": "gpt-5",
    "status": "completed",
    "output": [],
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
    "usage": {
        "input_tokens": 328,
        "input_tokens_details": {"cached_tokens": 128, "cache_write_tokens": 0},
        "output_tokens": 52,
        "output_tokens_details": {"reasoning_tokens": 20},
        "total_tokens": 380,
    },
}
RESPONSE_USED = {
    "input_tokens": 328,
    "cached_input_tokens": 128,
    "cache_write_tokens": 0,
    "output_tokens": 52,
    "reasoning_tokens": 20,
}
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-5",
    "content": [{"type": "text", "text": "hi"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {
        "input_tokens": 10,
        "cache_creation_input_tokens": 200,
        "cache_read_input_tokens": 3000,
        "cache_creation": {"ephemeral_5m_input_tokens": 150, "ephemeral_1h_input_tokens": 50},
        "output_tokens": 90,
        "output_tokens_details": {"thinking_tokens": 60},
        "service_tier": "standard",
    },
}
MESSAGE_USED = {
    "input_tokens": 3210,
    "cached_input_tokens": 3000,
    "cache_write_tokens": 200,
    "output_tokens": 90,
    "reasoning_tokens": 60,
}
GEMINI = {
    "candidates": [{"content": {"parts": [{"text": "hi"}], "role": "model"}, "finishReason": "STOP"}],
    "usageMetadata": {
        "promptTokenCount": 100,
        "cachedContentTokenCount": 40,
        "candidatesTokenCount": 20,
        "thoughtsTokenCount": 300,
        "toolUsePromptTokenCount": 7,
        "totalTokenCount": 427,
    },
}
GEMINI_USED = {"input_tokens": 107, "cached_input_tokens": 40, "output_tokens": 320, "reasoning_tokens": 300}


def openai_chat() -> Any:
    from openai.types.chat import ChatCompletion

    return ChatCompletion.model_validate(CHAT)


def openai_response() -> Any:
    from openai.types.responses import Response

    return Response.construct(**RESPONSE)


def openai_usage() -> Any:
    from openai.types import CompletionUsage

    return CompletionUsage.model_validate(CHAT["usage"])


def anthropic_message() -> Any:
    from anthropic.types import Message

    return Message.model_validate(MESSAGE)


def anthropic_usage() -> Any:
    from anthropic.types import Usage

    return Usage.model_validate(MESSAGE["usage"])


def gemini_object() -> Any:
    from google.genai.types import GenerateContentResponse

    return GenerateContentResponse.model_validate(GEMINI)


def litellm_openai() -> Any:
    import litellm

    return litellm.ModelResponse(model="gpt-4o", choices=CHAT["choices"], usage=litellm.Usage(**CHAT["usage"]))


@pytest.mark.parametrize(
    ("make", "used"),
    [
        (openai_chat, CHAT_USED),
        (openai_usage, CHAT_USED),
        (openai_response, RESPONSE_USED),
        (anthropic_message, MESSAGE_USED),
        (anthropic_usage, MESSAGE_USED),
        (gemini_object, GEMINI_USED),
        (litellm_openai, CHAT_USED),
    ],
)
def test_objects_of_the_sdks(make: Any, used: dict[str, int]) -> None:
    assert read(make()) == used


@pytest.mark.parametrize(
    ("body", "used"), [(CHAT, CHAT_USED), (RESPONSE, RESPONSE_USED), (MESSAGE, MESSAGE_USED), (GEMINI, GEMINI_USED)]
)
def test_the_same_as_dictionary_and_as_json(body: dict[str, Any], used: dict[str, int]) -> None:
    assert read(body) == used
    assert read(json.dumps(body)) == used
    assert read(json.dumps(body, indent=2).encode()) == used


def test_embeddings_have_no_output() -> None:
    from openai.types import CreateEmbeddingResponse

    body = {
        "object": "list",
        "model": "text-embedding-3-small",
        "data": [{"object": "embedding", "index": 0, "embedding": [0.5, 0.5]}],
        "usage": {"prompt_tokens": 8, "total_tokens": 8},
    }
    assert read(CreateEmbeddingResponse.model_validate(body)) == {"input_tokens": 8, "output_tokens": 0}


def test_transcriptions_that_count_tokens_and_those_that_count_seconds() -> None:
    from openai.types.audio import Transcription

    tokens = {"type": "tokens", "input_tokens": 14, "output_tokens": 45, "total_tokens": 59}
    assert read(Transcription.model_validate({"text": "hi", "usage": tokens})) == {
        "input_tokens": 14,
        "output_tokens": 45,
    }
    seconds = {"type": "duration", "seconds": 9.0}
    assert read(Transcription.model_validate({"text": "hi", "usage": seconds})) is None


def test_cache_writes_that_anthropic_states_by_lifetime_only() -> None:
    usage = {"input_tokens": 1, "output_tokens": 2, "cache_read_input_tokens": 0}
    usage["cache_creation"] = {"ephemeral_5m_input_tokens": 5, "ephemeral_1h_input_tokens": 6}  # type: ignore[assignment]
    assert read({"usage": usage}) == {
        "input_tokens": 12,
        "cached_input_tokens": 0,
        "cache_write_tokens": 11,
        "output_tokens": 2,
    }


def test_bedrock_converse_adds_what_was_cached() -> None:
    usage = {"inputTokens": 30, "outputTokens": 628, "totalTokens": 658}
    assert read({"usage": usage, "metrics": {"latencyMs": 1275}}) == {"input_tokens": 30, "output_tokens": 628}
    usage |= {"cacheReadInputTokens": 900, "cacheWriteInputTokens": 50}
    assert read({"usage": usage}) == {
        "input_tokens": 980,
        "cached_input_tokens": 900,
        "cache_write_tokens": 50,
        "output_tokens": 628,
    }


def test_bedrock_invoke_model_states_it_in_headers() -> None:
    headers = {"x-amzn-bedrock-input-token-count": "12", "x-amzn-bedrock-output-token-count": "7"}
    response = {"ResponseMetadata": {"HTTPStatusCode": 200, "HTTPHeaders": headers}, "body": object()}
    assert read(response) == {"input_tokens": 12, "output_tokens": 7}
    headers["x-amzn-bedrock-cache-read-input-token-count"] = "100"
    assert read(response) == {"input_tokens": 112, "cached_input_tokens": 100, "output_tokens": 7}


def test_bodies_of_invoke_model() -> None:
    assert read({"generation": "hi", "prompt_token_count": 4, "generation_token_count": 9}) == {
        "input_tokens": 4,
        "output_tokens": 9,
    }
    assert read({"embedding": [0.1], "inputTextTokenCount": 6}) == {"input_tokens": 6}


def test_cohere() -> None:
    from cohere.types import Usage
    from cohere.v2.types import V2ChatResponse

    usage = {
        "billed_units": {"input_tokens": 5.0, "output_tokens": 418.0},
        "tokens": {"input_tokens": 71.0, "output_tokens": 418.0},
        "cached_tokens": 16.0,
    }
    used = {"input_tokens": 71, "cached_input_tokens": 16, "output_tokens": 418}
    assert read(V2ChatResponse.construct(id="1", finish_reason="COMPLETE", usage=Usage.model_validate(usage))) == used
    assert read({"usage": usage}) == used
    assert read({"meta": {"billed_units": {"input_tokens": 3.0}}}) == {"input_tokens": 3}
    assert read({"meta": {"billed_units": {"search_units": 1}}}) is None


def test_mistral() -> None:
    from mistralai.client.models import ChatCompletionResponse

    body = {
        "id": "1",
        "object": "chat.completion",
        "model": "mistral-large",
        "created": 1,
        "choices": [],
        "usage": {"prompt_tokens": 16, "completion_tokens": 34, "total_tokens": 50},
    }
    assert read(ChatCompletionResponse.model_validate(body)) == {"input_tokens": 16, "output_tokens": 34}


def test_litellm_keeps_the_whole_prompt_of_anthropic() -> None:
    import litellm

    usage = litellm.Usage(
        prompt_tokens=3210,
        completion_tokens=90,
        total_tokens=3300,
        cache_read_input_tokens=3000,
        cache_creation_input_tokens=200,
    )
    response = litellm.ModelResponse(model="claude-sonnet-5", usage=usage)
    assert read(response) == {
        "input_tokens": 3210,
        "cached_input_tokens": 3000,
        "cache_write_tokens": 200,
        "output_tokens": 90,
    }


def test_litellm_embedding() -> None:
    import litellm

    response = litellm.EmbeddingResponse(model="e", usage=litellm.Usage(prompt_tokens=8, total_tokens=8))
    assert read(response) == {"input_tokens": 8, "output_tokens": 0}


def test_langchain_messages_and_results() -> None:
    from langchain_core.messages import AIMessage
    from langchain_core.outputs import ChatGeneration, LLMResult

    message = AIMessage(
        content="hi",
        usage_metadata={
            "input_tokens": 350,
            "output_tokens": 240,
            "total_tokens": 590,
            "input_token_details": {"cache_creation": 200, "cache_read": 100},
            "output_token_details": {"reasoning": 150},
        },
    )
    used = {
        "input_tokens": 350,
        "cached_input_tokens": 100,
        "cache_write_tokens": 200,
        "output_tokens": 240,
        "reasoning_tokens": 150,
    }
    assert read(message) == used
    assert read(LLMResult(generations=[[ChatGeneration(message=message)]])) == used
    by_output = LLMResult(generations=[], llm_output={"token_usage": {"prompt_tokens": 3, "completion_tokens": 4}})
    assert read(by_output) == {"input_tokens": 3, "output_tokens": 4}
    by_metadata = AIMessage(
        content="hi", response_metadata={"token_usage": {"prompt_tokens": 3, "completion_tokens": 4}}
    )
    assert read(by_metadata) == {"input_tokens": 3, "output_tokens": 4}


def test_langchain_anthropic_states_cache_writes_by_lifetime() -> None:
    from anthropic.types import Usage
    from langchain_anthropic.chat_models import _create_usage_metadata
    from langchain_core.messages import AIMessage

    metadata = _create_usage_metadata(Usage.model_validate(MESSAGE["usage"]))
    assert read(AIMessage(content="hi", usage_metadata=metadata)) == MESSAGE_USED


def test_pydantic_ai_usages_are_inclusive() -> None:
    from pydantic_ai.messages import ModelResponse
    from pydantic_ai.usage import RequestUsage, RunUsage

    numbers = {"input_tokens": 100, "cache_read_tokens": 60, "cache_write_tokens": 10, "output_tokens": 9}
    used = {
        "input_tokens": 100,
        "cached_input_tokens": 60,
        "cache_write_tokens": 10,
        "output_tokens": 9,
        "reasoning_tokens": 4,
    }
    usage = RequestUsage(**numbers, details={"reasoning_tokens": 4})  # type: ignore[arg-type]
    assert read(usage) == used
    assert read(ModelResponse(parts=[], usage=usage)) == used
    assert read(RunUsage(requests=1, **numbers, details={"reasoning_tokens": 4})) == used  # type: ignore[arg-type]


def test_llama_index_answers_hold_the_raw_response() -> None:
    from llama_index.core.base.llms.types import ChatMessage, ChatResponse, CompletionResponse

    assert read(ChatResponse(message=ChatMessage(content="hi"), raw=openai_chat())) == CHAT_USED
    assert read(CompletionResponse(text="hi", raw=MESSAGE)) == MESSAGE_USED
    assert read(ChatResponse(message=ChatMessage(content="hi"))) is None


def test_raw_http_responses_that_were_read() -> None:
    import httpx

    assert read(httpx.Response(200, json=CHAT)) == CHAT_USED
    unread = httpx.Response(200, stream=httpx.ByteStream(json.dumps(CHAT).encode()))
    assert read(unread) is None


@pytest.mark.parametrize(
    ("usage", "used"),
    [
        (
            {"prompt_tokens": 20, "completion_tokens": 5, "prompt_cache_hit_tokens": 16, "prompt_cache_miss_tokens": 4},
            {"input_tokens": 20, "cached_input_tokens": 16, "output_tokens": 5},
        ),
        (
            # xAI's completion tokens leave the reasoning out, which only the total tells.
            {
                "prompt_tokens": 32,
                "completion_tokens": 9,
                "total_tokens": 135,
                "completion_tokens_details": {"reasoning_tokens": 94},
            },
            {"input_tokens": 32, "output_tokens": 103, "reasoning_tokens": 94},
        ),
        (
            {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12, "cost": 0.00014, "is_byok": False},
            {"input_tokens": 10, "output_tokens": 2},
        ),
        ({"total_tokens": 77}, {"tokens": 77}),
        (
            {"total_input_tokens": 5, "total_output_tokens": 6, "total_thought_tokens": 7, "total_cached_tokens": 2},
            {"input_tokens": 5, "cached_input_tokens": 2, "output_tokens": 13, "reasoning_tokens": 7},
        ),
    ],
    ids=["deepseek", "xai", "openrouter", "voyage", "gemini interactions"],
)
def test_shapes_of_others(usage: dict[str, Any], used: dict[str, int]) -> None:
    assert read({"usage": usage}) == used


def test_groq_and_ollama() -> None:
    assert read({"x_groq": {"id": "1", "usage": {"prompt_tokens": 1, "completion_tokens": 2}}}) == {
        "input_tokens": 1,
        "output_tokens": 2,
    }
    assert read({"response": "hi", "prompt_eval_count": 26, "eval_count": 282}) == {
        "input_tokens": 26,
        "output_tokens": 282,
    }


def test_our_own_names_are_taken_as_they_are() -> None:
    assert read(CHAT_USED) == CHAT_USED
    assert read({"input_tokens": 5}) == {"input_tokens": 5}
    assert read({"output_tokens": 5}) == {"output_tokens": 5}
    assert read({"tokens": 12}) == {"tokens": 12}
    assert read(SimpleNamespace(input_tokens=1, output_tokens=2)) == {"input_tokens": 1, "output_tokens": 2}


def test_numbers() -> None:
    assert read(0) == {"tokens": 0}
    assert read(120) == {"tokens": 120}
    assert read(12.2) == {"tokens": 13}
    for nothing in (True, -1, float("nan"), float("inf"), 1 << 60):
        assert read(nothing) is None


@pytest.mark.parametrize("broken", [-5, float("nan"), True, "12", None, [1], 1 << 60])
def test_numbers_that_cannot_be_are_left_out(broken: Any) -> None:
    assert read({"usage": {"prompt_tokens": broken, "completion_tokens": 4}}) == {"output_tokens": 4}


def test_parts_never_exceed_the_whole() -> None:
    usage = {
        "prompt_tokens": 10,
        "completion_tokens": 3,
        "prompt_tokens_details": {"cached_tokens": 99},
        "completion_tokens_details": {"reasoning_tokens": 98},
    }
    assert read({"usage": usage}) == {
        "input_tokens": 10,
        "cached_input_tokens": 10,
        "output_tokens": 3,
        "reasoning_tokens": 3,
    }


class Hostile:
    """Everything that is asked of it raises."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)


@pytest.mark.parametrize(
    "nothing", [None, "", "42", '{"a": 1}', "an answer about tokens", b"\xff\xfe", {}, [], object(), {"usage": None}]
)
def test_what_states_nothing(nothing: Any) -> None:
    assert read(nothing) is None


def test_an_object_that_raises_states_nothing() -> None:
    assert read(Hostile()) is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["usage", "message", "response", "delta", "prompt_tokens", "input_tokens", "output_tokens", "tokens"]
                + [
                    "prompt_tokens_details",
                    "cached_tokens",
                    "usageMetadata",
                    "promptTokenCount",
                    "type",
                    "choices",
                    "meta",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@given(json_values)
def test_garbage_never_raises_and_never_gives_nonsense(garbage: Any) -> None:
    used = read(garbage)
    assert used is None or (used and all(type(n) is int and 0 <= n < 1 << 50 for n in used.values()))


@given(st.binary(max_size=200))
def test_garbage_bytes_never_raise(garbage: bytes) -> None:
    read(garbage)
