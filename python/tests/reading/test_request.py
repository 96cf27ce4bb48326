"""What bodies want is read in the shape of every API."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paceline import count
from paceline._request import demand, model

CHAT = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}
CLAUDE = {"model": "claude-sonnet-5", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 1_000}
GEMINI = {"contents": [{"role": "user", "parts": [{"text": "hello world"}]}]}


def most(body: dict[str, Any]) -> int | None:
    return demand(body).get("max_output_tokens")


def test_the_input_is_what_is_counted() -> None:
    assert demand(CHAT) == {"input_tokens": 8}
    for body in (CHAT, CLAUDE, GEMINI):
        assert demand(body)["input_tokens"] == count(body)


@pytest.mark.parametrize(
    ("bounds", "tokens"),
    [
        ({}, None),
        ({"max_tokens": 50}, 50),
        ({"max_completion_tokens": 70, "max_tokens": 50}, 70),
        ({"max_tokens": None}, None),
        ({"max_tokens": 50, "n": 3}, 150),
        ({"max_tokens": 50, "n": None}, 50),
        ({"n": 3}, None),
        ({"max_tokens": -5}, None),
        ({"max_tokens": True}, None),
        ({"max_tokens": 50, "thinking_budget": 400}, 450),
        ({"max_tokens": 50, "reasoning_effort": "high"}, 50),
    ],
)
def test_bounds_of_chat(bounds: dict[str, Any], tokens: int | None) -> None:
    assert most({**CHAT, **bounds}) == tokens


def test_responses() -> None:
    body = {"model": "gpt-5", "input": "hi", "instructions": "Be brief.", "max_output_tokens": 300}
    assert most(body) == 300
    assert most({"model": "gpt-5", "input": "hi"}) is None


def test_embeddings_have_no_output() -> None:
    for body in (
        {"model": "text-embedding-3-small", "input": "hi"},
        {"model": "my-deployment", "input": ["a", "b"]},
        {"model": "my-deployment", "input": "a", "encoding_format": "base64"},
        {"model": "embed-v4.0", "texts": ["a"], "input_type": "search_query"},
        {"modelId": "amazon.titan-embed-text-v2:0", "body": json.dumps({"inputText": "hi"})},
    ):
        assert most(body) == 0, body


def test_legacy_completions_multiply_prompts_and_choices() -> None:
    body = {"model": "gpt-3.5-turbo-instruct", "prompt": "hi"}
    assert most(body) == 16
    assert most(body | {"prompt": ["a", "b"], "max_tokens": 10}) == 20
    assert most(body | {"prompt": [1, 2, 3], "max_tokens": 10}) == 10
    assert most(body | {"prompt": [[1], [2, 3]], "max_tokens": 10, "n": 2, "best_of": 5}) == 100
    assert most({"model": "gpt-image-1", "prompt": "a cat", "n": 2}) is None


def test_anthropic_budgets_are_within_the_bound() -> None:
    assert most(CLAUDE) == 1_000
    assert most(CLAUDE | {"thinking": {"type": "enabled", "budget_tokens": 800}}) == 1_000


def test_gemini_in_both_spellings_and_as_an_object() -> None:
    from google.genai import types

    assert most(GEMINI) is None
    assert most(GEMINI | {"generationConfig": {"maxOutputTokens": 40, "candidateCount": 3}}) == 120
    assert most(GEMINI | {"config": {"max_output_tokens": 40, "candidate_count": 3}}) == 120
    config = types.GenerateContentConfig(max_output_tokens=40, system_instruction="Be brief.")
    assert most(GEMINI | {"config": config}) == 40
    assert demand(GEMINI | {"config": config})["input_tokens"] > demand(GEMINI)["input_tokens"]
    spelled = GEMINI | {"generationConfig": {}, "systemInstruction": {"parts": [{"text": "Be brief."}]}}
    assert demand(spelled)["input_tokens"] == demand(GEMINI | {"config": config})["input_tokens"]


def test_bedrock() -> None:
    converse = {
        "modelId": "us.anthropic.claude-opus-4-7-v1:0",
        "messages": [{"role": "user", "content": [{"text": "hi"}]}],
        "system": [{"text": "Be brief."}],
        "inferenceConfig": {"maxTokens": 200},
    }
    assert most(converse) == 200
    assert model(converse) == "us.anthropic.claude-opus-4-7-v1:0"
    native = {"messages": CLAUDE["messages"], "max_tokens": 77, "anthropic_version": "bedrock-2023-05-31"}
    invoke = {"modelId": "anthropic.claude-sonnet-5", "body": json.dumps(native)}
    assert demand(invoke) == {"input_tokens": demand(CLAUDE)["input_tokens"], "max_output_tokens": 77}
    assert most({"modelId": "meta.llama", "body": json.dumps({"prompt": "hi", "max_gen_len": 9}).encode()}) == 9
    assert most({"inputText": "hi", "textGenerationConfig": {"maxTokenCount": 31}}) == 31


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (CHAT, "gpt-4o"),
        ({"model": "openai/gpt-4o"}, "openai/gpt-4o"),
        ({"model": "models/gemini-2.5-flash"}, "gemini-2.5-flash"),
        ({"model": "projects/p/locations/l/publishers/google/models/gemini-2.5-pro"}, "gemini-2.5-pro"),
        (
            {"modelId": "arn:aws:bedrock:eu-west-1:1:inference-profile/eu.anthropic.claude-sonnet-5"},
            "eu.anthropic.claude-sonnet-5",
        ),
        ({}, None),
        ({"model": None}, None),
        ({"model": 5}, None),
    ],
)
def test_models(body: dict[str, Any], name: str | None) -> None:
    assert model(body) == name


def added(extra: dict[str, Any], body: dict[str, Any]) -> int:
    return demand({**body, **extra})["input_tokens"] - demand(body)["input_tokens"]


TOOL = {
    "name": "get_weather",
    "description": "Looks it up.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
}


def test_tools_of_every_api_count() -> None:
    function = {"name": "get_weather", "description": "Looks it up.", "parameters": TOOL["input_schema"]}
    assert 20 < added({"tools": [{"type": "function", "function": function}]}, CHAT) < 60
    assert 20 < added({"functions": [function]}, CHAT) < 60
    assert 20 < added({"tools": [{"functionDeclarations": [function]}]}, GEMINI) < 80
    assert 346 + 20 < added({"tools": [TOOL]}, CLAUDE) < 346 + 80
    forced = added({"tools": [TOOL], "tool_choice": {"type": "any"}}, CLAUDE)
    assert forced == added({"tools": [TOOL]}, CLAUDE) - 33
    spec = {
        "toolSpec": {
            "name": "get_weather",
            "description": "Looks it up.",
            "inputSchema": {"json": TOOL["input_schema"]},
        }
    }
    converse = {"modelId": "amazon.nova-pro-v1:0", "messages": [{"role": "user", "content": [{"text": "hi"}]}]}
    assert 20 < added({"toolConfig": {"tools": [spec]}}, converse) < 80


def test_nested_schemas_and_schemas_of_answers_count() -> None:
    deep = {
        "type": "object",
        "properties": {"a": {"type": "object", "properties": {"b": {"type": "array", "items": {"$ref": "#"}}}}},
    }
    body = CHAT | {"tools": [{"type": "function", "function": {"name": "f", "parameters": deep}}]}
    assert not count(body).exact
    assert demand(body)["input_tokens"] > demand(CHAT)["input_tokens"] + 15
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": deep}}
    assert added({"response_format": form}, CHAT) > 20
    assert added({"response_format": {"type": "json_object"}}, CHAT) == 0
    assert (
        added(
            {"text": {"format": {"type": "json_schema", "name": "x", "schema": deep}}},
            {"model": "gpt-5", "input": "hi", "tools": []},
        )
        > 20
    )


def test_whole_conversations_with_tools_count_what_was_called_and_answered() -> None:
    long = "word " * 100
    chat = [
        {
            "role": "assistant",
            "tool_calls": [
                {"id": "1", "type": "function", "function": {"name": "f", "arguments": json.dumps({"q": long})}}
            ],
        },
        {"role": "tool", "tool_call_id": "1", "content": long},
    ]
    assert count({"model": "gpt-4o", "messages": chat}) > 200
    claude = [
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": long, "signature": "x" * 5_000},
                {"type": "tool_use", "id": "1", "name": "f", "input": {"q": long}},
            ],
        },
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": "1", "content": [{"type": "text", "text": long}]}],
        },
    ]
    assert 300 < count({"model": "claude-sonnet-4-5", "messages": claude}) < 600
    responses = [
        {
            "type": "reasoning",
            "id": "r",
            "summary": [{"type": "summary_text", "text": long}],
            "encrypted_content": "A" * 9_000,
        },
        {"type": "function_call", "call_id": "1", "name": "f", "arguments": json.dumps({"q": long})},
        {"type": "function_call_output", "call_id": "1", "output": long},
    ]
    assert 300 < count({"model": "gpt-5", "input": responses}) < 400
    gemini = [
        {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {"q": long}}}]},
        {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"result": long}}}]},
    ]
    assert 200 < count({"contents": gemini}, "gemini-2.5-pro") < 300
    converse = [
        {"role": "assistant", "content": [{"toolUse": {"toolUseId": "1", "name": "f", "input": {"q": long}}}]},
        {
            "role": "user",
            "content": [{"toolResult": {"toolUseId": "1", "content": [{"text": long}, {"json": {"a": long}}]}}],
        },
    ]
    assert 300 < count({"modelId": "amazon.nova-pro", "messages": converse}) < 420


def test_data_that_nobody_knows_is_not_counted_as_text() -> None:
    strange = {"role": "user", "content": [{"type": "hologram", "payload": "A" * 1_000_000}]}
    assert count([strange], "gpt-4o") < 50


def test_cohere() -> None:
    first = {
        "model": "command-r",
        "message": "hello world",
        "chat_history": [{"role": "USER", "message": "hi"}],
        "max_tokens": 9,
    }
    assert demand(first)["max_output_tokens"] == 9
    second = {
        "model": "command-a",
        "messages": CHAT["messages"],
        "documents": [{"data": {"text": "word " * 50}}],
        "max_tokens": 9,
    }
    assert demand(second)["input_tokens"] > 50


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.binary(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "messages",
                    "role",
                    "content",
                    "type",
                    "text",
                    "image_url",
                    "source",
                    "input",
                    "tools",
                    "function",
                    "parameters",
                ]
                + [
                    "properties",
                    "contents",
                    "parts",
                    "inlineData",
                    "config",
                    "n",
                    "max_tokens",
                    "prompt",
                    "name",
                    "tool_calls",
                ]
                + [
                    "system",
                    "document",
                    "output",
                    "file",
                    "input_audio",
                    "response_format",
                    "body",
                    "model",
                    "enum",
                    "items",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=25,
)


@given(
    st.dictionaries(
        st.sampled_from(["messages", "contents", "input", "prompt", "tools", "system", "model", "config", "n"]),
        json_values,
    )
)
def test_garbage_never_raises(body: dict[str, Any]) -> None:
    wanted = demand(body)
    assert all(type(tokens) is int and tokens >= 0 for tokens in wanted.values())
    model(body)
    count(body, "gpt-4o")
