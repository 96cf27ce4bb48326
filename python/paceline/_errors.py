"""Every way of being told no, with the facts behind it."""

from __future__ import annotations

from typing import Any


class PacelineError(Exception):
    """The root of all errors that Paceline raises on purpose.

    An error says what was asked, what stood in the way, and what to do; the same facts are attributes. All errors can be
    pickled, so that they cross process borders whole.
    """

    def __init__(self, message: str = "", /, **facts: Any) -> None:
        super().__init__(message)
        self.__dict__.update(facts)

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (type(self), self.args[0] if self.args else "", dict(self.__dict__))


def _restored(kind: type[PacelineError], message: str, facts: dict[str, Any]) -> PacelineError:
    error = kind.__new__(kind, message)
    PacelineError.__init__(error, message, **facts)
    return error


class Busy(PacelineError):
    """There is no room at the moment; asking again after ``retry_after`` seconds makes sense."""

    resource: str = ""
    """The resource that was asked for."""
    limit: str | None = None
    """The limit that binds; ``None`` where only others in line do."""
    wanted: int = 0
    """How much of the limit's metric was wanted."""
    left: int = 0
    """How much was left; below zero is debt."""
    ahead: int = 0
    """How many others waited in the same lane."""
    waited: float = 0.0
    """How long this caller waited, in seconds."""
    retry_after: float = 0.0
    """After how many seconds it is worth asking again; infinite where only an operator can help."""


class AcquireTimeout(Busy, TimeoutError):
    """The ``timeout`` passed in line, or could not be met even with the line empty."""


class ExpectedWaitTooLong(Busy):
    """The wait is expected to be longer than ``max_expected_wait``."""

    expected: float = 0.0
    """How long the wait would be, in seconds."""
    most: float = 0.0
    """The longest that the caller accepts, in seconds."""


class LineFull(Busy):
    """As many wait as may (``max_waiting``)."""

    waiting: int = 0
    """How many wait."""
    most: int = 0
    """How many may."""


class Paused(Busy):
    """The resource, or a limit under it, is paused and refuses."""


class Impossible(PacelineError, ValueError):
    """A limit can never grant this much at once, however long the caller waits."""

    resource: str = ""
    """The resource that was asked for."""
    limit: str = ""
    """The limit that is too small."""
    wanted: int = 0
    """How much of its metric was wanted."""
    most: int = 0
    """The most that it can ever grant at once."""


class StoreUnavailable(PacelineError, ConnectionError):
    """The shared store did not answer within ``store_timeout``."""

    store: str = ""
    """The store, without secrets."""


class ConfigError(PacelineError, ValueError):
    """A configuration, an option or a store's URL cannot be understood; the message says where and what instead."""


class UnknownResource(PacelineError, LookupError):
    """No configuration names this resource, lane or limit."""

    name: str = ""
    """What was asked for."""


class PermitOver(PacelineError):
    """The permit has ended before, or never was: nothing was changed."""

    permit: str = ""
    """Its id."""


class LimiterClosed(PacelineError, RuntimeError):
    """The limiter was closed."""


class LinePurged(PacelineError):
    """An operator emptied the line in which the caller waited."""

    resource: str = ""
    """The resource that was asked for."""


class ForkedStore(PacelineError, RuntimeError):
    """A memory store was inherited by a forked child, where it would grant the whole limit once more."""
