"""What the calls of a block ask for, where they want something special."""

from __future__ import annotations

import functools
import inspect
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Callable, Mapping, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


class _Layer(dict[str, Any]):
    """All that is asked for in a block; what holds around it is found by the layer, so that one object may be entered
    by many tasks at once."""

    outer: _Layer | None = None


_current: ContextVar[_Layer] = ContextVar("paceline_using", default=_Layer())


def current() -> Mapping[str, Any]:
    """Returns what the calls of this context ask for: keyword arguments of ``Limiter.acquire``, and ``resource``."""
    return _current.get()


class using:
    """Sets what wrapped calls ask for, in a block or in a function.

    ``lane``, ``timeout``, ``max_expected_wait`` and ``head_start`` (seconds), ``on_error`` and any metric mean what they mean
    to :meth:`paceline.Limiter.acquire`; ``resource`` names the resource that the calls draw on, whatever model they name.
    Blocks nest: the inner one overrides what it names. It holds for the thread or the asyncio task that enters it, and for
    tasks started inside.

    >>> import paceline
    >>> with paceline.using(lane="batch", timeout=30):
    ...     with paceline.using(timeout=2):
    ...         sorted(paceline._using.current().items())
    [('lane', 'batch'), ('timeout', 2)]

    As a decorator of functions and coroutine functions:

    >>> @paceline.using(lane="interactive")
    ... def lane():
    ...     return paceline._using.current()["lane"]
    >>> lane()
    'interactive'
    """

    def __init__(
        self,
        *,
        resource: str | None = None,
        lane: str | None = None,
        timeout: float | None = None,
        max_expected_wait: float | None = None,
        head_start: float | None = None,
        on_error: Any = None,
        **metrics: int,
    ) -> None:
        named = {
            "resource": resource,
            "lane": lane,
            "timeout": timeout,
            "max_expected_wait": max_expected_wait,
            "head_start": head_start,
            "on_error": on_error,
        }
        self._options = {name: value for name, value in named.items() if value is not None} | metrics

    def __enter__(self) -> using:
        outer = _current.get()
        layer = _Layer(outer)
        layer.update(self._options)
        layer.outer = outer
        _current.set(layer)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _current.set(_current.get().outer or _Layer())

    async def __aenter__(self) -> using:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)

    def __call__(self, function: F) -> F:
        decorated: F = _decorated(function, self._options)
        return decorated

    def __repr__(self) -> str:
        return f"paceline.using({', '.join(f'{name}={value!r}' for name, value in self._options.items())})"


def _decorated(function: Any, options: Mapping[str, Any]) -> Any:
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        # Its block would be open in the caller's code between two values.
        raise TypeError(
            f"paceline.using cannot decorate the generator {function.__qualname__}: put `with paceline.using(...)` around "
            "the calls inside it"
        )
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def acall(*args: Any, **kwargs: Any) -> Any:
            with using(**options):
                return await function(*args, **kwargs)

        return acall

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        with using(**options):
            return function(*args, **kwargs)

    return call
