"""Forked children: memory refuses and names the alternative, shared stores work again by themselves."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
import traceback
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import paceline
from core.conftest import left, until, waiting

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here"),
    pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning"),
]

Make = Callable[..., paceline.Limiter]
FORKED = (
    "a memory store does not outlive a fork: each child would grant the whole limit; build the limiter in the child, "
    "or share a store that several processes can reach"
)


BUSY = """
        import os, signal, sys, threading, time
        # A hook of another library may let other threads run in the middle of a fork.
        os.register_at_fork(before=lambda: time.sleep(0.002))
        import paceline
        where = {"private": True} if sys.argv[1] == "memory" else {"store": sys.argv[1], "session_timeout": 1}
        limiter = paceline.Limiter("test/busy", concurrency=4, **where)
        stop = threading.Event()
        events = limiter.events()

        def work():
            while not stop.is_set():
                with limiter.acquire() as permit:
                    permit.settle()
                events.try_next()

        def forks(count):
            threads = [threading.Thread(target=work, daemon=True) for _ in range(4)]
            for thread in threads:
                thread.start()
            for _ in range(count):
                pid = os.fork()
                if pid == 0:
                    signal.alarm(5)
                    child()
                    os._exit(0)
                _, status = os.waitpid(pid, 0)
                assert status == 0, status
            stop.set()
            for thread in threads:
                thread.join()
"""


def in_child(function: Callable[[], Any], seconds: int = 10) -> None:
    """Runs a function in a forked child under an alarm; fails where it fails, or does not end."""
    said, says = os.pipe()
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(seconds)
        status = 1
        try:
            function()
            status = 0
        except BaseException:
            os.write(says, traceback.format_exc().encode()[-4_000:])
        finally:
            os._exit(status)
    os.close(says)
    _, status = os.waitpid(child, 0)
    with os.fdopen(said, "rb") as pipe:
        text = pipe.read().decode()
    assert not os.WIFSIGNALED(status), f"the child did not end: signal {os.WTERMSIG(status)}"
    assert status == 0, text


def refused(ask: Callable[[], Any]) -> None:
    with pytest.raises(paceline.ForkedStore) as told:
        ask()
    assert str(told.value) == FORKED


def test_memory_refuses_in_the_child(make: Make) -> None:
    limiter = make(rpm=10)
    held = limiter.acquire().wait()

    def child() -> None:
        refused(lambda: limiter.acquire().wait())
        refused(lambda: limiter.acquire().__enter__())
        refused(lambda: limiter.try_acquire().wait())
        refused(lambda: limiter.acquire_any(["test/model"]).wait())
        refused(lambda: limiter.acquire_many(["test/model"]).wait())
        refused(lambda: limiter.record(requests=1).wait())
        refused(lambda: limiter.snapshot().wait())
        refused(lambda: limiter.explain().wait())
        refused(lambda: limiter.permits().wait())
        refused(lambda: limiter.pause().wait())
        own = paceline.Limiter("test/model", rpm=1, private=True)
        own.acquire().wait().settle()

    in_child(child)
    held.settle()
    assert list(left(limiter).values()) == [9]


def test_memory_refuses_in_a_loop_of_the_child(make: Make) -> None:
    import asyncio

    limiter = make(concurrency=1)

    def child() -> None:
        async def ask() -> None:
            with pytest.raises(paceline.ForkedStore):
                await limiter.acquire()
            with pytest.raises(paceline.ForkedStore):
                async with limiter.acquire():
                    pass

        asyncio.run(ask())

    asyncio.run(asyncio.sleep(0))
    in_child(child)


def test_a_shared_memory_store_refuses_too(make: Make) -> None:
    limiter = make("test/fork-named", rpm=10, store="memory://fork-named")

    def child() -> None:
        refused(lambda: limiter.acquire().wait())
        again = paceline.Limiter("test/fork-named", rpm=10, store="memory://fork-named")
        again.acquire().wait().settle()

    in_child(child)
    limiter.acquire().wait().settle()


def test_permits_of_the_parent_are_inert_in_the_child(make: Make, on_store: dict[str, Any]) -> None:
    limiter = make(concurrency=2, **on_store)
    held = limiter.acquire().wait()
    block = limiter.acquire()
    inside = block.__enter__()

    def child() -> None:
        for permit in (held, inside):
            try:
                permit.settle().wait()
            except paceline.PacelineError:
                pass
            assert permit.settled
        block.__exit__(None, None, None)

    in_child(child)
    assert list(left(limiter).values()) == [0], "a child ends nothing of its parent's"
    held.settle().wait()
    inside.settle().wait()
    block.__exit__(None, None, None)
    assert list(left(limiter).values()) == [2]


def test_dropping_the_parents_permits_in_the_child_ends_nothing(make: Make, on_store: dict[str, Any]) -> None:
    limiter = make(concurrency=1, **on_store)
    held = [limiter.acquire().wait()]

    def child() -> None:
        import gc

        held.clear()
        gc.collect()

    in_child(child)
    assert list(left(limiter).values()) == [0]
    held[0].settle()


def test_forks_while_the_parents_threads_work(run: Any) -> None:
    """Locks of the parent's threads are not found taken by the child, and forking holds up nobody for good."""
    out = run(
        BUSY + """
        def child():
            try:
                limiter.acquire().wait()
            except paceline.ForkedStore:
                return
            os._exit(3)
        forks(40)
        print(list(limiter.permits().wait()))
        """,
        "memory",
        seconds=30,
    )
    assert out == "[]\n"


