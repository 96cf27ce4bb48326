"""All ways of asking: awaited, entered, waited for, handed to tasks; in loops, threads and both at once."""

from __future__ import annotations

import asyncio
import collections.abc
import contextvars
import gc
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import paceline
from core.conftest import left, until, waiting

Make = Callable[..., paceline.Limiter]


def in_threads(*functions: Callable[[], Any]) -> list[Any]:
    """Runs functions at once, each on a thread of its own, and returns what they return."""
    answers: list[Any] = [None] * len(functions)

    def run(index: int, function: Callable[[], Any]) -> None:
        try:
            answers[index] = function()
        except BaseException as error:
            answers[index] = error

    threads = [threading.Thread(target=run, args=each, daemon=True) for each in enumerate(functions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive(), "a thread does not end"
    return answers


def test_every_door_gives_a_permit(make: Make) -> None:
    limiter = make(rpm=10)

    async def doors() -> list[paceline.Permit]:
        awaited = await limiter.acquire()
        async with limiter.acquire() as entered:
            entered.settle()
        task = await asyncio.create_task(limiter.acquire())
        gathered = await asyncio.gather(limiter.acquire(), limiter.acquire())
        in_time = await asyncio.wait_for(limiter.acquire(), 5)
        with limiter.acquire() as without_waiting:
            without_waiting.settle()
        return [awaited, entered, task, *gathered, in_time, without_waiting, limiter.acquire().wait()]

    permits = asyncio.run(doors())
    assert len({permit.id for permit in permits}) == 8
    assert list(left(limiter).values()) == [2]
    for permit in permits:
        if not permit.settled:
            permit.settle()


@pytest.mark.skipif(sys.version_info < (3, 11), reason="TaskGroup and asyncio.timeout came with Python 3.11")
def test_task_groups_and_asyncio_timeout(make: Make) -> None:
    limiter = make(concurrency=2)

    async def doors() -> None:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(limiter.acquire()) for _ in range(2)]
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await limiter.acquire()
        assert waiting(limiter) == 0
        for task in tasks:
            task.result().settle()

    asyncio.run(doors())
    assert list(left(limiter).values()) == [2]


def test_wait_for_gives_the_place_up(make: Make) -> None:
    limiter = make(concurrency=1)

    async def doors() -> None:
        held = await limiter.acquire()
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(limiter.acquire(), 0.02)
        assert waiting(limiter) == 0
        held.settle()

    asyncio.run(doors())
    assert list(left(limiter).values()) == [1]


def test_nothing_is_asked_before_it_is_awaited(make: Make) -> None:
    limiter = make(concurrency=1)
    asked = limiter.acquire()
    assert repr(asked) == "<paceline.Acquire: not asked>"
    assert list(left(limiter).values()) == [1]
    del asked
    gc.collect()
    with limiter.acquire() as permit:
        permit.settle()


def test_an_unused_request_makes_no_noise(make: Make, recwarn: pytest.WarningsRecorder, caplog: pytest.LogCaptureFixture) -> None:
    make(rpm=1).acquire()
    gc.collect()
    assert not recwarn.list and not caplog.records


@pytest.mark.parametrize("first", ["wait", "await", "with", "async with", "close"])
@pytest.mark.parametrize("then", ["wait", "await", "with", "async with"])
def test_a_request_is_used_once(make: Make, first: str, then: str) -> None:
    asked = make(rpm=10).acquire()

    async def use(door: str) -> None:
        if door == "wait":
            asked.wait().settle()
        elif door == "await":
            (await asked).settle()
        elif door == "with":
            with asked as permit:
                permit.settle()
        elif door == "close":
            asked.close()
        else:
            async with asked as permit:
                permit.settle()

    asyncio.run(use(first))
    with pytest.raises(RuntimeError, match=r"this request has been used: call acquire\(\) again for another permit"):
        asyncio.run(use(then))


def test_requests_and_replies_are_coroutines(make: Make) -> None:
    limiter = make(rpm=10)
    asked = limiter.acquire()
    assert isinstance(asked, collections.abc.Coroutine) and isinstance(asked, collections.abc.Awaitable)
    assert isinstance(limiter.snapshot(), collections.abc.Awaitable)
    asked.close()


def test_create_task_takes_a_reply(make: Make) -> None:
    limiter = make(rpm=10)

    async def look() -> Any:
        return await asyncio.create_task(limiter.snapshot())

    assert list(asyncio.run(look()))


def test_blocking_in_a_loop_raises_only_where_it_would_wait(make: Make) -> None:
    limiter = make(concurrency=1)

    async def block() -> None:
        held = limiter.acquire().wait()
        with pytest.raises(RuntimeError, match=r"wait\(\) would block the event loop"):
            limiter.acquire().wait()
        with pytest.raises(RuntimeError, match=r"`with` would block the event loop"):
            with limiter.acquire():
                pass
        assert waiting(limiter) == 0
        held.settle()
        with limiter.acquire() as permit:
            permit.settle()

    asyncio.run(block())


def test_a_thread_beside_the_loop_may_block(make: Make) -> None:
    limiter = make(concurrency=1)

    async def block() -> None:
        held = await limiter.acquire()
        beside = asyncio.get_running_loop().run_in_executor(None, lambda: limiter.acquire().wait())
        while waiting(limiter) == 0:
            await asyncio.sleep(0)
        held.settle()
        (await beside).settle()

    asyncio.run(block())


def test_loops_in_several_threads_share_a_line(make: Make) -> None:
    limiter = make(concurrency=2)
    order: list[int] = []

    async def work(name: int) -> None:
        for _ in range(25):
            async with limiter.acquire() as permit:
                await asyncio.sleep(0)
                order.append(name)
                permit.settle()

    async def several(name: int) -> None:
        await asyncio.gather(*(work(name) for _ in range(8)))

    answers = in_threads(*(lambda name=name: asyncio.run(several(name)) for name in range(4)))
    assert answers == [None] * 4
    assert sorted(order) == sorted(list(range(4)) * 200)
    assert list(left(limiter).values()) == [2] and waiting(limiter) == 0


def test_loops_one_after_another(make: Make) -> None:
    limiter = make(concurrency=1)

    async def work() -> None:
        async def one() -> None:
            async with limiter.acquire() as permit:
                await asyncio.sleep(0)
                permit.settle()

        await asyncio.gather(*(one() for _ in range(5)))

    for _ in range(20):
        asyncio.run(work())
    assert list(left(limiter).values()) == [1]


def test_uvloop(make: Make) -> None:
    uvloop = pytest.importorskip("uvloop")
    limiter = make(concurrency=3)
    done: list[int] = []

    async def work(name: int) -> None:
        async with limiter.acquire() as permit:
            await asyncio.sleep(0)
            done.append(name)
            permit.settle()

    async def all_of_them() -> None:
        await asyncio.gather(*(work(name) for name in range(200)))
        held = [await limiter.acquire() for _ in range(3)]
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(limiter.acquire(), 0.02)
        for permit in held:
            permit.settle()

    loop = uvloop.new_event_loop()
    loop.run_until_complete(all_of_them())
    loop.close()
    assert done == list(range(200)), "first come, first served"
    assert list(left(limiter).values()) == [3]


def test_debug_mode_has_nothing_to_say(make: Make, caplog: pytest.LogCaptureFixture, recwarn: pytest.WarningsRecorder) -> None:
    limiter = make(concurrency=1)

    async def work() -> None:
        async with limiter.acquire() as permit:
            await asyncio.sleep(0)
            permit.settle()

    async def all_of_them() -> None:
        await asyncio.gather(*(work() for _ in range(20)))
        beside = asyncio.get_running_loop().run_in_executor(None, lambda: limiter.acquire().wait().settle())
        await beside

    asyncio.run(all_of_them(), debug=True)
    gc.collect()
    assert [record.message for record in caplog.records if record.name != "asyncio" or "Executing" not in record.message and "selector" not in record.message] == []
    assert not recwarn.list


def test_a_closed_loop_leaves_the_line(make: Make) -> None:
    limiter = make(concurrency=1)
    held = limiter.acquire().wait()
    loop = asyncio.new_event_loop()
    tasks = [loop.create_task(limiter.acquire()) for _ in range(3)]
    loop.run_until_complete(asyncio.sleep(0.01))
    assert waiting(limiter) == 3
    for task in tasks:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
    loop.close()
    assert waiting(limiter) == 0
    held.settle()


def test_a_loop_that_was_closed_over_its_tasks(make: Make) -> None:
    """Tasks that nobody cancelled lose their loop; what is granted to them goes back when they are dropped."""
    limiter = make(concurrency=1)
    held = limiter.acquire().wait()
    loop = asyncio.new_event_loop()
    task: Any = loop.create_task(limiter.acquire())
    loop.run_until_complete(asyncio.sleep(0.01))
    assert waiting(limiter) == 1
    loop.close()
    held.settle()
    task._log_destroy_pending = False
    del task
    gc.collect()
    assert list(left(limiter).values()) == [1] and waiting(limiter) == 0
    with limiter.acquire(timeout=1) as permit:
        permit.settle()


def test_a_generator_holds_the_block(make: Make) -> None:
    limiter = make(concurrency=1)

    def lines() -> Iterator[int]:
        with limiter.acquire() as permit:
            yield 1
            yield 2
            permit.settle()

    reading = lines()
    assert next(reading) == 1 and list(left(limiter).values()) == [0]
    reading.close()
    assert list(left(limiter).values()) == [1]
    assert list(lines()) == [1, 2]


def test_an_async_generator_holds_the_block(make: Make) -> None:
    limiter = make(concurrency=1)

    async def lines() -> Any:
        async with limiter.acquire() as permit:
            yield 1
            yield 2
            permit.settle()

    async def read() -> None:
        reading = lines()
        assert await reading.__anext__() == 1
        assert list(left(limiter).values()) == [0]
        await reading.aclose()
        assert list(left(limiter).values()) == [1]

    asyncio.run(read())


def test_nested_blocks(make: Make) -> None:
    limiter = make(config={"resources": {"outer": {"concurrency": 1}, "inner": {"concurrency": 1}}})

    async def nest() -> None:
        async with limiter.acquire("outer") as outer:
            async with limiter.acquire("inner") as inner:
                with inner:
                    assert not inner.settled
                assert inner.settled and not outer.settled
            outer.settle()

    asyncio.run(nest())
    assert set(left(limiter).values()) == {1}


def test_open_blocks_are_noted_in_their_context(make: Make) -> None:
    from paceline import _current

    _current.enable()
    limiter = make(rpm=100)
    seen: dict[str, Any] = {}

    async def inner(name: str) -> None:
        assert _current.permit() is seen["outer"]
        async with limiter.acquire() as permit:
            await asyncio.sleep(0)
            assert _current.permit() is permit
            permit.settle()
        assert _current.permit() is seen["outer"]
        seen[name] = permit

    async def outer() -> None:
        assert _current.permit() is None
        async with limiter.acquire() as permit:
            seen["outer"] = permit
            await asyncio.gather(inner("a"), inner("b"))
            assert contextvars.Context().run(_current.permit) is None
            with limiter.acquire() as innermost:
                assert _current.permit() is innermost
                innermost.settle()
            assert _current.permit() is permit
            permit.settle()
        assert _current.permit() is None

    asyncio.run(outer())
    assert seen["a"] is not seen["b"]


def test_a_permit_is_adopted_once_and_by_its_limiter(make: Make) -> None:
    from paceline import _current

    _current.enable()
    one, other = make(rpm=10), make(rpm=10)
    with one.acquire() as permit:
        assert _current.adopt(other) is None
        assert _current.adopt(one) is permit
        assert _current.adopt(one) is None
        permit.settle()
    assert _current.adopt(one) is None


def test_a_task_group_of_waiters_goes_in_order(make: Make, clock: paceline.ManualClock) -> None:
    limiter = make(rpm=1, clock=clock)
    order: list[int] = []

    async def one(name: int) -> None:
        (await limiter.acquire()).settle()
        order.append(name)

    async def many() -> None:
        tasks = [asyncio.create_task(one(name)) for name in range(5)]
        for done in range(1, 6):
            while len(order) < done:
                await asyncio.sleep(0)
                if waiting(limiter) == 5 - done + (1 if len(order) < done else 0):
                    clock.advance(60)
        await asyncio.gather(*tasks)

    asyncio.run(asyncio.wait_for(many(), 10))
    assert order == list(range(5))


def test_a_grant_that_need_not_wait_never_touches_the_loop(make: Make) -> None:
    limiter = make(rpm=10)
    asked = limiter.acquire()
    with pytest.raises(StopIteration) as stop:
        asked.send(None)
    stop.value.value.settle()
    entering = limiter.acquire()
    with pytest.raises(StopIteration) as stop:
        entering.__aenter__().__await__().__next__()
    stop.value.value.settle()


def test_a_foreign_awaitable_may_delegate(make: Make) -> None:
    """`yield from acquire.__await__()` is how wrappers of other libraries await."""
    limiter = make(concurrency=1)

    class Wrapper:
        def __await__(self) -> Any:
            return (yield from limiter.acquire().__await__())

    async def work() -> None:
        held = await Wrapper()
        task = asyncio.ensure_future(Wrapper())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert waiting(limiter) == 1
        held.settle()
        (await task).settle()

    asyncio.run(work())


def test_two_tasks_cannot_share_a_request(make: Make) -> None:
    limiter = make(concurrency=1)

    async def work() -> None:
        held = await limiter.acquire()
        asked = limiter.acquire()

        async def wait() -> paceline.Permit:
            return await asked

        first, second = asyncio.create_task(wait()), asyncio.create_task(wait())
        await asyncio.sleep(0.01)
        held.settle()
        done = await asyncio.gather(first, second, return_exceptions=True)
        assert sorted(type(each).__name__ for each in done) == ["Permit", "RuntimeError"]
        for each in done:
            if isinstance(each, paceline.Permit):
                each.settle()

    asyncio.run(asyncio.wait_for(work(), 10))
    assert list(left(limiter).values()) == [1]


def test_an_interrupted_await_may_be_thrown_into(make: Make) -> None:
    limiter = make(concurrency=1)

    async def work() -> None:
        held = await limiter.acquire()
        asked = limiter.acquire()
        asked.send(None)
        assert waiting(limiter) == 1
        with pytest.raises(KeyError):
            asked.throw(KeyError("mine"))
        assert waiting(limiter) == 0
        held.settle()

    asyncio.run(work())


def test_closing_the_limiter_wakes_everybody(make: Make) -> None:
    limiter = make(concurrency=1)
    held = limiter.acquire().wait()
    threads = [lambda: limiter.acquire().wait() for _ in range(3)]

    async def tasks() -> list[Any]:
        return await asyncio.gather(*(limiter.acquire() for _ in range(3)), return_exceptions=True)

    def close() -> None:
        until(lambda: waiting(limiter) == 6)
        limiter.close()

    *blocked, awaited, _ = in_threads(*threads, lambda: asyncio.run(tasks()), close)
    assert [type(error) for error in [*blocked, *awaited]] == [paceline.LimiterClosed] * 6
    assert limiter.closed
    held.settle()
    with pytest.raises(paceline.LimiterClosed):
        limiter.acquire().wait()
