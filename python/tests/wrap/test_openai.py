"""OpenAI's clients under a limiter: what is asked for, what is settled, what stays as it was."""

from __future__ import annotations

import asyncio
import gc
import gzip
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import httpx2
import openai
import pytest

import paceline
from paceline import _call

from .scripted import CHAT, MESSAGES, Answer, Scripted, chat_stream

MODULES = [None, httpx, httpx2]


def client_of(url: str, module=None, **options) -> openai.OpenAI:
    http = module and module.Client(timeout=7)
    return openai.OpenAI(base_url=f"{url}/v1", api_key="k", http_client=http, **options)


def async_client_of(url: str, module=None, **options) -> openai.AsyncOpenAI:
    http = module and module.AsyncClient(timeout=7)
    return openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="k", http_client=http, **options)


@pytest.fixture
def gpt(limiter):
    """A limiter of a resource that settles to what was used."""
    return limiter("gpt-4o", requests_per_minute=100, tokens_per_minute=100_000)


@pytest.mark.parametrize("module", MODULES)
def test_a_call_is_settled_by_its_response(provider, limiter, module, held, used):
    fake, gpt = provider(), limiter("gpt-4o", requests_per_minute=100, tokens_per_minute=100_000)
    client = paceline.wrap(client_of(fake.url, module), gpt)
    answer = client.chat.completions.create(model="gpt-4o", messages=MESSAGES, max_tokens=500)
    assert used(gpt, "tokens_per_minute") == answer.usage.total_tokens < 500
    assert used(gpt, "requests_per_minute") == 1
    assert held(gpt) == 0


@pytest.mark.parametrize("module", MODULES)
def test_the_same_asynchronously(provider, limiter, module, held, used):
    fake, gpt = provider(), limiter("gpt-4o", requests_per_minute=100, tokens_per_minute=100_000)

    async def main():
        async with paceline.wrap(async_client_of(fake.url, module), gpt) as client:
            return await client.chat.completions.create(model="gpt-4o", messages=MESSAGES, max_tokens=500)

    answer = asyncio.run(main())
    assert used(gpt, "tokens_per_minute") == answer.usage.total_tokens < 500
    assert held(gpt) == 0


def test_responses_embeddings_and_completions_count_as_well(provider, gpt, used):
    client = paceline.wrap(client_of(provider().url), gpt)
    total = client.responses.create(model="gpt-4o", input="Hello.", max_output_tokens=50).usage.total_tokens
    total += client.embeddings.create(model="gpt-4o", input="Hello.").usage.total_tokens
    assert used(gpt, "tokens_per_minute") == total
    assert used(gpt, "requests_per_minute") == 2


def test_what_is_no_call_of_a_model_passes_untouched(scripted, gpt, used):
    client = paceline.wrap(client_of(scripted.url), gpt)
    scripted.told(Answer(body={"object": "list", "data": []}))
    client.models.list()
    client.files.list()
    client.batches.list()
    client.fine_tuning.jobs.create(model="gpt-4o", training_file="file-1")
    assert len(scripted.seen) == 4
    assert used(gpt, "requests_per_minute") == 0


def test_the_model_of_a_form_is_found(scripted, gpt, used):
    client = paceline.wrap(client_of(scripted.url), gpt)
    scripted.told(Answer(body={"text": "hello"}))
    with paceline.using(tokens=5):
        heard = client.audio.transcriptions.create(model="gpt-4o", file=("a.wav", b"RIFF"))
    assert heard.text == "hello"
    assert used(gpt, "requests_per_minute") == 1


@pytest.mark.parametrize("module", MODULES)
def test_a_stream_is_settled_by_its_last_event(provider, limiter, module, held, used):
    fake, gpt = provider(), limiter("gpt-4o", requests_per_minute=100, tokens_per_minute=100_000)
    client = paceline.wrap(client_of(fake.url, module), gpt)
    stream = client.chat.completions.create(
        model="gpt-4o", messages=MESSAGES, max_tokens=500, stream=True, stream_options={"include_usage": True}
    )
    assert held(gpt) == 1
    usage = [chunk.usage for chunk in stream if chunk.usage]
    assert used(gpt, "tokens_per_minute") == usage[-1].total_tokens < 500
    assert held(gpt) == 0


@pytest.mark.parametrize("module", MODULES)
def test_an_async_stream_is_settled_by_its_last_event(provider, limiter, module, held, used):
    fake, gpt = provider(), limiter("gpt-4o", requests_per_minute=100, tokens_per_minute=100_000)

    async def main():
        client = paceline.wrap(async_client_of(fake.url, module), gpt)
        stream = await client.responses.create(model="gpt-4o", input="Hello.", max_output_tokens=500, stream=True)
        return [event async for event in stream]

    events = asyncio.run(main())
    assert used(gpt, "tokens_per_minute") == events[-1].response.usage.total_tokens < 500
    assert held(gpt) == 0