def test_forks_on_redis_while_the_parents_threads_work(run: Any, redis_server: str) -> None:
    out = run(
        BUSY + """
        def child():
            for _ in range(3):
                with limiter.acquire(timeout=5) as permit:
                    assert permit.granted_via == "ledger"
                    permit.settle().wait()
        forks(15)
        print("done")
        """,
        redis_server + "/7",
        seconds=30,
    )
    assert out == "done\n"


def test_redis_works_again_in_child_and_parent(make: Make, on_redis: dict[str, Any]) -> None:
    limiter = make(rpm=100, concurrency=5, **on_redis)
    limiter.acquire().wait().settle().wait()

    def child() -> None:
        import asyncio

        with limiter.acquire(timeout=5) as permit:
            permit.settle().wait()

        async def loop() -> None:
            async with limiter.acquire(timeout=5) as permit:
                await permit.settle()

        asyncio.run(loop())
        grandchild = os.fork()
        if grandchild == 0:
            signal.alarm(5)
            try:
                limiter.acquire(timeout=3).wait().settle().wait()
                os._exit(0)
            finally:
                os._exit(1)
        assert os.waitpid(grandchild, 0)[1] == 0

    in_child(child)
    in_child(child)
    limiter.acquire().wait().settle().wait()
    (account,) = limiter.snapshot().wait().values()
    used = [limit["used"] for limit in account["limits"].values() if limit["metric"] == "requests"]
    assert used == [8]


def test_children_share_the_line_on_redis(make: Make, on_redis: dict[str, Any]) -> None:
    """Nobody is granted beyond the limit, whoever asks."""
    limiter = make(concurrency=1, **on_redis)
    held = limiter.acquire().wait()

    def child() -> None:
        with pytest.raises(paceline.AcquireTimeout):
            limiter.acquire(timeout=0.05).wait()
        assert waiting(limiter) == 0

    in_child(child)
    held.settle()


def test_a_child_that_dies_returns_its_permits(make: Make, on_redis: dict[str, Any]) -> None:
    limiter = make(concurrency=1, session_timeout=0.6, **on_redis)
    limiter.snapshot().wait()
    child = os.fork()
    if child == 0:
        signal.alarm(10)
        kept = limiter.acquire().wait()
        os.kill(os.getpid(), signal.SIGKILL)
        os._exit(int(kept.settled))
    os.waitpid(child, 0)
    began = time.monotonic()
    limiter.acquire(timeout=5).wait().settle()
    assert time.monotonic() - began < 3


def _target(limiter: Any, answers: Any) -> None:
    try:
        with limiter.acquire(timeout=5) as permit:
            permit.settle().wait()
        answers.put("granted")
    except paceline.PacelineError as error:
        answers.put(type(error).__name__)


def _built(options: dict[str, Any], answers: Any) -> None:
    _target(paceline.Limiter("test/model", rpm=100, **options), answers)


@pytest.mark.parametrize("method", ["spawn", "forkserver", "fork"])
def test_multiprocessing(make: Make, on_redis: dict[str, Any], method: str) -> None:
    context: Any = multiprocessing.get_context(method)
    limiter = make(rpm=100, **on_redis)
    limiter.acquire().wait().settle().wait()
    answers = context.SimpleQueue()
    processes = [context.Process(target=_built, args=(on_redis, answers)) for _ in range(2)]
    if method == "fork":
        processes.append(context.Process(target=_target, args=(limiter, answers)))
        processes.append(context.Process(target=_target, args=(make(rpm=1), answers)))
    for process in processes:
        process.start()
    got = sorted(answers.get() for _ in processes)
    for process in processes:
        process.join(10)
        assert process.exitcode == 0
    assert got == (["ForkedStore", "granted", "granted", "granted"] if method == "fork" else ["granted", "granted"])


