"""Signals and the end of the interpreter: a wait is left at once, and nothing holds a process that wants to end."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

import paceline
from core.conftest import left, until, waiting

Make = Callable[..., paceline.Limiter]
Script = Callable[..., "subprocess.Popen[str]"]
Run = Callable[..., str]

LIMITER = """
import asyncio, os, signal, sys, threading, time
import paceline
store = sys.argv[1] if len(sys.argv) > 1 else "memory://"
limiter = paceline.Limiter("test/model", concurrency=1, store=store, key_prefix=f"t{os.getpid()}x{time.time_ns()}" if "redis" in store else None)
held = limiter.acquire().wait()

def waits(count):
    while True:
        accounts = limiter.snapshot().wait().values()
        if sum(r["waiting"] for a in accounts for r in a["resources"].values()) == count:
            return
        time.sleep(0.001)
"""


@pytest.fixture(params=["memory://", "redis"])
def store(request: pytest.FixtureRequest) -> str:
    return request.getfixturevalue("redis_server") + "/3" if request.param == "redis" else request.param


def interrupted(process: subprocess.Popen[str], number: int) -> tuple[str, float]:
    """Sends a signal to a program that says it waits, and returns what it said then and how long it took."""
    assert process.stdout is not None and process.stdout.readline() == "waits\n", process.communicate()
    began = time.monotonic()
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (0, ""), err
    return out, time.monotonic() - began


@pytest.mark.parametrize("door", ["limiter.acquire().wait()", "limiter.acquire().__enter__()", "limiter.acquire_many(['test/model']).wait()", "next(limiter.events())"])
def test_an_interrupt_leaves_a_blocking_wait_at_once(script: Script, door: str) -> None:
    text = LIMITER + f"""
def tell():
    # Nobody sees a thread wait for an event.
    time.sleep(0.3) if "events" in {door!r} else waits(1)
    print("waits", flush=True)
threading.Thread(target=tell).start()
try:
    {door}
except KeyboardInterrupt:
    waits(0)
    print("left", flush=True)
    held.settle()
    with limiter.acquire(timeout=0.1) as permit:
        permit.settle()
"""
    with script(text) as process:
        out, took = interrupted(process, signal.SIGINT)
    assert out == "left\n" and took < 5


def test_an_interrupt_leaves_a_wait_on_redis(script: Script, redis_server: str) -> None:
    text = LIMITER + """
threading.Thread(target=lambda: (waits(1), print("waits", flush=True))).start()
try:
    limiter.acquire().wait()
except KeyboardInterrupt:
    waits(0)
    print("left")
    held.settle()
"""
    with script(text, redis_server + "/4") as process:
        out, took = interrupted(process, signal.SIGINT)
    assert out == "left\n" and took < 5


def test_signal_handlers_run_during_a_wait(script: Script) -> None:
    text = LIMITER + """
signal.signal(signal.SIGTERM, lambda *_: (print("handled", flush=True), held.settle()))
threading.Thread(target=lambda: (waits(1), print("waits", flush=True))).start()
with limiter.acquire() as permit:
    print("granted")
    permit.settle()
"""
    with script(text) as process:
        out, took = interrupted(process, signal.SIGTERM)
    assert out == "handled\ngranted\n" and took < 5


def test_a_handler_that_raises_leaves_the_wait(script: Script) -> None:
    text = LIMITER + """
class Stop(Exception): pass
def stop(*_): raise Stop
signal.signal(signal.SIGTERM, stop)
threading.Thread(target=lambda: (waits(1), print("waits", flush=True))).start()
try:
    limiter.acquire().wait()
except Stop:
    waits(0)
    print("stopped")
held.settle()
"""
    with script(text) as process:
        out, _ = interrupted(process, signal.SIGTERM)
    assert out == "stopped\n"


def test_asyncio_run_is_interrupted(script: Script) -> None:
    text = LIMITER + """
async def main():
    task = asyncio.create_task(limiter.acquire())
    while not waiting():
        await asyncio.sleep(0)
    print("waits", flush=True)
    await task
def waiting():
    accounts = limiter.snapshot().wait().values()
    return sum(r["waiting"] for a in accounts for r in a["resources"].values())
try:
    asyncio.run(main())
except KeyboardInterrupt:
    waits(0)
    print("left")
    held.settle()
"""
    with script(text) as process:
        out, _ = interrupted(process, signal.SIGINT)
    assert out == "left\n"


def test_a_wait_with_a_grant_returns_while_signals_fly(script: Script) -> None:
    text = LIMITER + """
signal.signal(signal.SIGALRM, lambda *_: None)
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
for _ in range(50):
    threading.Timer(0.005, held.settle).start()
    held = limiter.acquire().wait()
held.settle()
signal.setitimer(signal.ITIMER_REAL, 0)
print("done")
"""
    with script(text) as process:
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (0, "done\n", "")


ENDINGS = {
    "daemon threads wait": """
for _ in range(5):
    threading.Thread(target=lambda: limiter.acquire().wait(), daemon=True).start()
waits(5)
""",
    "daemon threads wait and are granted while it ends": """
for _ in range(5):
    threading.Thread(target=lambda: limiter.acquire().wait(), daemon=True).start()
