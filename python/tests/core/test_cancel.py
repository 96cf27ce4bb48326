"""Cancelled waits leave no trace: tasks, threads and time-outs at random instants, on memory and on a real server."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import paceline
from core.conftest import left, until, waiting
from core.test_doors import in_threads

Make = Callable[..., paceline.Limiter]
TOKENS = 10**9
"""A day's tokens: of a window that no test lives through."""


class Account:
    """Plain accounting: what was granted and not given back."""

    def __init__(self) -> None:
        self.spent = 0
        self.lock = threading.Lock()

    def spend(self, amount: int) -> None:
        with self.lock:
            self.spent += amount


def clean(limiter: paceline.Limiter) -> None:
    """Nobody waits and no permit is out, once the store has heard of the last cancellation."""
    until(lambda: waiting(limiter) == 0 and limiter.permits().wait() == [])


def limits(clock: paceline.ManualClock | None = None) -> dict[str, Any]:
    own = {"limits": [{"metric": "tokens", "amount": TOKENS, "window": "1d", "algorithm": "sliding_window"}], "concurrent_requests": 4}
    return {"config": {"resources": {"model": own}}}


def tokens_left(limiter: paceline.Limiter) -> int:
    (account,) = limiter.snapshot().wait().values()
    (limit,) = [limit for limit in account["limits"].values() if limit["metric"] == "tokens"]
    return int(limit["left"])


async def customer(limiter: paceline.Limiter, account: Account, dice: random.Random) -> None:
    """Asks for a permit in one of many ways; whoever is cancelled meanwhile has spent what the block reserved."""
    wanted, used = dice.randrange(1, 100), dice.randrange(0, 150)
    way = dice.randrange(5)
    if way == 0:
        permit = await limiter.acquire(tokens=wanted)
        account.spend(used)
        permit.settle(tokens=used)
    elif way == 1:
        async with limiter.acquire(tokens=wanted, on_error="give_back") as permit:
            await asyncio.sleep(dice.random() / 500)
            account.spend(used)
            permit.settle(tokens=used)
    elif way == 2:
        async with limiter.acquire(tokens=wanted) as permit:
            account.spend(wanted)
            await asyncio.sleep(dice.random() / 500)
            permit.settle(tokens=wanted)
    elif way == 3:
        try:
            async with limiter.acquire(tokens=wanted, timeout=dice.random() / 100) as permit:
                permit.give_back()
        except paceline.AcquireTimeout:
            pass
    else:
        permits = await limiter.acquire_many([limiter.acquire(tokens=wanted), limiter.acquire(tokens=wanted)])
        for permit in permits:
            permit.give_back()


def storm(limiter: paceline.Limiter, seed: int, customers: int, cancelled: float) -> Account:
    dice, account = random.Random(seed), Account()

    async def all_of_them() -> None:
        loop = asyncio.get_running_loop()
        tasks = [loop.create_task(customer(limiter, account, random.Random(dice.random()))) for _ in range(customers)]
        for task in tasks:
            if dice.random() < cancelled:
                loop.call_later(dice.random() / 50, task.cancel)
        for answer in await asyncio.gather(*tasks, return_exceptions=True):
            assert answer is None or isinstance(answer, asyncio.CancelledError), repr(answer)

    asyncio.run(asyncio.wait_for(all_of_them(), 30))
    return account


@pytest.mark.parametrize("seed", range(4))
def test_cancelled_tasks_leave_no_trace(make: Make, on_store: dict[str, Any], seed: int) -> None:
    limiter = make(**limits(), **on_store)
    account = storm(limiter, seed, customers=250, cancelled=0.6)
    clean(limiter)
    assert TOKENS - tokens_left(limiter) == account.spent


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), customers=st.integers(1, 40), cancelled=st.floats(0, 1))
def test_any_storm_leaves_no_trace(make: Make, seed: int, customers: int, cancelled: float) -> None:
    limiter = make(**limits())
    account = storm(limiter, seed, customers, cancelled)
    clean(limiter)
    assert TOKENS - tokens_left(limiter) == account.spent


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("acquire"), st.integers(1, 100)),
        st.tuples(st.just("cancel"), st.integers(0, 20)),
        st.tuples(st.just("settle"), st.integers(0, 20), st.integers(0, 120)),
        st.tuples(st.just("give_back"), st.integers(0, 20)),
        st.tuples(st.just("turn"), st.integers(0, 3)),
        st.tuples(st.just("advance"), st.sampled_from([0.001, 1, 10, 61])),
    ),
    max_size=40,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_cancelling_between_any_two_turns_of_the_loop(make: Make, steps: list[tuple[Any, ...]]) -> None:
    """A bucket that never overflows: what is left is what came back, less what was used; the clock is moved by hand."""
    clock = paceline.ManualClock()
    limiter = make("m", limits=[{"metric": "tokens", "amount": 100, "window": "1m", "algorithm": "sliding_window"}], clock=clock)

    async def play() -> None:
        tasks: list[asyncio.Task[Any]] = []
        ended: set[int] = set()
        for what, *facts in steps:
            if what == "acquire":
                tasks.append(asyncio.create_task(limiter.acquire(tokens=facts[0])))
            elif what == "turn":
                for _ in range(facts[0]):
                    await asyncio.sleep(0)
            elif what == "advance":
                clock.advance(facts[0])
            elif facts[0] < len(tasks):
                task = tasks[facts[0]]
                if what == "cancel":
                    task.cancel()
                elif task.done() and not task.cancelled() and facts[0] not in ended:
                    ended.add(facts[0])
                    task.result().settle(tokens=facts[1]) if what == "settle" else task.result().give_back()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for index, task in enumerate(tasks):
            if not task.cancelled() and index not in ended:
                task.result().give_back()

    asyncio.run(play())
    assert waiting(limiter) == 0 and limiter.permits().wait() == []
    clock.advance(600)
    assert list(left(limiter).values()) == [100]


