"""What becomes of permits: settled, given back, amended, renewed, retried, or forgotten."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

import paceline
from core.conftest import left, until, waiting

Make = Callable[..., paceline.Limiter]


def bucket(amount: int) -> dict[str, Any]:
    """Tokens that come back continuously over a minute."""
    return {"limits": [{"id": "tpm", "metric": "tokens", "amount": amount, "window": "1m", "algorithm": "token_bucket", "transit": "0ms", "counts": "at_grant"}]}


@pytest.fixture
def tokens(make: Make, clock: paceline.ManualClock) -> paceline.Limiter:
    """1,000 tokens a minute on a clock that stands still."""
    return make(**bucket(1_000), clock=clock)


def spent(limiter: paceline.Limiter) -> int:
    (account,) = limiter.snapshot().wait().values()
    (limit,) = account["limits"].values()
    return int(limit["used"])


@pytest.mark.parametrize(
    ("on_error", "used"),
    [
        (None, 100),
        ("spend", 100),
        ("give_back", 0),
        (30, 30),
        ({"input_tokens": 20, "output_tokens": 5}, 25),
        (lambda error: 40, 40),
        (lambda error: {"tokens": len(str(error))}, 4),
        (lambda error: None, 100),
        (lambda error: "give_back", 0),
        (lambda error: "spend", 100),
    ],
)
@pytest.mark.parametrize("door", ["with", "async with"])
def test_an_exception_inside_the_block(tokens: paceline.Limiter, on_error: Any, used: int, door: str) -> None:
    async def leave() -> None:
        if door == "with":
            with tokens.acquire(tokens=100, on_error=on_error):
                raise OSError("gone")
        async with tokens.acquire(tokens=100, on_error=on_error):
            raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        asyncio.run(leave())
    assert spent(tokens) == used


def test_an_on_error_that_raises_spends_and_says_so(tokens: paceline.Limiter, caplog: pytest.LogCaptureFixture) -> None:
    def broken(error: BaseException) -> int:
        raise KeyError("broken")

    with pytest.raises(OSError, match="gone"):
        with tokens.acquire(tokens=100, on_error=broken):
            raise OSError("gone")
    assert spent(tokens) == 100
    assert [record.message for record in caplog.records] == ["on_error raised, so the call is charged as reserved"]


@pytest.mark.parametrize("wrong", ["refund", True, 3.5, -1, 2**60, object(), {"input_tokens": -1}, lambda error: "refund"])
def test_an_on_error_that_makes_no_sense_keeps_the_error(tokens: paceline.Limiter, wrong: Any, caplog: pytest.LogCaptureFixture) -> None:
    """The caller's exception is never replaced by a complaint of ours, and the permit ends as reserved."""
    with pytest.raises(OSError, match="gone"):
        with tokens.acquire(tokens=100, on_error=wrong):
            raise OSError("gone")
    assert tokens.permits().wait() == [] and spent(tokens) == 100
    assert all(record.exc_info is None for record in caplog.records)


def test_a_settled_block_lets_its_exception_through(tokens: paceline.Limiter) -> None:
    with pytest.raises(OSError):
        with tokens.acquire(tokens=100, on_error="give_back") as permit:
            permit.settle(tokens=70)
            raise OSError
    assert spent(tokens) == 70


def test_cancelling_a_block_settles_by_on_error(tokens: paceline.Limiter) -> None:
    async def work() -> None:
        async with tokens.acquire(tokens=100, on_error="give_back"):
            await asyncio.sleep(100)

    async def cancel() -> None:
        task = asyncio.create_task(work())
        await asyncio.sleep(0)
        assert spent(tokens) == 100
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel())
    assert spent(tokens) == 0


UNSETTLED = (
    "test/unsettled: a permit was dropped without being settled, and counts as having used all it reserved; "
    "settle it with what the call used, or give it back"
)


