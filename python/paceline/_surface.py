"""How a refusal of ours gets past an SDK's retries, as what it is."""

from __future__ import annotations

import sys
from functools import lru_cache
from typing import Any, Iterator

EXTENSION = "paceline"
"""Under which name a response of :func:`replied` carries its error."""


def raised(error: Exception, request: Any) -> Any:
    """Raises a refusal where an HTTP library was asked to send.

    The SDKs made by Stainless retry whatever a transport raises and wrap it in their ``APIConnectionError``, save for
    errors of their own (``openai`` 2.45 and later, ``anthropic`` 2): those pass as they are. So what they see is an error of
    both kinds.
    """
    if "x-stainless-lang" in request.headers:
        plain: Any = getattr(type(error), "_plain", type(error))
        kin = _kin(plain, tuple(_roots()))
        try:
            error.__class__ = kin
        except TypeError:  # an error of Python's own, such as the ValueError for a demand that names no tokens
            raise kin(*error.args) from error
    raise error


def _roots() -> Iterator[Any]:
    for name, root in (("openai", "OpenAIError"), ("anthropic", "AnthropicError")):
        theirs = getattr(sys.modules.get(name), root, None)
        if theirs is not None:
            yield theirs


def replied(error: Exception, request: Any) -> Any:
    """Answers with a refusal, for SDKs that let no exception pass: a response that forbids a retry and carries the error."""
    from paceline._exchange import module_of

    return module_of(request).Response(
        409, headers={"x-should-retry": "false"}, content=b"{}", extensions={EXTENSION: error}, request=request
    )


def carried(error: BaseException) -> Exception | None:
    """Returns the refusal behind the error that an SDK made of :func:`replied`."""
    extensions = getattr(getattr(error, "response", None), "extensions", None)
    found = extensions.get(EXTENSION) if isinstance(extensions, dict) else None
    return found if isinstance(found, Exception) else None


@lru_cache(maxsize=None)
def _kin(plain: Any, roots: tuple[Any, ...]) -> Any:
    def reduce(self: Any) -> Any:
        # In another process it is what it was alone.
        restore, args, *state = plain.__reduce__(self)
        args = tuple(plain if part is type(self) else part for part in args)
        return plain if restore is type(self) else restore, args, *state

    about = {"__module__": plain.__module__, "__qualname__": plain.__qualname__, "__doc__": plain.__doc__}
    return type(plain.__name__, (plain, *roots), {**about, "_plain": plain, "__reduce__": reduce})
