"""Steps that a task awaits and a thread waits for: what both limiters do is written once."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class Step(Protocol):
    """One thing to wait for."""

    def __await__(self) -> Generator[Any, Any, Any]: ...

    def wait(self) -> Any: ...


Plan = Generator[Any, Any, T]


async def awaited(plan: Plan[T]) -> T:
    """Carries a plan out on the running loop."""
    send, value = plan.send, None
    while True:
        try:
            step = send(value)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        try:
            send, value = plan.send, await step
        except BaseException as error:
            send, value = plan.throw, error


def waited(plan: Plan[T]) -> T:
    """Carries a plan out on this thread."""
    send, value = plan.send, None
    while True:
        try:
            step = send(value)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        try:
            send, value = plan.send, step.wait()
        except BaseException as error:
            send, value = plan.throw, error