def test_a_compressed_stream_is_read_as_well(scripted, gpt, used):
    packed = gzip.compress(b"".join(chat_stream("Hello", " there")))
    scripted.told(Answer(body=[packed[:50], packed[50:]], headers={"content-encoding": "gzip"}))
    client = paceline.wrap(client_of(scripted.url), gpt)
    text = [
        chunk.choices[0].delta.content
        for chunk in client.chat.completions.create(model="gpt-4o", messages=MESSAGES, max_tokens=500, stream=True)
        if chunk.choices
    ]
    assert text == ["Hello", " there", None]
    assert used(gpt, "tokens_per_minute") == 15


def test_a_stream_without_usage_stays_as_reserved_and_says_so_once(scripted, gpt, held, used, caplog):
    scripted.told(Answer(body=chat_stream("Hello", usage=False)))
    client = paceline.wrap(client_of(scripted.url), gpt)
    for _ in range(2):
        with paceline.using(tokens=200):
            list(client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True))
    assert used(gpt, "tokens_per_minute") == 400
    assert held(gpt) == 0
    assert [record.getMessage() for record in caplog.records if record.name == "paceline"] == [
        "gpt-4o: a stream ended without saying what it used, and stays charged as reserved: pass "
        'stream_options={"include_usage": True}, so that what it did not use goes back'
    ]
    assert scripted.seen[0][1] == {"model": "gpt-4o", "messages": MESSAGES, "stream": True}


@pytest.mark.parametrize("left", ["closed", "collected"])
def test_a_stream_that_is_left_early_stays_as_reserved(scripted, gpt, held, used, left, caplog):
    scripted.told(Answer(body=chat_stream("Hello", " there"), hold=1))
    client = paceline.wrap(client_of(scripted.url), gpt)
    with paceline.using(tokens=200):
        stream = client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True)
    assert next(stream).choices[0].delta.content == "Hello"
    assert held(gpt) == 1
    if left == "closed":
        stream.close()
    else:
        del stream
        gc.collect()
    end = time.monotonic() + 10
    while held(gpt) and time.monotonic() < end:
        time.sleep(0.01)
    assert held(gpt) == 0
    assert used(gpt, "tokens_per_minute") == 200
    assert not [record for record in caplog.records if record.name == "paceline"]


@pytest.mark.parametrize("module", MODULES)
def test_so_does_one_that_breaks_off(scripted, gpt, held, used, module):
    scripted.told(Answer(body=chat_stream("Hello", " there")[:2], cut=True))
    client = paceline.wrap(client_of(scripted.url, module), gpt)
    with paceline.using(tokens=200):
        stream = client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True)
    with pytest.raises((httpx.RemoteProtocolError, httpx2.RemoteProtocolError, openai.APIConnectionError)):
        list(stream)
    assert held(gpt) == 0
    assert used(gpt, "tokens_per_minute") == 200


def test_an_async_stream_whose_task_is_cancelled_is_given_up(scripted, gpt, held, used):
    scripted.told(Answer(body=chat_stream("Hello", " there"), hold=1))

    async def main():
        client = paceline.wrap(async_client_of(scripted.url), gpt)
        seen = asyncio.Event()

        async def read():
            with paceline.using(tokens=200):
                stream = await client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True)
            async for _ in stream:
                seen.set()

        task = asyncio.create_task(read())
        await seen.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert held(gpt) == 0
    assert used(gpt, "tokens_per_minute") == 200


def test_the_raw_response_is_settled_too(provider, gpt, held, used):
    client = paceline.wrap(client_of(provider().url), gpt)
    raw = client.chat.completions.with_raw_response.create(model="gpt-4o", messages=MESSAGES, max_tokens=500)
    assert used(gpt, "tokens_per_minute") == raw.parse().usage.total_tokens
    with client.chat.completions.with_streaming_response.create(
        model="gpt-4o", messages=MESSAGES, max_tokens=500
    ) as response:
        answer = response.parse()
    assert used(gpt, "tokens_per_minute") == raw.parse().usage.total_tokens + answer.usage.total_tokens
    assert held(gpt) == 0


def test_each_retry_of_the_sdk_is_a_call_of_its_own(scripted, gpt, used):
    scripted.told(Answer(500, {"error": {"message": "broken"}}, {"retry-after-ms": "1"}), Answer())
    client = paceline.wrap(client_of(scripted.url, max_retries=2), gpt)
    client.chat.completions.create(model="gpt-4o", messages=MESSAGES, max_tokens=200)
    assert len(scripted.seen) == used(gpt, "requests_per_minute") == 2


