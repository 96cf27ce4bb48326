"""How a refusal of ours gets past an SDK's retries, as what it is."""

from __future__ import annotations

import sys
from functools import lru_cache
from typing import Any, Iterator

from paceline._errors import PacelineError

EXTENSION = "paceline"
"""Under which name a response of :func:`replied` carries its error."""


def raised(error: PacelineError, request: Any) -> Any:
    """Raises a refusal where an HTTP library was asked to send.

    The SDKs made by Stainless retry whatever a transport raises and wrap it in their ``APIConnectionError``, save for
    errors of their own (``openai`` 2.45 and later, ``anthropic`` 2): those pass as they are. So what they see is an error of
    both kinds.
    """
    if "x-stainless-lang" in request.headers:
        plain = getattr(type(error), "_plain", type(error))
        error.__class__ = _kin(plain, tuple(_roots()))
    raise error


def _roots() -> Iterator[type[Exception]]:
    for name, root in (("openai", "OpenAIError"), ("anthropic", "AnthropicError")):
        theirs = getattr(sys.modules.get(name), root, None)
        if theirs is not None:
            yield theirs


def replied(error: PacelineError, request: Any) -> Any:
    """Answers with a refusal, for SDKs that let no exception pass: a response that forbids a retry and carries the error."""
    from paceline._exchange import module_of

    return module_of(request).Response(
        409, headers={"x-should-retry": "false"}, content=b"{}", extensions={EXTENSION: error}, request=request
    )


def carried(error: BaseException) -> PacelineError | None:
    """Returns the refusal behind the error that an SDK made of :func:`replied`."""
    extensions = getattr(getattr(error, "response", None), "extensions", None)
    found = extensions.get(EXTENSION) if isinstance(extensions, dict) else None
    return found if isinstance(found, PacelineError) else None


@lru_cache(maxsize=None)
def _kin(plain: type[PacelineError], roots: tuple[type[Exception], ...]) -> Any:
    def reduce(self: PacelineError) -> tuple[Any, ...]:
        # In another process it is ours alone.
        restore, (_, *facts), *rest = plain.__reduce__(self)
        return (restore, (plain, *facts), *rest)

    about = {"__module__": plain.__module__, "__qualname__": plain.__qualname__, "__doc__": plain.__doc__}
    return type(plain.__name__, (plain, *roots), {**about, "_plain": plain, "__reduce__": reduce})