_shared: dict[str, Any] = {}


def _in_pool(number: int) -> int:
    with _shared["limiter"].acquire(timeout=10) as permit:
        permit.settle().wait()
    return number


def _refuses(_: int) -> None:
    _shared["memory"].acquire().wait()


@pytest.mark.parametrize("kind", ["executor", "pool"])
def test_pools_of_forked_processes(make: Make, on_redis: dict[str, Any], kind: str) -> None:
    _shared.update(limiter=make(concurrency=2, **on_redis), memory=make(rpm=1))
    _shared["limiter"].acquire().wait().settle().wait()
    context = multiprocessing.get_context("fork")
    if kind == "pool":
        with context.Pool(3) as pool:
            assert sorted(pool.map(_in_pool, range(20))) == list(range(20))
            with pytest.raises(paceline.ForkedStore, match="build the limiter in the child"):
                pool.map(_refuses, [0])
        return
    with ProcessPoolExecutor(3, mp_context=context) as executor:
        assert sorted(executor.map(_in_pool, range(20))) == list(range(20))
        with pytest.raises(paceline.ForkedStore, match="build the limiter in the child"):
            executor.submit(_refuses, 0).result(10)


def _settle_by_id(options: dict[str, Any], id: str, answers: Any) -> None:
    limiter = paceline.Limiter("test/model", tpm=1_000, concurrency=1, **options)
    answers.put(limiter.settle(id, tokens=40).wait())


def test_another_process_settles_by_id(make: Make, on_redis: dict[str, Any]) -> None:
    limiter = make(tpm=1_000, concurrency=1, **on_redis)
    permit = limiter.acquire(tokens=100).wait()
    context = multiprocessing.get_context("spawn")
    answers = context.SimpleQueue()
    process = context.Process(target=_settle_by_id, args=(on_redis, permit.id, answers))
    process.start()
    assert answers.get() == {"returned": {"tokens": 60, "concurrent_requests": 1}, "charged": {}}
    process.join(10)
    with pytest.raises(paceline.PermitOver):
        permit.settle(tokens=40).wait()


def test_a_detached_permit_outlives_its_process(make: Make, on_redis: dict[str, Any], script: Any) -> None:
    text = """
    import os, signal, sys
    import paceline
    limiter = paceline.Limiter("test/model", tpm=1_000, concurrency=2, store=sys.argv[1], key_prefix=sys.argv[2], session_timeout=0.5)
    print(limiter.acquire(tokens=100).wait().detach(), flush=True)
    kept = limiter.acquire(tokens=100).wait()
    print("kept", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
    """
    limiter = make(tpm=1_000, concurrency=2, session_timeout=0.5, **on_redis)
    with script(text, on_redis["store"], on_redis["key_prefix"]) as process:
        out, err = process.communicate(timeout=20)
    assert process.returncode == -signal.SIGKILL, err
    detached, kept = out.split()
    assert kept == "kept"
    until(lambda: len(limiter.permits().wait()) == 1, seconds=5)
    assert [permit["id"] for permit in limiter.permits().wait()] == [detached]
    moved = limiter.settle(detached, tokens=40).wait()
    assert moved == {"returned": {"tokens": 60, "concurrent_requests": 1}, "charged": {}}
    with pytest.raises(paceline.PermitOver):
        limiter.settle(detached, tokens=40).wait()


def test_an_open_block_of_the_parent_is_not_renewed_twice(make: Make) -> None:
    limiter = make(concurrency=1, lease=0.2)
    with limiter.acquire() as permit:
        in_child(lambda: time.sleep(0.05))
        time.sleep(0.5)
        assert not permit.settled and list(left(limiter).values()) == [0]
        permit.settle()
    assert list(left(limiter).values()) == [1]


def test_a_child_that_forked_inside_a_block_ends_cleanly(run: Any, redis_server: str) -> None:
    out = run(
        """
        import os, sys
        import paceline
        for store in ("memory://", sys.argv[1]):
            with paceline.Limiter("test/forked-block", rpm=100, store=store).acquire() as permit:
                child = os.fork()
                if child == 0:
                    sys.exit(0)
                assert os.waitpid(child, 0)[1] == 0
                permit.settle()
        print("parent")
        """,
        redis_server + "/5",
    )
    assert out == "parent\n"