def test_a_call_that_never_left_is_given_back(gpt, held, used):
    client = paceline.wrap(openai.OpenAI(base_url="http://127.0.0.1:9/v1", api_key="k", max_retries=0), gpt)
    with pytest.raises(openai.APIConnectionError):
        client.chat.completions.create(model="gpt-4o", messages=MESSAGES, max_tokens=200)
    assert held(gpt) == used(gpt, "requests_per_minute") == used(gpt, "tokens_per_minute") == 0


def test_so_is_one_that_found_no_connection_in_the_pool(scripted, gpt, held, used):
    scripted.told(Answer(hold=0))

    async def main():
        http = httpx2.AsyncClient(limits=httpx2.Limits(max_connections=1), timeout=httpx2.Timeout(9, pool=0.05))
        base = openai.AsyncOpenAI(base_url=f"{scripted.url}/v1", api_key="k", max_retries=0, http_client=http)
        client = paceline.wrap(base.with_options(timeout=httpx2.Timeout(9, pool=0.05)), gpt)
        first = asyncio.create_task(client.chat.completions.create(model="gpt-4o", messages=MESSAGES, max_tokens=200))
        while not scripted.seen:
            await asyncio.sleep(0)
        with pytest.raises(openai.APITimeoutError):
            await client.chat.completions.create(model="gpt-4o", messages=MESSAGES, max_tokens=200)
        assert used(gpt, "requests_per_minute") == held(gpt) == 1
        scripted.go.set()
        await first

    asyncio.run(main())
    assert (used(gpt, "requests_per_minute"), used(gpt, "tokens_per_minute"), held(gpt)) == (1, 15, 0)


def one_connection(url: str) -> openai.AsyncOpenAI:
    http = httpx2.AsyncClient(limits=httpx2.Limits(max_connections=1), timeout=9)
    return openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="k", max_retries=3, http_client=http)


async def until(holds) -> None:
    while not holds():
        await asyncio.sleep(0)


def test_so_is_one_that_is_cancelled_before_it_found_a_connection(scripted, gpt, held, used):
    async def main():
        client = paceline.wrap(one_connection(scripted.url), gpt)
        calls = [client.chat.completions.create(model="gpt-4o", messages=MESSAGES, max_tokens=200) for _ in range(2)]
        await asyncio.gather(*calls)
        scripted.told(Answer(hold=0))
        first = asyncio.create_task(client.chat.completions.create(model="gpt-4o", messages=MESSAGES, max_tokens=200))
        await until(lambda: len(scripted.seen) == 3)
        second = asyncio.create_task(client.chat.completions.create(model="gpt-4o", messages=MESSAGES, max_tokens=200))
        await until(lambda: held(gpt) == 2)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        assert (used(gpt, "requests_per_minute"), held(gpt)) == (3, 1)
        scripted.go.set()
        await first

    asyncio.run(main())
    assert (used(gpt, "requests_per_minute"), used(gpt, "tokens_per_minute"), held(gpt)) == (3, 45, 0)


def test_a_permit_that_grew_old_before_there_was_a_connection_is_asked_for_anew(scripted, gpt, held, used, monkeypatch):
    monkeypatch.setattr(_call, "_FRESH_FOR", 0.0)

    async def main():
        client = paceline.wrap(one_connection(scripted.url), gpt)
        scripted.told(Answer(hold=0))
        first = asyncio.create_task(client.chat.completions.create(model="gpt-4o", messages=MESSAGES, max_tokens=200))
        await until(lambda: len(scripted.seen) == 1)
        second = asyncio.create_task(client.chat.completions.create(model="gpt-4o", messages=MESSAGES, max_tokens=200))
        await until(lambda: held(gpt) == 2)
        await gpt.pause("gpt-4o", refuse=True)
        scripted.go.set()
        await first
        with pytest.raises(paceline.Paused):
            await second

    asyncio.run(main())
    assert len(scripted.seen) == 1
    assert (used(gpt, "requests_per_minute"), used(gpt, "tokens_per_minute"), held(gpt)) == (1, 15, 0)