@pytest.mark.parametrize("how", ["block", "dropped"])
def test_an_unsettled_permit_warns_once(make: Make, caplog: pytest.LogCaptureFixture, how: str) -> None:
    limiter = make("test/unsettled", tpm=1_000)
    for _ in range(3):
        if how == "block":
            with limiter.acquire(tokens=10):
                pass
        else:
            limiter.acquire(tokens=10).wait()
            gc.collect()
    until(lambda: caplog.records)
    told = [(record.levelname, record.message) for record in caplog.records if record.message.startswith("test/unsettled")]
    assert told == [("WARNING", UNSETTLED)]
    assert limiter.permits().wait() == []


def test_concurrency_alone_needs_no_settlement(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    limiter = make(concurrency=1)
    with limiter.acquire():
        pass
    limiter.snapshot().wait()
    assert list(left(limiter).values()) == [1]
    assert [record.message for record in caplog.records if "concurren" not in record.message] in ([], [UNSETTLED.replace("unsettled:", "model:")])


def test_settling_twice_changes_nothing_and_warns_once(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    limiter = make("test/twice", tpm=1_000)
    permits = [limiter.acquire(tokens=100).wait() for _ in range(2)]
    for permit in permits:
        assert permit.settle(tokens=40).wait() == {"returned": {"tokens": 60}, "charged": {}}
        assert permit.settled
        for again in (permit.settle(tokens=1), permit.give_back(), permit.amend(tokens=5)):
            assert again.wait() == {"returned": {}, "charged": {}}
    assert [record.message for record in caplog.records] == [
        f"test/twice: permit {permits[0].id} has ended before, and nothing is settled again; settle each permit once"
    ]


def test_strict_raises_where_nothing_is_left_to_settle(tokens: paceline.Limiter) -> None:
    permit = tokens.acquire(tokens=100).wait()
    permit.settle()
    with pytest.raises(paceline.PermitOver) as told:
        permit.settle(strict=True)
    assert str(told.value) == f"permit {permit.id} has ended, or never was"


def test_a_permit_that_is_over_is_named(tokens: paceline.Limiter) -> None:
    permit = tokens.acquire(tokens=100).wait()
    permit.settle()
    with pytest.raises(paceline.PermitOver) as told:
        permit.settle(strict=True)
    assert told.value.permit == permit.id


@pytest.mark.parametrize(
    ("said", "named", "used"),
    [
        ((), {}, 100),
        ((None,), {}, 100),
        ((60,), {}, 60),
        ((0,), {}, 0),
        (({"tokens": 60},), {}, 60),
        (({"input_tokens": 50, "output_tokens": 10},), {}, 60),
        (({"prompt_tokens": 50, "completion_tokens": 10, "total_tokens": 60},), {}, 60),
        ((), {"tokens": 60}, 60),
        ((), {"input_tokens": 50, "output_tokens": 10}, 60),
        ((), {"input_tokens": 50, "output_tokens": 10, "reasoning_tokens": 4}, 60),
        ((), {"tokens": None}, 100),
        ((150,), {}, 150),
        ((), {"own_metric": 3}, 100),
    ],
)
def test_what_settles(tokens: paceline.Limiter, said: Any, named: Any, used: int) -> None:
    tokens.acquire(tokens=100).wait().settle(*said, **named).wait()
    assert spent(tokens) == used


@pytest.mark.parametrize(
    "wrong", [{"tokens": -1}, {"tokens": 1.5}, {"tokens": True}, {"tokens": "1"}, {"tokens": float("nan")}, {"tokens": 2**50 + 1}, {"input_tokens": float("inf")}]
)
def test_a_wrong_amount_settles_nothing(tokens: paceline.Limiter, wrong: Any) -> None:
    permit = tokens.acquire(tokens=100).wait()
    with pytest.raises(ValueError, match="an amount is a whole number from 0 to 2\\^50"):
        permit.settle(**wrong)
    assert not permit.settled
    permit.settle(tokens=1)
    assert spent(tokens) == 1


def test_numbers_of_other_libraries_are_numbers(tokens: paceline.Limiter) -> None:
    class Index:
        def __index__(self) -> int:
            return 60

    tokens.acquire(tokens=Index()).wait().settle(tokens=60.0).wait()  # type: ignore[arg-type]
    assert spent(tokens) == 60


class Unreadable:
    """A response of nobody's."""


def test_what_cannot_be_read_is_charged_with_one_warning(tokens: paceline.Limiter, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        tokens.acquire(tokens=100).wait().settle(Unreadable()).wait()
    assert spent(tokens) == 200
    assert [record.message for record in caplog.records] == [
        "no usage can be read off a core.test_settle.Unreadable, so the call is charged as reserved; settle with numbers, "
        "such as output_tokens=, and on streams have the provider report its usage (stream_options={'include_usage': True})"
    ]
    permit = tokens.acquire(tokens=100).wait()
    with pytest.raises(ValueError, match="no usage can be read off a core.test_settle.Unreadable: settle with numbers"):
        permit.settle(Unreadable(), strict=True)
    assert not permit.settled
    permit.give_back()


def test_amend_moves_what_is_reserved(tokens: paceline.Limiter) -> None:
    permit = tokens.acquire(tokens=100).wait()
    assert permit.amend(tokens=300).wait() == {"returned": {}, "charged": {"tokens": 200}}
    assert permit.amend(tokens=50).wait() == {"returned": {"tokens": 100}, "charged": {}}, "no more than was reserved returns"
    assert permit.settle(tokens=50).wait() == {"returned": {}, "charged": {}}
    assert spent(tokens) == 200


def test_amend_names_what_changes(make: Make, clock: paceline.ManualClock) -> None:
    limiter = make(itpm=1_000, otpm=1_000, clock=clock)
    permit = limiter.acquire(input_tokens=100, max_output_tokens=200).wait()
    permit.amend(max_output_tokens=50).wait()
    assert sorted(left(limiter).values()) == [900, 950]
    permit.settle()


def test_give_back_returns_everything(make: Make, clock: paceline.ManualClock) -> None:
    limiter = make(rpm=10, tpm=1_000, concurrency=3, clock=clock)
    limiter.acquire(tokens=400).wait().give_back().wait()
    assert sorted(left(limiter).values()) == [3, 10, 1_000]


def test_a_permit_ends_at_its_lease_with_one_warning(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    limiter = make("test/leased", tpm=1_000, concurrency=1, lease=0.1)
    permit = limiter.acquire(tokens=100).wait()
    with limiter.acquire(tokens=1, timeout=5) as after:
        after.settle()
    until(lambda: caplog.records)
    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("WARNING", f"permit {permit.id} outlived its lease without being settled, and is ended with its reservation spent")
    ]
    with pytest.raises(paceline.PermitOver):
        permit.settle(tokens=1, strict=True).wait()


def test_a_call_may_have_a_lease_of_its_own(make: Make, clock: paceline.ManualClock) -> None:
    limiter = make(concurrency=2, clock=clock)
    short, long = limiter.acquire(lease=1).wait(), limiter.acquire().wait()
    clock.advance(2)
    assert [held["id"] for held in limiter.permits().wait()] == [long.id]
    long.settle()
    with pytest.raises(paceline.PermitOver):
        short.settle().wait()


@pytest.mark.parametrize("door", ["with", "async with", "permit", "keep_alive", "many"])
def test_a_permit_in_an_open_block_lives_on(make: Make, door: str, caplog: pytest.LogCaptureFixture) -> None:
    limiter = make(concurrency=1, lease=0.6)

    def held() -> None:
        end = time.monotonic() + 1.5
        while time.monotonic() < end:
            assert list(left(limiter).values()) == [0], "the permit ended within its block"
            time.sleep(0.005)

    async def stay() -> None:
        async with limiter.acquire() as permit:
            await asyncio.to_thread(held)
            permit.settle()

    if door == "async with":
        asyncio.run(stay())
    elif door == "keep_alive":
        permit = limiter.acquire().wait()
        permit.keep_alive()
        held()
        permit.settle()
    elif door == "many":
        with limiter.acquire_many(["test/model"]) as (permit,):
            held()
            permit.settle()
    else:
        with limiter.acquire() if door == "with" else limiter.acquire().wait() as permit:
            held()
            permit.settle()
    assert list(left(limiter).values()) == [1] and not caplog.records


def test_many_open_blocks_live_on(make: Make) -> None:
    limiter = make(concurrency=300, lease=0.6)

    async def stay() -> None:
        async with limiter.acquire() as permit:
            await asyncio.sleep(1.5)
            permit.settle(strict=True)

    async def all_of_them() -> None:
        await asyncio.gather(*(stay() for _ in range(300)))

    asyncio.run(all_of_them())


def test_a_lease_ends_after_its_block_was_left(make: Make) -> None:
    """A block that is left ends its permit: nothing is renewed for what is over."""
    limiter = make(concurrency=1, lease=0.05)
    for _ in range(20):
        with limiter.acquire() as permit:
            permit.settle()
    limiter.acquire().wait().id
    limiter.acquire(timeout=5).wait().settle()


def test_renew(make: Make, on_store: dict[str, Any]) -> None:
    limiter = make(concurrency=2, lease=0.15, **on_store)
    kept, by_id = limiter.acquire().wait(), limiter.acquire().wait()
    kept.renew(60).wait()
    limiter.renew(by_id.id, 60).wait()
    time.sleep(0.4)
    assert kept.settle(strict=True).wait()["returned"] and by_id.settle(strict=True).wait()["returned"]


def test_retry_spends_and_asks_for_the_same(tokens: paceline.Limiter) -> None:
    permit = tokens.acquire(tokens=100, on_error="give_back").wait()
    again = permit.retry()
    assert permit.settled and spent(tokens) == 100
    with pytest.raises(OSError):
        with again as second:
            assert spent(tokens) == 200 and second.id != permit.id
            raise OSError
    assert spent(tokens) == 100
    with pytest.raises(paceline.PermitOver):
        permit.retry()


NO_TOKENS = (
    "test/model limits tokens, and this call names none: pass input_tokens= and max_output_tokens=, or tokens=, or "
    "request= the body of the call; once 20 calls were settled with their usage, theirs is the estimate"
)


def test_tokens_must_be_said_until_they_are_learnt(make: Make, clock: paceline.ManualClock) -> None:
    limiter = make(**bucket(1_000_000), clock=clock)
    for _ in range(20):
        with pytest.raises(ValueError) as told:
            limiter.acquire()
        assert str(told.value) == NO_TOKENS
        limiter.acquire(tokens=100).wait().settle(input_tokens=60, output_tokens=20)
    before = spent(limiter)
    permit = limiter.acquire().wait()
    assert spent(limiter) - before == 80
    permit.settle(tokens=10).wait()
    assert spent(limiter) - before == 10


def test_requests_alone_need_no_tokens(make: Make) -> None:
    make(rpm=1).acquire().wait().settle()


def test_record_charges_and_may_lead_to_debt(tokens: paceline.Limiter, clock: paceline.ManualClock) -> None:
    assert tokens.record(tokens=400).wait() is None
    tokens.record(None, {"input_tokens": 1_000, "output_tokens": 200}).wait()
    assert list(left(tokens).values()) == [-600]
    with pytest.raises(paceline.Busy) as told:
        tokens.try_acquire(tokens=100).wait()
    assert (told.value.left, told.value.wanted, told.value.retry_after) == (-600, 100, 42.0)
    clock.advance(42)
    tokens.try_acquire(tokens=100).wait().settle()


def test_what_explain_says(tokens: paceline.Limiter) -> None:
    tokens.acquire(tokens=900).wait().settle()
    assert tokens.explain(tokens=50).wait()["goes"] is True
    told = tokens.explain(tokens=700).wait()
    assert told == {
        "resource": "test/model",
        "goes": False,
        "expected_wait": 36.0,
        "ahead": 0,
        "head_waited": None,
        "paused_for": None,
        "limits": [{"limit": "test/model/tpm", "wanted": 700, "left": 100, "set_aside": 0, "most": 1_000, "ready_in": 36.0}],
    }


def test_what_snapshot_and_permits_say(make: Make, clock: paceline.ManualClock) -> None:
    limiter = make(rpm=10, clock=clock)
    permit = limiter.acquire().wait()
    assert limiter.permits().wait() == [
        {"id": permit.id, "resource": "test/model", "lane": None, "age": 0.0, "reserved": {"requests": 1, "concurrent_requests": 1}}
    ]
    ((account, seen),) = limiter.snapshot().wait().items()
    assert account == "test"
    ((name, limit),) = seen["limits"].items()
    assert name == "test/model/requests_per_minute"
    assert set(limit) == {"metric", "amount", "window", "most", "used", "held", "left", "full_in", "paused_for", "shadow"}
    assert (limit["metric"], limit["amount"], limit["window"], limit["paused_for"], limit["shadow"]) == ("requests", 10, 60.0, None, False)
    assert seen["resources"] == {
        "test/model": {
            "limits": ["test/model/requests_per_minute"],
            "waiting": 0,
            "in_flight": 1,
            "paused_for": None,
            "lanes": seen["resources"]["test/model"]["lanes"],
        }
    }
    permit.settle()


def test_permits_know_their_age(make: Make, clock: paceline.ManualClock) -> None:
    limiter = make(rpm=10, clock=clock)
    permit = limiter.acquire().wait()
    clock.advance(3)
    assert [held["age"] for held in limiter.permits().wait()] == [3.0]
    permit.settle()


def test_pause_and_resume(make: Make, clock: paceline.ManualClock) -> None:
    limiter = make(rpm=10, clock=clock)
    limiter.pause(seconds=30).wait()
    assert limiter.explain().wait()["paused_for"] == 30.0
    with pytest.raises(paceline.Busy) as told:
        limiter.try_acquire().wait()
    assert told.value.retry_after == 30.0
    limiter.resume().wait()
    limiter.pause(refuse=True).wait()
    with pytest.raises(paceline.Paused) as refused:
        limiter.acquire().wait()
    assert refused.value.retry_after == float("inf") and refused.value.resource == "test/model"
    limiter.resume("test/model").wait()


def test_pause_of_a_limit(make: Make, clock: paceline.ManualClock) -> None:
    limiter = make(rpm=10, clock=clock)
    (name,) = left(limiter)
    limiter.pause_limit(name, 5).wait()
    assert limiter.explain().wait()["goes"] is False
    limiter.resume_limit(name).wait()
    with pytest.raises(paceline.UnknownResource, match="there is no limit rpm"):
        limiter.pause_limit("rpm")


def test_observe_only_lowers(make: Make, clock: paceline.ManualClock) -> None:
    limiter = make(rpm=10, clock=clock)
    (name,) = left(limiter)
    limiter.observe(name, remaining=4).wait()
    assert list(left(limiter).values()) == [4]
    limiter.observe(name, remaining=9).wait()
    assert list(left(limiter).values()) == [4]


def test_purge(make: Make) -> None:
    limiter = make(concurrency=1)
    held = limiter.acquire().wait()

    async def wait() -> list[Any]:
        tasks = [asyncio.create_task(limiter.acquire()) for _ in range(3)]
        await asyncio.sleep(0)
        limiter.purge()
        return await asyncio.gather(*tasks, return_exceptions=True)

    errors = asyncio.run(wait())
    assert [(type(error), str(error)) for error in errors] == [(paceline.LinePurged, "test/model: the line was purged")] * 3
    held.settle()


def test_events_for_threads_and_tasks(make: Make, clock: paceline.ManualClock) -> None:
    limiter = make(**bucket(100), clock=clock)
    events, watched = limiter.events(), limiter.events()
    seen: list[str] = []
    thread = threading.Thread(target=lambda: seen.extend(next(events).kind for _ in range(6)), daemon=True)
    thread.start()

    async def work() -> list[paceline.Event]:
        permit = await limiter.acquire(tokens=100)
        task = asyncio.create_task(limiter.acquire(tokens=50))
        await asyncio.sleep(0)
        clock.advance(30)
        (await task).settle(tokens=20)
        permit.settle()
        with pytest.raises(paceline.Impossible):
            await limiter.acquire(tokens=101)
        told = []
        async for event in watched:
            told.append(event)
            if event.kind == "refused":
                return told
        return told

    told = asyncio.run(asyncio.wait_for(work(), 10))
    kinds = [event.kind for event in told if event.kind != "long_wait"]
    assert kinds == ["granted", "queued", "granted", "settled", "settled", "refused"]
    thread.join(5)
    assert [kind for kind in seen if kind != "long_wait"] == kinds[: len([kind for kind in seen if kind != "long_wait"])]
    facts = {event.kind: event for event in told}
    assert facts["queued"].ahead == 0 and facts["settled"].returned == {} and isinstance(facts["refused"].error, paceline.Impossible)
    with pytest.raises(AttributeError, match="an event of the kind queued has no waited"):
        facts["queued"].waited


def test_a_cancelled_wait_for_an_event_loses_none(make: Make) -> None:
    limiter = make(rpm=10)
    events = limiter.events()

    async def work() -> str:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(events.__anext__(), 0.01)
        (await limiter.acquire()).settle()
        return (await asyncio.wait_for(events.__anext__(), 5)).kind

    assert asyncio.run(work()) == "granted"


def test_acquire_any_takes_the_first_and_leaves_the_rest(make: Make) -> None:
    limiter = make(config={"resources": {"a": {"concurrency": 1}, "b": {"concurrency": 1}}})
    a, b = limiter.acquire("a").wait(), limiter.acquire("b").wait()

    async def first() -> paceline.Permit:
        task = asyncio.create_task(limiter.acquire_any(["a", limiter.acquire("b")]))
        await asyncio.sleep(0)
        assert waiting(limiter) == 2
        b.settle()
        return await task

    won = asyncio.run(first())
    assert won.resource == "b" and waiting(limiter) == 0
    won.settle()
    a.settle()
    with limiter.acquire_any(["a", "b"]) as permit:
        assert permit.resource == "a"
        permit.settle()
    assert set(left(limiter).values()) == {1}


def test_acquire_any_refuses_when_all_refuse(make: Make) -> None:
    limiter = make(config={"resources": {"a": {"tpm": 10}, "b": {"tpm": 20}}})
    with pytest.raises(paceline.Impossible):
        limiter.acquire_any(["a", "b"], tokens=30).wait()
    limiter.acquire_any(["a", "b"], tokens=15).wait().settle()
    with pytest.raises(paceline.AcquireTimeout):
        limiter.acquire_any(["a", "b"], tokens=15, timeout=0.01).wait()
    with pytest.raises(ValueError, match="nothing is asked for: name at least one resource"):
        limiter.acquire_any([])


def test_acquire_many_is_all_or_nothing(make: Make) -> None:
    limiter = make(config={"resources": {"a": {"concurrency": 2}, "b": {"concurrency": 1}}})
    with limiter.acquire_many(["a", "b"]) as permits:
        assert [permit.resource for permit in permits] == ["a", "b"]
        with pytest.raises(paceline.Busy):
            limiter.acquire_many(["a", "b"], timeout=0.01).wait()
        assert sorted(left(limiter).values()) == [0, 1]
        for permit in permits:
            permit.settle()
    assert sorted(left(limiter).values()) == [1, 2]
    with pytest.raises(paceline.UnknownResource):
        limiter.acquire_many(["a", "c"]).wait()
    assert sorted(left(limiter).values()) == [1, 2]


def test_an_exception_in_a_block_of_many_ends_them_all(make: Make, clock: paceline.ManualClock) -> None:
    limiter = make(config={"resources": {"a": {"rpm": 2}, "b": {"rpm": 1}}}, clock=clock)
    with pytest.raises(OSError):
        with limiter.acquire_many(["a", "b"], on_error="give_back"):
            raise OSError
    assert sorted(left(limiter).values()) == [1, 2] and limiter.permits().wait() == []


def test_the_decorator(make: Make, clock: paceline.ManualClock) -> None:
    limiter = make(**bucket(1_000), clock=clock)

    @limiter.limited(tokens=lambda text: len(text))
    def call(text: str) -> dict[str, int]:
        """Calls."""
        return {"tokens": 3}

    @limiter.limited("test/model", tokens=100, on_error="give_back")
    async def acall(fail: bool) -> int:
        if fail:
            raise OSError
        return 7

    assert call("hello world") == {"tokens": 3} and call.__doc__ == "Calls."
    assert spent(limiter) == 3
    assert asyncio.run(acall(False)) == 7 and spent(limiter) == 103, "a plain value is no usage"
    with pytest.raises(OSError):
        asyncio.run(acall(True))
    assert spent(limiter) == 103 and limiter.permits().wait() == []


def test_the_decorator_without_settling(make: Make, clock: paceline.ManualClock, caplog: pytest.LogCaptureFixture) -> None:
    limiter = make(rpm=10, clock=clock)

    @limiter.limited(settle=False)
    def call() -> str:
        return "answer"

    assert [call() for _ in range(3)] == ["answer"] * 3
    assert spent(limiter) == 3 and not caplog.records


def test_configure_is_live(make: Make) -> None:
    limiter = make(concurrency=1)
    held = limiter.acquire().wait()

    async def raised() -> paceline.Permit:
        task = asyncio.create_task(limiter.acquire())
        await asyncio.sleep(0)
        limiter.configure({"test": {"model": {"concurrent_requests": 2}, "second": {"rpm": 1}}})
        return await asyncio.wait_for(task, 5)

    asyncio.run(raised()).settle()
    held.settle()
    assert sorted(limiter.resources) == ["test/model", "test/second"]
    with pytest.raises(paceline.ConfigError):
        limiter.configure({"test": {"model": {"rpm": 0}}})
    assert sorted(limiter.resources) == ["test/model", "test/second"]


def test_a_long_wait_is_told(make: Make, clock: paceline.ManualClock, caplog: pytest.LogCaptureFixture) -> None:
    limiter = make("test/long", **bucket(100), clock=clock)
    limiter.acquire(tokens=100).wait().settle()

    async def wait() -> None:
        task = asyncio.create_task(limiter.acquire(tokens=100))
        await asyncio.sleep(0)
        with caplog.at_level(logging.WARNING, "paceline"):
            clock.advance(60)
        (await task).settle()

    asyncio.run(wait())
    # The thread that keeps time tells it.
    until(lambda: caplog.records)
    assert [record.message for record in caplog.records] == [
        "test/long: the first of 1 callers has waited 30 s for limit test/long/tpm: 100 wanted, 50 left"
    ]


def test_lanes_and_head_starts(make: Make, clock: paceline.ManualClock) -> None:
    limiter = make(rpm=1, lanes={"fast": {"priority": 10}, "slow": {}}, clock=clock)
    limiter.acquire(lane="slow").wait().settle()
    order: list[str] = []

    async def one(lane: str) -> None:
        async with limiter.acquire(lane=lane) as permit:
            order.append(lane)
            permit.settle()

    async def both() -> None:
        tasks = [asyncio.create_task(one(lane)) for lane in ("slow", "fast")]
        await asyncio.sleep(0)
        clock.advance(300)
        await asyncio.gather(*tasks)

    asyncio.run(both())
    assert order == ["fast", "slow"]
    with pytest.raises(paceline.UnknownResource, match="test/model: there is no lane other"):
        limiter.acquire(lane="other").wait()


def test_a_limit_that_is_nearly_used_up_is_told(clock: paceline.ManualClock) -> None:
    config = {"test": {"near": {"tokens_per_minute": 1_000, "warn_at": "80%"}}}
    limiter = paceline.Limiter(config=config, store="memory://near", clock=clock)
    events = limiter.events()
    limiter.record(tokens=900).wait()
    near = {"limit": "test/near/tokens_per_minute", "metric": "tokens", "used": 900, "most": 1_000, "warn_at": 0.8}
    assert limiter.near_limits().wait() == [near]
    told = next(event for event in events if event.kind == "near_limit")
    assert told.facts == near
    clock.advance(70)
    assert limiter.near_limits().wait() == []
    assert next(events).kind == "no_longer_near"