def test_the_children_of_a_program_end_cleanly(run: Any, redis_server: str) -> None:
    """What `multiprocessing` does at the end of a child is not what `os._exit` does."""
    out = run(
        """
        import multiprocessing, sys
        import paceline
        limiter = paceline.Limiter("test/ending", rpm=1000, store=sys.argv[1])
        def work():
            with limiter.acquire() as permit:
                permit.settle()
        if __name__ == "__main__":
            work()
            context = multiprocessing.get_context("fork")
            children = [context.Process(target=work) for _ in range(8)]
            for child in children: child.start()
            for child in children: child.join()
            print([child.exitcode for child in children])
        """,
        redis_server + "/6",
    )
    assert out == f"{[0] * 8}\n"


@pytest.fixture
def on_local() -> Iterator[dict[str, Any]]:
    """The options of a limiter that has a local store to itself; its files are removed with it."""
    name = f"fork-{uuid.uuid4().hex[:12]}"
    yield {"store": f"local://{name}", "session_timeout": 1}
    folders = [os.environ.get("XDG_RUNTIME_DIR", ""), f"/run/user/{os.geteuid()}"]
    for folder in [*(f"{at}/paceline" for at in folders if at), f"/tmp/paceline-{os.geteuid()}"]:
        for kind in ("sock", "lock"):
            Path(folder, f"{name}.{kind}").unlink(missing_ok=True)


def test_the_host_of_a_local_store_hosts_on_and_its_children_join(make: Make, on_local: dict[str, Any]) -> None:
    limiter = make(rpd=100, concurrency=2, **on_local)
    held = limiter.acquire().wait()

    def child() -> None:
        with limiter.acquire(timeout=5) as permit:
            assert permit.granted_via == "ledger"
            with pytest.raises(paceline.AcquireTimeout):
                limiter.acquire(timeout=0.05).wait()
            permit.settle().wait()

    for _ in range(3):
        in_child(child)
        limiter.acquire(timeout=5).wait().settle().wait()
    held.settle().wait()
    # One request comes back in a quarter of an hour.
    assert sorted(left(limiter).values()) == [2, 93], "each is counted once"


def test_a_child_waits_in_the_line_that_its_parent_hosts(make: Make, on_local: dict[str, Any]) -> None:
    limiter = make(concurrency=1, **on_local)
    held = limiter.acquire().wait()
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        try:
            limiter.acquire(timeout=15).wait().settle().wait()
            os._exit(0)
        finally:
            os._exit(1)
    until(lambda: waiting(limiter) == 1)
    held.settle().wait()
    assert os.waitpid(child, 0)[1] == 0
    limiter.acquire(timeout=5).wait().settle().wait()


def test_a_child_takes_over_when_the_parent_that_hosts_dies(run: Any, on_local: dict[str, Any]) -> None:
    """The first process hosts, forks and is killed; its child, which has the socket's number too, goes on."""
    out = run(
        """
        import logging, os, signal, sys, paceline
        # What the killed host listened on is open in its child as well: it takes connections, and answers none.
        logging.getLogger("paceline").addHandler(logging.NullHandler())
        limiter = paceline.Limiter("test/heir", concurrency=1, store=sys.argv[1], session_timeout=1)
        said, says = os.pipe()
        host = os.fork()
        if host == 0:
            signal.alarm(40)
            held = limiter.acquire(timeout=15).wait()
            if os.fork() == 0:
                signal.alarm(30)
                os.write(says, b"child waits\\n")
                with limiter.acquire(timeout=15) as permit:
                    permit.settle().wait()
                os.write(says, b"child went\\n")
                os._exit(0)
            signal.pause()
        os.close(says)
        heard = os.fdopen(said)
        assert heard.readline() == "child waits\\n"
        os.kill(host, signal.SIGKILL)
        os.waitpid(host, 0)
        assert heard.readline() == "child went\\n"
        heard.close()
        limiter.acquire(timeout=15).wait().settle().wait()
        print("everybody went")
        """,
        on_local["store"],
        seconds=60,
    )
    assert out == "everybody went\n"


def test_forks_on_a_local_store_while_the_parents_threads_work(run: Any, on_local: dict[str, Any]) -> None:
    out = run(
        BUSY
        + """
        def child():
            for _ in range(3):
                with limiter.acquire(timeout=5) as permit:
                    assert permit.granted_via == "ledger"
                    permit.settle().wait()
        forks(15)
        print("done")
        """,
        on_local["store"],
        seconds=60,
    )
    assert out == "done\n"


if sys.platform == "darwin":
    pytestmark.append(pytest.mark.skip(reason="the system's own libraries do not survive a fork there"))
