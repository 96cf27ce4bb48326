"""What users read: every error and warning, word by word."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import pickle
import sys
from collections.abc import Callable
from typing import Any

import pytest

import paceline
from paceline import _errors

Make = Callable[..., paceline.Limiter]
BUCKET = [{"id": "tpm", "metric": "tokens", "amount": 100, "window": "1m", "algorithm": "token_bucket", "transit": "0ms", "counts": "at_grant"}]


@pytest.fixture
def spent(make: Make, clock: paceline.ManualClock) -> paceline.Limiter:
    """100 tokens a minute, of which 80 are spent."""
    limiter = make(limits=BUCKET, clock=clock)
    limiter.acquire(tokens=80).wait().settle()
    return limiter


REFUSALS: dict[str, tuple[Callable[[paceline.Limiter], Any], type, str]] = {
    "busy": (
        lambda limiter: limiter.try_acquire(tokens=50).wait(),
        paceline.Busy,
        "busy: test/model: 50 wanted of limit test/model/tpm, 20 left; ask again in 18 s",
    ),
    "too late": (
        lambda limiter: limiter.acquire(tokens=50, timeout=10).wait(),
        paceline.AcquireTimeout,
        "the time-out cannot be met: test/model: 50 wanted of limit test/model/tpm, 20 left; ask again in 18 s",
    ),
    "expected wait": (
        lambda limiter: limiter.acquire(tokens=50, max_expected_wait=2).wait(),
        paceline.ExpectedWaitTooLong,
        "the expected wait is 18 s, above the 2 s accepted: test/model: 50 wanted of limit test/model/tpm, 20 left; ask again in 16 s",
    ),
    "impossible": (
        lambda limiter: limiter.acquire(tokens=101).wait(),
        paceline.Impossible,
        "test/model: 101 wanted of limit test/model/tpm, which can never grant more than 100",
    ),
    "nearest resource": (
        lambda limiter: limiter.acquire("test/modle", tokens=1).wait(),
        paceline.UnknownResource,
        "there is no resource test/modle, did you mean test/model?",
    ),
    "no resource": (lambda limiter: limiter.acquire("zzz", tokens=1), paceline.UnknownResource, "there is no resource zzz"),
    "limit": (
        lambda limiter: limiter.pause_limit("tpmm"),
        paceline.UnknownResource,
        "there is no limit tpmm, did you mean test/model/tpm?",
    ),
    "not a name": (lambda limiter: limiter.acquire(3), TypeError, 'the resource is named by a string, such as "openai/gpt-4o"'),
    "request": (
        lambda limiter: limiter.acquire(request=[]),
        TypeError,
        "request= is the body of a call, a mapping with its model and messages, not a list",
    ),
    "closed": (lambda limiter: (limiter.close(), limiter.acquire(tokens=1).wait()), paceline.LimiterClosed, "the limiter is closed"),
    "id": (
        lambda limiter: limiter.settle("nonsense", 1),
        paceline.PermitOver,
        '"nonsense" is no permit id: it is LEDGER.SESSION.NUMBER, the session as 32 hexadecimal digits',
    ),
    "forged id": (
        lambda limiter: limiter.settle(f"test.{0:032x}.1", 1).wait(),
        paceline.PermitOver,
        f"permit test.{0:032x}.1 has ended, or never was",
    ),
    "positions": (lambda limiter: limiter.acquire("a", "b"), TypeError, "Limiter.acquire() takes from 0 to 1 positional arguments but 2 were given"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_refusals(spent: paceline.Limiter, case: str) -> None:
    ask, kind, message = REFUSALS[case]
    with pytest.raises(Exception) as told:
        ask(spent)
    assert (type(told.value), str(told.value)) == (kind, message)


def test_paused(spent: paceline.Limiter) -> None:
    for seconds, message in ((30, "test/model: paused for 30 s"), (None, "test/model: paused until resumed")):
        spent.pause(seconds=seconds, refuse=True).wait()
        with pytest.raises(paceline.Paused) as told:
            spent.acquire(tokens=1).wait()
        assert str(told.value) == message
        spent.resume().wait()


def test_a_full_line(make: Make) -> None:
    limiter = make(concurrency=1, max_waiting=1)
    held = limiter.acquire().wait()

    async def full() -> None:
        task = asyncio.create_task(limiter.acquire())
        await asyncio.sleep(0)
        with pytest.raises(paceline.LineFull) as told:
            await limiter.acquire()
        assert str(told.value) == "test/model: the line is full, 1 wait and 1 may"
        assert (told.value.waiting, told.value.most) == (1, 1) and told.value.retry_after > 0
        task.cancel()

    asyncio.run(full())
    held.settle()


def test_one_of_several(make: Make) -> None:
    limiter = make(config={"test": {"a": {"rpm": 1}, "b": {"rpm": 1}}})
    with pytest.raises(TypeError) as told:
        limiter.acquire()
    assert str(told.value) == "this limiter knows 2 resources: say which one is meant"


@pytest.mark.parametrize("value", [-1, 1.5, True, "1", float("nan"), float("inf"), 2**50 + 1, object])
@pytest.mark.parametrize("name", ["tokens", "input_tokens", "requests", "own"])
@pytest.mark.parametrize("door", ["acquire", "try_acquire", "explain", "record"])
def test_amounts(spent: paceline.Limiter, door: str, name: str, value: Any) -> None:
    with pytest.raises(ValueError) as told:
        getattr(spent, door)(**{name: value})
    assert str(told.value) == f"{name} is {value!r}; an amount is a whole number from 0 to 2^50"


@pytest.mark.parametrize("value", [-1, float("nan"), "1", True, float("-inf"), object])
@pytest.mark.parametrize("name", ["timeout", "head_start", "max_expected_wait"])
def test_times(spent: paceline.Limiter, name: str, value: Any) -> None:
    with pytest.raises(ValueError) as told:
        spent.acquire(tokens=1, **{name: value})
    assert str(told.value) == f"{name} is {value!r}; it is a number of seconds from 0, or None"


@pytest.mark.parametrize("name", ["time_out", "priority", "max_token"])
def test_unknown_keywords(spent: paceline.Limiter, name: str) -> None:
    with pytest.raises(TypeError, match=f"there is no keyword {name}, and no limit counts such a metric; the metrics are "):
        spent.acquire(tokens=1, **{name: 3})


@pytest.mark.parametrize("name", ["lane", "mode", "name", "key_prefix"])
def test_texts_that_are_numbers(make: Make, name: str) -> None:
    with pytest.raises(TypeError) as told:
        make(rpm=1).acquire(lane=3) if name == "lane" else make(rpm=1, **{name: 3})  # type: ignore[arg-type]
    # The keyword is in a note, which Python has from 3.11 on.
    assert sys.version_info < (3, 11) or any(name in note for note in told.value.__notes__)


@pytest.mark.parametrize("door", ["acquire_any", "acquire_many"])
def test_a_name_where_names_are_wanted(make: Make, door: str) -> None:
    with pytest.raises(TypeError, match="are given as a list of names, or of requests"):
        getattr(make(rpm=1), door)("test/model")


def test_a_negative_report(spent: paceline.Limiter) -> None:
    with pytest.raises(ValueError, match="remaining is -1"):
        spent.observe("test/model/tpm", remaining=-1)


OPTIONS: list[tuple[dict[str, Any], type, str]] = [
    ({"lease": -1}, ValueError, "lease is -1; it is a number of seconds from 0, or None"),
    ({"store_timeout": "5"}, ValueError, "store_timeout is '5'; it is a number of seconds from 0, or None"),
    ({"on_store_failure": "explode"}, ValueError, 'on_store_failure is "explode"; it can be refuse, allow, local'),
    ({"on_lost_state": "x"}, ValueError, 'on_lost_state is "x"; it can be elapsed, empty, full'),
    ({"mode": "on"}, ValueError, 'mode is "on"; it can be enforce, shadow, off'),
    ({"store": 3}, paceline.ConfigError, "store is 3; it is a URL such as redis://localhost:6379, or a client of the redis package"),
]


@pytest.mark.parametrize(("said", "kind", "message"), OPTIONS)
def test_options(make: Make, said: dict[str, Any], kind: type, message: str) -> None:
    with pytest.raises(Exception) as told:
        make(rpm=1, **said)
    assert (type(told.value), str(told.value)) == (kind, message)


STORES = {
    "redis//x": "redis//x names no store: it has no scheme; memory:// is the store of this process",
    "memory:/": "memory:/ names no store: it has no scheme; memory:// is the store of this process",
    "ftp://me:s3cret@host": "ftp://… names no store: its scheme is none of memory, local, http, https, unix, redis and those like redis",
    "http://s3cret@127.0.0.1:1": "http://… names no store: in front of the '@' it has no ':'; a key is written http://key:SECRET@HOST",
    "redis://host:port": "redis://host:port names no store: a port is not a number from 1 to 65535; in a password write ':' as %3A, '/' as %2F",
    "redis://me:s3cret@h:99999": "redis://… names no store: a port is not a number from 1 to 65535; in a password write ':' as %3A, '/' as %2F",
}


@pytest.mark.parametrize("url", STORES)
@pytest.mark.parametrize("how", ["store", "PACELINE_STORE"])
def test_stores(monkeypatch: pytest.MonkeyPatch, url: str, how: str) -> None:
    if how == "PACELINE_STORE":
        monkeypatch.setenv("PACELINE_STORE", url)
    with pytest.raises(paceline.ConfigError) as told:
        paceline.Limiter("test/model", rpm=1, **({"store": url} if how == "store" else {}))
    assert str(told.value) == STORES[url]


def test_an_unreachable_store_is_named_without_its_secret(caplog: pytest.LogCaptureFixture) -> None:
    limiter = paceline.Limiter("test/model", rpm=1, store="redis://me:s3cret@127.0.0.1:1/0", store_timeout=0.1)
    with pytest.raises(paceline.StoreUnavailable) as told:
        limiter.acquire(timeout=None).wait()
    message = "store redis://me:***@127.0.0.1:1 cannot be reached: nothing answers there (connection refused); is the server running, and the port right?"
    assert str(told.value) == message and isinstance(told.value, ConnectionError)
    assert told.value.store == "redis://me:***@127.0.0.1:1"
    assert "s3cret" not in caplog.text and "s3cret" not in repr(told.value.__dict__)
    warnings = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
    assert warnings == [message.replace("cannot be reached:", "cannot be reached, trying again:")]
    limiter.close()


CONFIGS: list[tuple[dict[str, Any], str]] = [
    ({"rpm": 0}, 'the amount is 0, expected 1 to 1125899906842623\n --> Limiter("test/model"):1:28'),
    ({"rpm": -1}, 'expected the amount, a whole number from 1 to 1125899906842623, found -1\n --> Limiter("test/model"):1:28'),
    ({"rpm": True}, 'expected the amount, a whole number from 1 to 1125899906842623, found true\n --> Limiter("test/model"):1:28'),
    ({"rpm": "many"}, 'expected the amount, a whole number from 1 to 1125899906842623, found the text "many"\n --> Limiter("test/model"):1:28'),
    ({"rpm": float("nan")}, 'expected the amount, a whole number from 1 to 1125899906842623, found NaN\n --> Limiter("test/model"):1:28'),
    ({"tokens_per_minit": 3}, 'unknown key `tokens_per_minit`\n --> Limiter("test/model"):1:21'),
]


@pytest.mark.parametrize(("limits", "begins"), CONFIGS)
def test_limits(make: Make, limits: dict[str, Any], begins: str) -> None:
    with pytest.raises(paceline.ConfigError) as told:
        make(**limits)
    assert str(told.value).startswith(begins), str(told.value)


def test_a_configuration_points_at_all_that_is_wrong(make: Make) -> None:
    with pytest.raises(paceline.ConfigError) as told:
        make(config="openai:\n  gpt-4o:\n    requests_per_minut: 500\n    tokens_per_minute: -3\n")
    assert str(told.value) == (
        "unknown key `requests_per_minut`\n"
        " --> config:3:5\n"
        "  |\n"
        "3 |     requests_per_minut: 500\n"
        "  |     ^^^^^^^^^^^^^^^^^^ did you mean `requests_per_minute`?\n"
        "\n"
        "expected the amount, a whole number from 1 to 1125899906842623, found -3\n"
        " --> config:4:24\n"
        "  |\n"
        "4 |     tokens_per_minute: -3\n"
        "  |                        ^^"
    )


def test_a_configuration_that_is_no_data(make: Make) -> None:
    with pytest.raises(paceline.ConfigError, match="the configuration is plain data, .* is none of them"):
        make(rpm=object())


NOTHING_SAID: list[tuple[tuple[Any, ...], dict[str, Any], str]] = [
    ((), {}, 'no limits: name a resource, as in Limiter("openai/gpt-4o", rpm=500), give config=, or set PACELINE_CONFIG'),
    (("a/b",), {}, 'a/b has no limits: give some, as in Limiter("a/b", rpm=500, tpm=30_000), or unlimited=True'),
    (("a/b",), {"config": {}}, "give either the one resource and its limits, or config=, not both"),
    ((), {"rpm": 3}, 'rpm: name the resource that has these limits first, as in Limiter("openai/gpt-4o", …)'),
]


@pytest.mark.parametrize(("positions", "named", "message"), NOTHING_SAID)
def test_what_a_limiter_needs(monkeypatch: pytest.MonkeyPatch, positions: Any, named: Any, message: str) -> None:
    monkeypatch.delenv("PACELINE_CONFIG", raising=False)
    with pytest.raises(paceline.ConfigError) as told:
        paceline.Limiter(*positions, **named)
    assert str(told.value) == message


def test_the_environment_configures(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    file = tmp_path / "limits.yaml"
    file.write_text("openai:\n  gpt-4o:\n    requests_per_minute: 500\n")
    monkeypatch.setenv("PACELINE_CONFIG", str(file))
    monkeypatch.setenv("PACELINE_STORE", "memory://of-the-environment")
    assert paceline.Limiter().resources == ["openai/gpt-4o"]
    file.write_text("openai:\n  gpt-4o:\n    rpmm: 500\n")
    with pytest.raises(paceline.ConfigError, match=r"limits\.yaml:3:5"):
        paceline.Limiter()


@pytest.mark.parametrize(("mode", "via"), [("off", "off"), ("shadow", "ledger"), ("enforce", "ledger")])
def test_the_environment_switches(make: Make, monkeypatch: pytest.MonkeyPatch, mode: str, via: str) -> None:
    monkeypatch.setenv("PACELINE_MODE", mode)
    limiter = make(rpm=1)
    assert limiter.mode == mode
    permits = [limiter.acquire().wait() for _ in range(1 if mode == "enforce" else 3)]
    assert {permit.granted_via for permit in permits} == {via}
    for permit in permits:
        permit.settle()


def test_the_environment_says_no_mode(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PACELINE_MODE", "loud")
    with pytest.raises(paceline.ConfigError) as told:
        make(rpm=1)
    assert str(told.value) == "PACELINE_MODE is loud; it can be enforce, shadow or off"


ERRORS = [kind for kind in vars(_errors).values() if isinstance(kind, type) and issubclass(kind, paceline.PacelineError)]


@pytest.mark.parametrize("kind", ERRORS)
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_errors_can_be_pickled(kind: type[paceline.PacelineError], protocol: int) -> None:
    error = kind("what happened", resource="a", retry_after=1.5, limit=None)
    copy: Any = pickle.loads(pickle.dumps(error, protocol))
    assert type(copy) is kind and copy.args == error.args and str(copy) == "what happened"
    assert copy.__dict__ == error.__dict__
    assert kind().args == ("",)


def _refuse(_: int) -> None:
    limiter = paceline.Limiter("test/model", limits=BUCKET, private=True, clock=paceline.ManualClock())
    limiter.acquire(tokens=80).wait().settle()
    limiter.try_acquire(tokens=50).wait()


def test_errors_cross_processes_whole() -> None:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        with pytest.raises(paceline.Busy) as told:
            pool.map(_refuse, [0])
    error = told.value
    assert str(error) == "busy: test/model: 50 wanted of limit test/model/tpm, 20 left; ask again in 18 s"
    assert (error.resource, error.limit, error.wanted, error.left, error.ahead, error.retry_after) == ("test/model", "test/model/tpm", 50, 20, 0, 18.0)


def test_the_kinds_of_errors() -> None:
    kinds = {
        paceline.AcquireTimeout: (paceline.Busy, TimeoutError),
        paceline.ExpectedWaitTooLong: (paceline.Busy,),
        paceline.LineFull: (paceline.Busy,),
        paceline.Paused: (paceline.Busy,),
        paceline.Impossible: (ValueError,),
        paceline.StoreUnavailable: (ConnectionError,),
        paceline.ConfigError: (ValueError,),
        paceline.UnknownResource: (LookupError,),
        paceline.ForkedStore: (RuntimeError,),
    }
    for kind, bases in kinds.items():
        assert issubclass(kind, (paceline.PacelineError)) and all(issubclass(kind, base) for base in bases)
    assert {error.__name__ for error in ERRORS} <= set(paceline.__all__)


def test_what_things_look_like(make: Make) -> None:
    limiter = make(rpm=1)
    permit = limiter.acquire().wait()
    assert repr(limiter) == "<paceline.Limiter test/model>"
    assert repr(permit) == f"<paceline.Permit {permit.id} for test/model>"
    reply = permit.settle()
    assert repr(permit) == f"<paceline.Permit {permit.id} for test/model, ended>"
    reply.wait()
    assert repr(reply) == "<paceline.Reply: done>"
