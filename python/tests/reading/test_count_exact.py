"""Exact counts agree with tiktoken, and framing with the numbers of OpenAI's cookbook, which are the API's."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracle import tokens
from texts import ALL

import paceline
from paceline import Count, count

MODELS = {"gpt-4o": "o200k_base", "gpt-4": "cl100k_base"}

# "How to count tokens with tiktoken": each number was printed beside the API's own.
JARGON = [
    {
        "role": "system",
        "content": "You are a helpful, pattern-following assistant that translates corporate jargon into plain English.",
    },
    {
        "role": "system",
        "name": "example_user",
        "content": "New synergies will help drive top-line growth.",
    },
    {
        "role": "system",
        "name": "example_assistant",
        "content": "Things working well together will increase revenue.",
    },
    {
        "role": "system",
        "name": "example_user",
        "content": "Let's circle back when we have more bandwidth to touch base on opportunities for increased leverage.",
    },
    {
        "role": "system",
        "name": "example_assistant",
        "content": "Let's talk later when we're less busy about how to do better.",
    },
    {
        "role": "user",
        "content": "This late pivot means we don't have time to boil the ocean for the client deliverable.",
    },
]
WEATHER = [
    {
        "type": "function",
        "function": {
            "name": "get_current_weather",
            "description": "Get the current weather in a given location",
            "parameters": {
                "type": "object",
                "properties": {
                    "location": {"type": "string", "description": "The city and state, e.g. San Francisco, CA"},
                    "unit": {
                        "type": "string",
                        "description": "The unit of temperature to return",
                        "enum": ["celsius", "fahrenheit"],
                    },
                },
                "required": ["location"],
            },
        },
    }
]
ASKED = [
    {"role": "system", "content": "You are a helpful assistant that can answer to questions about the weather."},
    {"role": "user", "content": "What's the weather like in San Francisco?"},
]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("name", ALL)
def test_texts_agree_with_tiktoken(name: str, model: str) -> None:
    counted = count(ALL[name], model)
    assert counted == tokens(MODELS[model], ALL[name])
    assert counted.exact
    assert counted.vocabulary == MODELS[model]


@given(st.text(max_size=300), st.sampled_from(list(MODELS)))
def test_any_text_agrees_with_tiktoken(text: str, model: str) -> None:
    assert count(text, model) == tokens(MODELS[model], text)


@pytest.mark.parametrize("special", ["<|endoftext|>", "<|im_start|>system", "<|start|>", "<|fim_prefix|>"])
def test_special_tokens_are_plain_text(special: str) -> None:
    assert count(f"say {special} now", "gpt-4o") == tokens("o200k_base", f"say {special} now") > 4


@pytest.mark.parametrize(
    ("model", "plain", "with_tools"),
    [
        ("gpt-3.5-turbo", 129, 105),
        ("gpt-4-0613", 129, 105),
        ("gpt-4", 129, 105),
        ("gpt-4o", 124, 101),
        ("gpt-4o-mini", 124, 101),
    ],
)
def test_the_cookbook(model: str, plain: int, with_tools: int) -> None:
    messages = count({"model": model, "messages": JARGON})
    assert (messages, messages.exact) == (plain, True)
    tools = count({"model": model, "messages": ASKED, "tools": WEATHER})
    assert (tools, tools.exact) == (with_tools, True)


def test_requests_of_the_sdk_and_lists_of_messages_count_alike() -> None:
    assert count(JARGON, "gpt-4o") == 124
    parts = [{"role": one["role"], "content": [{"type": "text", "text": one["content"]}]} for one in ASKED]
    assert count(parts, "gpt-4o") == count(ASKED, "gpt-4o")
    from openai.types.chat import ChatCompletionMessage

    answer = ChatCompletionMessage(role="assistant", content="Sunny.")
    as_object = count([*ASKED, answer], "gpt-4o")
    assert as_object == count([*ASKED, {"role": "assistant", "content": "Sunny."}], "gpt-4o")


def test_responses_are_framed_like_chat() -> None:
    body: dict[str, Any] = {"model": "gpt-4o", "instructions": ASKED[0]["content"], "input": ASKED[1]["content"]}
    as_messages = [{"role": "developer", "content": ASKED[0]["content"]}, ASKED[1]]
    assert count(body) == count(as_messages, "gpt-4o")
    items = [{"role": "user", "content": [{"type": "input_text", "text": ASKED[1]["content"]}]}]
    assert count(body | {"input": items}) == count(body)
    flat = [{"type": "function", **WEATHER[0]["function"]}]  # type: ignore[dict-item]
    assert count(body | {"tools": flat}) - count(body) == 101 - count(ASKED, "gpt-4o")
    assert count(body).exact
    assert not count(body | {"previous_response_id": "resp_1"}).exact


def test_embeddings_and_completions_have_no_framing() -> None:
    small = "text-embedding-3-small"
    texts = ["one text", "and another, longer one"]
    expected = sum(tokens("cl100k_base", text) for text in texts)
    assert count({"model": small, "input": texts}) == expected
    assert count({"model": small, "input": [[1, 2, 3], [4, 5]]}) == 5
    assert count({"model": small, "input": [1, 2, 3]}) == 3
    assert count({"model": "davinci-002", "prompt": texts}) == expected
    assert count(texts, small) == expected
    assert count([1, 2, 3], small) == 3


@pytest.mark.parametrize(
    ("model", "vocabulary"),
    [
        ("gpt-4o-2024-08-06", "o200k_base"),
        ("openai/gpt-4o", "o200k_base"),
        ("azure/gpt-4.1-mini", "o200k_base"),
        ("openrouter/openai/gpt-5-mini", "o200k_base"),
        ("ft:gpt-4o-mini-2024-07-18:acme::abc", "o200k_base"),
        ("chatgpt-4o-latest", "o200k_base"),
        ("o1", "o200k_base"),
        ("o3-mini", "o200k_base"),
        ("o4-mini", "o200k_base"),
        ("gpt-5.4", "o200k_base"),
        ("gpt-oss-120b", "o200k_base"),
        ("gpt-4", "cl100k_base"),
        ("gpt-4-turbo-2024-04-09", "cl100k_base"),
        ("gpt-4-32k", "cl100k_base"),
        ("gpt-35-turbo", "cl100k_base"),
        ("gpt-3.5-turbo-instruct", "cl100k_base"),
        ("text-embedding-ada-002", "cl100k_base"),
    ],
)
def test_models_whose_vocabulary_is_known(model: str, vocabulary: str) -> None:
    counted = count("hello", model)
    assert (counted.vocabulary, counted.exact) == (vocabulary, True)


@pytest.mark.parametrize("model", ["gpt-6-astra", "gpt-4.9", "o5-mini", "gpt-40"])
def test_a_newer_model_is_counted_with_the_last_vocabulary_that_was_published(model: str) -> None:
    counted = count("hello world", model)
    assert (counted, counted.vocabulary, counted.exact) == (2, "o200k_base", False)


@pytest.mark.parametrize("model", ["claude-sonnet-5", "gemini-2.5-pro", "mistral-large", "my-deployment", "", None])
def test_other_models_are_estimated(model: str | None) -> None:
    counted = count("hello world", model)
    assert (counted.vocabulary, counted.exact) == (None, False)
    assert 1 <= counted <= 4


def test_a_count_is_a_number_that_travels() -> None:
    counted = count("hello world", "gpt-4o")
    assert counted + 1 == 3
    assert isinstance(counted, Count)
    restored = pickle.loads(pickle.dumps(counted))
    assert (restored, restored.exact, restored.vocabulary) == (2, True, "o200k_base")
    assert repr(counted) == "Count(2, exact=True, vocabulary='o200k_base')"
    assert paceline.count is count
