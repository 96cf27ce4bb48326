"""What a framework's exception says about the call that failed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from paceline._errors import Busy, Impossible

if TYPE_CHECKING:
    from paceline._call import Call

_NEVER_CONNECTED = frozenset({"ConnectError", "ConnectTimeout", "PoolTimeout"})


@dataclass(frozen=True)
class Failure:
    """Why a call failed."""

    status: int | None = None
    """The provider's answer, ``None`` where there was none."""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    left: bool = True
    """Whether anything of the call can have reached the provider."""


def end(call: Call, error: BaseException) -> None:
    """Ends a call whose framework raised: a refusal is told to the limiter, a call that never left is given back."""
    failure = read(error)
    if not failure.left:
        call.never_left()
    elif failure.status is not None:
        call.failed(failure.status, failure.headers, failure.body)
    else:
        call.close(error)


def read(error: BaseException) -> Failure:
    """Reads why a call failed off an exception and off what it was raised from."""
    without_headers = Failure()
    for cause in _causes(error):
        if isinstance(cause, (Busy, Impossible)) or type(cause).__name__ in _NEVER_CONNECTED:
            return Failure(left=False)
        response = getattr(cause, "response", None)
        status = getattr(cause, "status_code", None) or getattr(response, "status_code", None)
        if not isinstance(status, int):
            continue
        failure = Failure(status, _headers(cause, response), getattr(cause, "body", None))
        if failure.headers:
            return failure
        # LiteLLM calls an error of the connection an answer of 500, and chains the error behind it.
        if without_headers.status is None:
            without_headers = failure
    return without_headers


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__ or cause.__context__


def _headers(error: BaseException, response: Any) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for headers in (
        getattr(response, "headers", None),
        getattr(error, "headers", None),
        getattr(error, "litellm_response_headers", None),
    ):
        if headers:
            found.update((str(name).lower(), str(value)) for name, value in headers.items())
    return found