waits(5)
held.settle()
""",
    "a daemon thread's loop waits": """
async def wait():
    await asyncio.gather(*(limiter.acquire() for _ in range(5)))
threading.Thread(target=lambda: asyncio.run(wait()), daemon=True).start()
waits(5)
held.settle()
""",
    "a stopped loop": """
loop = asyncio.new_event_loop()
async def wait(): return await limiter.acquire()
task = loop.create_task(wait())
loop.run_until_complete(asyncio.sleep(0.01))
waits(1)
task._log_destroy_pending = False
loop.close()
held.settle()
""",
    "an open block": """
def hold():
    with paceline.Limiter("test/other", concurrency=1, private=True).acquire():
        print("", end="", flush=True)
        time.sleep(100)
threading.Thread(target=hold, daemon=True).start()
time.sleep(0.05)
""",
    "a held permit": "",
    "events subscribed": """
events = limiter.events()
threading.Thread(target=lambda: [None for _ in events], daemon=True).start()
other = limiter.events()
held.settle()
""",
    "replies on the way": """
replies = [limiter.snapshot() for _ in range(100)]
held.settle()
del replies
""",
    "a time-out that is due while it ends": """
threading.excepthook = lambda *_: None
for delay in range(20):
    threading.Thread(target=lambda delay=delay: limiter.acquire(timeout=0.01 + delay / 1000).wait(), daemon=True).start()
time.sleep(0.02)
""",
    "an abrupt sys.exit in a block": """
try:
    with paceline.Limiter("test/exit", concurrency=1, private=True).acquire() as permit:
        sys.exit(0)
finally:
    held.settle()
""",
    "a short lease that is renewed": """
limited = paceline.Limiter("test/leased", concurrency=1, private=True, lease=0.01)
block = limited.acquire()
block.__enter__()
time.sleep(0.03)
held.settle()
""",
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_interpreter_ends_cleanly(run: Run, store: str, ending: str) -> None:
    began = time.monotonic()
    run(LIMITER.replace("import paceline\n", "import paceline\nimport logging\nlogging.getLogger('paceline').addHandler(logging.NullHandler())\n") + ENDINGS[ending], store)
    assert time.monotonic() - began < 8


def test_the_end_waits_for_a_wake_up_that_is_under_way(run: Run) -> None:
    """A loop's `call_soon_threadsafe` may let other threads run, as it does in debug mode: the end may come meanwhile."""
    run(
        LIMITER
        + """
inside = threading.Event()
async def wait():
    loop = asyncio.get_running_loop()
    real = loop.call_soon_threadsafe
    def slow(*arguments, **named):
        inside.set()
        for _ in range(500):
            time.sleep(0.0002)
        return real(*arguments, **named)
    loop.call_soon_threadsafe = slow
    try:
        await limiter.acquire(timeout=0.05)
    except paceline.AcquireTimeout:
        pass
threading.Thread(target=lambda: asyncio.run(wait()), daemon=True).start()
inside.wait()
held.settle()
"""
    )


def test_the_end_waits_for_tasks_that_are_being_woken(run: Run) -> None:
    """The same of a loop's own thread: in debug mode `call_soon` looks at files, and lets other threads run meanwhile."""
    run(
        LIMITER
        + """
inside = threading.Event()
async def wait():
    loop = asyncio.get_running_loop()
    loop.slow_callback_duration = 60
    real = loop.call_soon
    def slow(*arguments, **named):
        if threading.current_thread() is not threading.main_thread() and settled.is_set():
            inside.set()
            for _ in range(1_000):
                time.sleep(0.0002)
        return real(*arguments, **named)
    loop.call_soon = slow
    (await limiter.acquire()).settle()
settled = threading.Event()
threading.Thread(target=lambda: asyncio.run(wait()), daemon=True).start()
waits(1)
settled.set()
held.settle()
inside.wait()
"""
    )


def test_an_error_ends_a_program_with_its_trace(script: Script) -> None:
    with script(LIMITER + "\nraise SystemExit(3)") as process:
        assert process.communicate(timeout=20) == ("", "") and process.returncode == 3


def test_others_make_progress_while_a_thread_waits(make: Make) -> None:
    limiter = make(concurrency=1)
    held = limiter.acquire().wait()
    progress = 0
    thread = threading.Thread(target=lambda: limiter.acquire().wait().settle(), daemon=True)
    thread.start()
    until(lambda: waiting(limiter) == 1)
    end = time.monotonic() + 0.05
    while time.monotonic() < end:
        progress += 1
    assert progress > 1_000
    held.settle()
    thread.join(5)
    assert not thread.is_alive() and list(left(limiter).values()) == [1]


def test_the_main_thread_lets_others_run_while_it_waits(make: Make) -> None:
    limiter = make(concurrency=1)
    held: Any = limiter.acquire().wait()
    progress: list[int] = []

    def count() -> None:
        end = time.monotonic() + 0.05
        while time.monotonic() < end:
            progress.append(1)
        held.settle()

    threading.Thread(target=count, daemon=True).start()
    with limiter.acquire() as permit:
        permit.settle()
    assert len(progress) > 1_000
