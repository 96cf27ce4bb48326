"""What a block asks for on behalf of the calls in it."""

from __future__ import annotations

import asyncio
import threading

import openai
import pytest

import paceline
from paceline._using import current

from .scripted import MESSAGES, Answer


def test_inner_blocks_override_what_they_name():
    with paceline.using(lane="batch", timeout=30):
        with paceline.using(timeout=2, images=3):
            assert dict(current()) == {"lane": "batch", "timeout": 2, "images": 3}
        assert dict(current()) == {"lane": "batch", "timeout": 30}
    assert dict(current()) == {}


def test_an_error_ends_the_block():
    with pytest.raises(KeyError), paceline.using(lane="batch"):
        raise KeyError
    assert dict(current()) == {}


def test_one_object_serves_many_tasks_at_once_and_each_sees_its_own():
    block = paceline.using(lane="batch")

    async def task(number: int) -> None:
        async with block:
            await asyncio.sleep(0)
            with paceline.using(timeout=number):
                await asyncio.sleep(0)
                assert dict(current()) == {"lane": "batch", "timeout": number}
            assert dict(current()) == {"lane": "batch"}
        assert dict(current()) == {}

    async def main() -> None:
        await asyncio.gather(*map(task, range(20)))

    asyncio.run(main())


def test_other_threads_see_nothing_of_it():
    seen = []
    with paceline.using(lane="batch"):
        thread = threading.Thread(target=lambda: seen.append(dict(current())))
        thread.start()
        thread.join()
    assert seen == [{}]


def test_it_decorates_functions_and_coroutine_functions():
    @paceline.using(lane="batch")
    def lane() -> object:
        """Has a name."""
        return current()["lane"]

    @paceline.using(lane="interactive")
    async def alane() -> object:
        await asyncio.sleep(0)
        return current()["lane"]

    assert (lane(), asyncio.run(alane())) == ("batch", "interactive")
    assert (lane.__name__, lane.__doc__) == ("lane", "Has a name.")
    assert dict(current()) == {}


def test_generators_are_refused():
    with pytest.raises(TypeError) as refused:

        @paceline.using(lane="batch")
        def numbers():
            yield 1

    assert str(refused.value) == (
        "paceline.using cannot decorate the generator test_generators_are_refused.<locals>.numbers: put `with "
        "paceline.using(...)` around the calls inside it"
    )


def test_a_wrapped_call_asks_for_what_its_block_says(scripted, limiter):
    lanes = limiter(
        "gpt-4o", requests_per_minute=10, images_per_minute=10, lanes={"batch": {}, "interactive": {"priority": 5}}
    )
    scripted.told(Answer(hold=0))
    client = paceline.wrap(openai.OpenAI(base_url=f"{scripted.url}/v1", api_key="k"), lanes)

    def call() -> None:
        with paceline.using(lane="batch", images=4):
            client.chat.completions.create(model="gpt-4o", messages=MESSAGES)

    thread = threading.Thread(target=call)
    thread.start()
    while not scripted.seen:
        assert thread.is_alive()
    permit = lanes.permits().wait()[0]
    assert (permit["lane"], permit["reserved"]["images"]) == ("batch", 4)
    scripted.go.set()
    thread.join()
    with paceline.using(lane="nobody"), pytest.raises(paceline.UnknownResource):
        client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
