"""Bedrock through boto3 under a limiter."""

from __future__ import annotations

import gc
import json
import threading
from collections.abc import Iterator

import boto3
import botocore.exceptions
import pytest
from botocore.config import Config

import paceline

from .bedrock_server import THROTTLED, Bedrock

MODEL = "anthropic.claude-sonnet-5-v1:0"
PROMPT = [{"role": "user", "content": [{"text": "Say something."}]}]


@pytest.fixture
def bedrock() -> Iterator[Bedrock]:
    server = Bedrock()
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield server
    server.go.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def claude(limiter):
    return limiter(MODEL, requests_per_minute=100, tokens_per_minute=100_000)


def client_of(url: str, service: str = "bedrock-runtime", attempts: int = 1):
    return boto3.client(
        service,
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="k",
        aws_secret_access_key="k",
        config=Config(retries={"total_max_attempts": attempts, "mode": "standard"}, read_timeout=5),
    )


def test_a_call_is_settled_by_its_response(bedrock, claude, held, used):
    client = client_of(bedrock.url)
    assert paceline.wrap(client, claude) is client
    client.converse(modelId=MODEL, messages=PROMPT, inferenceConfig={"maxTokens": 500})
    assert (used(claude, "requests_per_minute"), used(claude, "tokens_per_minute")) == (1, 18)
    client.invoke_model(modelId=MODEL, body=json.dumps({"max_tokens": 500}))["body"].read()
    assert (used(claude, "requests_per_minute"), used(claude, "tokens_per_minute")) == (2, 36)
    assert held(claude) == 0


def test_streams_are_settled_by_their_last_event(bedrock, claude, held, used):
    client = paceline.wrap(client_of(bedrock.url), claude)
    stream = client.converse_stream(modelId=MODEL, messages=PROMPT, inferenceConfig={"maxTokens": 500})["stream"]
    assert held(claude) == 1
    assert [next(iter(event)) for event in stream] == ["contentBlockDelta", "messageStop", "metadata"]
    assert (held(claude), used(claude, "tokens_per_minute")) == (0, 18)
    answer = client.invoke_model_with_response_stream(modelId=MODEL, body=json.dumps({"max_tokens": 500}))
    assert len(list(answer["body"])) == 2
    assert (held(claude), used(claude, "tokens_per_minute")) == (0, 36)


@pytest.mark.parametrize("left", ["closed", "collected"])
def test_a_stream_that_is_left_early_stays_as_reserved(bedrock, claude, held, used, left):
    bedrock.go.clear()
    client = paceline.wrap(client_of(bedrock.url), claude)
    with paceline.using(tokens=200):
        stream = client.converse_stream(modelId=MODEL, messages=PROMPT)["stream"]
    events = iter(stream)
    assert "contentBlockDelta" in next(events)
    assert held(claude) == 1
    if left == "closed":
        stream.close()
    else:
        del stream, events
        gc.collect()
    assert (held(claude), used(claude, "tokens_per_minute")) == (0, 200)


def test_each_attempt_is_a_call_of_its_own_and_a_refusal_pauses(bedrock, claude, held, used):
    bedrock.room = 0
    client = paceline.wrap(client_of(bedrock.url, attempts=2), claude)
    with pytest.raises(botocore.exceptions.ClientError, match="Too many requests"):
        client.converse(modelId=MODEL, messages=PROMPT, inferenceConfig={"maxTokens": 500})
    assert len(bedrock.seen) == used(claude, "requests_per_minute") == 2
    assert used(claude, "tokens_per_minute") == held(claude) == 0
    assert claude.explain(MODEL, tokens=1).wait()["paused_for"] > 0


def test_a_refusal_within_a_stream_pauses_too(bedrock, claude, held):
    bedrock.throttle_in_stream = True
    client = paceline.wrap(client_of(bedrock.url), claude)
    with pytest.raises(botocore.exceptions.EventStreamError, match=THROTTLED):
        list(client.converse_stream(modelId=MODEL, messages=PROMPT)["stream"])
    assert claude.explain(MODEL, tokens=1).wait()["paused_for"] > 0
    assert held(claude) == 0


def test_a_refusal_of_ours_surfaces_once(bedrock, limiter):
    one = limiter(MODEL, requests_per_minute=1)
    client = paceline.wrap(client_of(bedrock.url, attempts=4), one)
    client.converse(modelId=MODEL, messages=PROMPT)
    with paceline.using(timeout=0), pytest.raises(paceline.Busy):
        client.converse(modelId=MODEL, messages=PROMPT)
    assert len(bedrock.seen) == 1
    gone = limiter(MODEL, requests_per_minute=1, store="redis://127.0.0.1:9", store_timeout=0.1)
    with pytest.raises(paceline.StoreUnavailable):
        paceline.wrap(client_of(bedrock.url, attempts=4), gone).converse(modelId=MODEL, messages=PROMPT)
    assert len(bedrock.seen) == 1


def test_a_call_that_never_left_is_given_back(claude, held, used):
    client = paceline.wrap(client_of("http://127.0.0.1:9"), claude)
    with pytest.raises(botocore.exceptions.EndpointConnectionError):
        client.converse(modelId=MODEL, messages=PROMPT)
    assert held(claude) == used(claude, "requests_per_minute") == 0


def test_wrapping_twice_counts_once_and_other_services_are_refused(bedrock, claude, used):
    client = paceline.wrap(paceline.wrap(client_of(bedrock.url), claude), claude)
    client.converse(modelId=MODEL, messages=PROMPT)
    assert used(claude, "requests_per_minute") == 1
    with pytest.raises(TypeError) as refused:
        paceline.wrap(client_of(bedrock.url, "s3"), claude)
    assert str(refused.value) == (
        'paceline.wrap takes boto3 clients of the service "bedrock-runtime"; this one is of "s3"'
    )