def test_so_it_is_by_threads(scripted, gpt, held, used, monkeypatch):
    monkeypatch.setattr(_call, "_FRESH_FOR", 0.0)
    http = httpx2.Client(limits=httpx2.Limits(max_connections=1), timeout=9)
    base = openai.OpenAI(base_url=f"{scripted.url}/v1", api_key="k", max_retries=3, http_client=http)
    client = paceline.wrap(base, gpt)
    scripted.told(Answer(hold=0))

    def ask(number: int) -> object:
        if number:
            while not scripted.seen:
                time.sleep(0)
        return client.chat.completions.create(model="gpt-4o", messages=MESSAGES, max_tokens=200)

    with ThreadPoolExecutor(2) as threads:
        first, second = threads.submit(ask, 0), threads.submit(ask, 1)
        while held(gpt) < 2:
            time.sleep(0)
        gpt.pause("gpt-4o", refuse=True).wait()
        scripted.go.set()
        first.result(10)
        with pytest.raises(paceline.Paused):
            second.result(10)
    assert len(scripted.seen) == 1
    assert (used(gpt, "requests_per_minute"), used(gpt, "tokens_per_minute"), held(gpt)) == (1, 15, 0)


def test_a_read_time_out_stays_spent(scripted, gpt, held, used):
    scripted.told(Answer(hold=0))
    client = paceline.wrap(client_of(scripted.url, timeout=0.05, max_retries=0), gpt)
    with paceline.using(tokens=200), pytest.raises(openai.APITimeoutError):
        client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    assert held(gpt) == 0
    assert (used(gpt, "requests_per_minute"), used(gpt, "tokens_per_minute")) == (1, 200)


def test_unless_the_caller_said_what_an_error_settles(scripted, gpt, held, used):
    scripted.told(Answer(hold=0))
    client = paceline.wrap(client_of(scripted.url, timeout=0.05, max_retries=0), gpt)
    with paceline.using(tokens=200, on_error="give_back"), pytest.raises(openai.APITimeoutError):
        client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    assert (held(gpt), used(gpt, "requests_per_minute"), used(gpt, "tokens_per_minute")) == (0, 0, 0)


@pytest.mark.parametrize("module", MODULES)
def test_the_clients_settings_are_kept_and_the_original_stays_as_it_was(scripted, gpt, module, used):
    original = client_of(
        scripted.url, module, timeout=3, max_retries=5, default_headers={"x-own": "1"}, organization="org-own"
    )
    client = paceline.wrap(original, gpt)
    assert isinstance(client, openai.OpenAI)
    assert (client.timeout, client.max_retries, client.base_url) == (3, 5, original.base_url)
    assert client.organization == "org-own" and client.default_headers["x-own"] == "1"
    assert client._client.timeout == original._client.timeout
    assert isinstance(client._client, type(original._client))
    original.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    assert used(gpt, "requests_per_minute") == 0
    client.with_options(timeout=9).chat.completions.create(model="gpt-4o", messages=MESSAGES, max_tokens=5)
    assert used(gpt, "requests_per_minute") == 1


def test_wrapping_twice_under_one_limiter_counts_once(scripted, gpt, used):
    client = paceline.wrap(paceline.wrap(client_of(scripted.url), gpt), gpt)
    client.chat.completions.create(model="gpt-4o", messages=MESSAGES, max_tokens=5)
    assert used(gpt, "requests_per_minute") == 1


def test_connections_outlive_an_original_that_is_dropped(scripted, gpt):
    client = paceline.wrap(client_of(scripted.url), gpt)
    gc.collect()
    client.chat.completions.create(model="gpt-4o", messages=MESSAGES, max_tokens=5)
    client.close()


def test_azure_and_the_resource_named_by_the_caller(provider, limiter, used):
    fake = provider("azure")
    azure = limiter("azure/gpt-4o", requests_per_minute=10, tokens_per_minute=10_000)
    client = paceline.wrap(openai.AzureOpenAI(azure_endpoint=fake.url, api_key="k", api_version="2024-10-21"), azure)
    client.chat.completions.create(model="gpt-4o", messages=MESSAGES, max_tokens=5)
    assert used(azure, "requests_per_minute") == 1
    two = limiter(config={"resources": {"one": {"requests_per_minute": 5}, "two": {"requests_per_minute": 7}}})
    client = paceline.wrap(client_of(provider().url), two, resource="one")
    client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    with paceline.using(resource="two"):
        client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    used_of = {name: view["used"] for one in two.snapshot().wait().values() for name, view in one["limits"].items()}
    assert sorted(used_of.items()) == [("one/requests_per_minute", 1), ("two/requests_per_minute", 1)]


def test_a_client_of_another_kind_is_refused(gpt):
    with pytest.raises(TypeError) as refused:
        paceline.wrap(object(), gpt)
    assert str(refused.value) == (
        "paceline.wrap does not know builtins.object: it takes clients of openai, anthropic, google-genai, boto3's "
        "bedrock-runtime, httpx and httpx2; for another SDK that takes an httpx client, give it "
        "httpx.Client(transport=paceline.transport.Transport(limiter))"
    )