def test_a_grant_that_crosses_a_cancellation_goes_back(make: Make) -> None:
    limiter = make(concurrency=1)

    async def cross() -> None:
        held = await limiter.acquire()
        task = asyncio.create_task(limiter.acquire())
        await asyncio.sleep(0)
        held.settle()
        assert list(left(limiter).values()) == [0], "it is granted, and its task has not run"
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert list(left(limiter).values()) == [1] and limiter.permits().wait() == []

    asyncio.run(cross())


@pytest.mark.parametrize("door", ["acquire", "any", "many"])
def test_a_cancelled_group_leaves_every_line(make: Make, door: str) -> None:
    limiter = make(config={"resources": {"a": {"concurrency": 1}, "b": {"concurrency": 1}}})

    async def cancel() -> None:
        held = [await limiter.acquire("a"), await limiter.acquire("b")]
        ask = {"acquire": lambda: limiter.acquire("a"), "any": lambda: limiter.acquire_any(["a", "b"]), "many": lambda: limiter.acquire_many(["a", "b"])}
        task = asyncio.create_task(ask[door]())
        await asyncio.sleep(0.005)
        assert waiting(limiter) == (1 if door == "acquire" else 2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert waiting(limiter) == 0
        for permit in held:
            permit.settle()

    asyncio.run(cancel())
    assert set(left(limiter).values()) == {1}


def test_threads_storm(make: Make, on_store: dict[str, Any]) -> None:
    limiter, account = make(**limits(), **on_store), Account()

    def work(seed: int) -> None:
        dice = random.Random(seed)
        for _ in range(30):
            wanted, used = dice.randrange(1, 100), dice.randrange(0, 150)
            try:
                with limiter.acquire(tokens=wanted, timeout=dice.choice([None, 0.002, 5.0])) as permit:
                    if dice.random() < 0.1:
                        account.spend(wanted)
                        raise KeyError
                    account.spend(used)
                    permit.settle(tokens=used)
            except (KeyError, paceline.AcquireTimeout):
                pass

    assert in_threads(*(lambda seed=seed: work(seed) for seed in range(16))) == [None] * 16
    clean(limiter)
    assert TOKENS - tokens_left(limiter) == account.spent


def test_threads_and_tasks_on_one_limiter(make: Make, on_store: dict[str, Any]) -> None:
    limiter, account = make(**limits(), **on_store), Account()
    stop = time.monotonic() + 1.0

    def block() -> int:
        done = 0
        while time.monotonic() < stop:
            with limiter.acquire(tokens=7) as permit:
                account.spend(5)
                permit.settle(tokens=5)
                done += 1
        return done

    def tasks(seed: int) -> int:
        done = 0
        while time.monotonic() < stop:
            done += 1
            account.spend(storm(limiter, seed + done, 20, 0.5).spent)
        return done

    done = in_threads(block, block, lambda: tasks(1), lambda: tasks(1_000))
    assert all(isinstance(each, int) and each > 0 for each in done), done
    clean(limiter)
    assert TOKENS - tokens_left(limiter) == account.spent


def test_two_thousand_waiters_are_drained_by_a_refill(make: Make, clock: paceline.ManualClock) -> None:
    limiter = make(rpm=2_000, clock=clock)
    order: list[int] = []

    async def one(name: int) -> None:
        async with limiter.acquire() as permit:
            order.append(name)
            permit.settle()

    async def all_of_them() -> None:
        filled = [await limiter.acquire() for _ in range(2_000 - int(2_000 - list(left(limiter).values())[0]))]
        tasks = [asyncio.create_task(one(name)) for name in range(2_000)]
        await asyncio.sleep(0)
        assert waiting(limiter) == 2_000
        clock.advance(61)
        await asyncio.gather(*tasks)
        for permit in filled:
            permit.settle()

    asyncio.run(asyncio.wait_for(all_of_them(), 20))
    assert order == list(range(2_000))


def test_two_thousand_waiters_on_redis(make: Make, on_redis: dict[str, Any]) -> None:
    limiter = make(concurrency=50, **on_redis)
    done: list[int] = []

    async def one(name: int) -> None:
        async with limiter.acquire() as permit:
            done.append(name)
            permit.settle()

    async def all_of_them() -> None:
        await asyncio.gather(*(one(name) for name in range(2_000)))

    asyncio.run(asyncio.wait_for(all_of_them(), 30))
    assert sorted(done) == list(range(2_000))
    clean(limiter)


def test_time_outs_are_kept(make: Make, on_store: dict[str, Any]) -> None:
    limiter = make(concurrency=1, **on_store)
    held = limiter.acquire().wait()

    def in_time() -> float:
        began = time.monotonic()
        with pytest.raises(paceline.AcquireTimeout) as told:
            limiter.acquire(timeout=0.1).wait()
        assert told.value.waited == pytest.approx(0.1, abs=0.2)
        return time.monotonic() - began

    async def tasks() -> float:
        began = time.monotonic()
        answers = await asyncio.gather(*(limiter.acquire(timeout=0.1) for _ in range(50)), return_exceptions=True)
        assert {type(answer) for answer in answers} == {paceline.AcquireTimeout}
        return time.monotonic() - began

    took = in_threads(*[in_time] * 8, lambda: asyncio.run(tasks()))
    assert all(isinstance(each, float) and 0.09 < each < 2 for each in took), took
    held.settle().wait()
    clean(limiter)
