"""One attempt of one call: from its permit to its settlement, whichever SDK or framework makes it."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any, Callable, Mapping

from paceline import _current, _feedback
from paceline._using import current

if TYPE_CHECKING:
    from paceline._limiter import Limiter
    from paceline._native import Permit

_log = logging.getLogger("paceline")
_current.enable()

_FRESH_FOR = 1.0
"""How long after its grant a call may leave, in seconds."""


class Call:
    """A permit, and the answer for which it was used. It ends exactly once; further endings do nothing.

    Made by :meth:`begin` or :meth:`abegin`, which wait in line; then one of :meth:`settle`, :meth:`used`, :meth:`failed`,
    :meth:`never_left` and :meth:`close` ends it. Collected without an end it is closed.
    """

    __slots__ = ("_asked", "_limiter", "_open", "_permit", "_provider", "_since", "__weakref__")

    def __init__(
        self, limiter: Limiter, permit: Permit, provider: str | None = None, asked: dict[str, Any] | None = None
    ) -> None:
        self._limiter = limiter
        self._provider = provider
        self._asked = asked or {}
        self._open = False
        self._take(permit)

    @classmethod
    def begin(
        cls,
        limiter: Limiter,
        resource: str | None,
        body: Mapping[str, Any] | None,
        options: Mapping[str, Any] | None = None,
        *,
        provider: str | None = None,
    ) -> Call:
        """Parks the thread until the call may leave. Errors are those of ``Limiter.acquire``."""
        resource, asked = _asked(limiter, resource, body, options, provider)
        permit = _current.adopt(limiter, resource) or limiter.acquire(resource, **asked).wait()
        return cls(limiter, permit, provider, asked)

    @classmethod
    async def abegin(
        cls,
        limiter: Limiter,
        resource: str | None,
        body: Mapping[str, Any] | None,
        options: Mapping[str, Any] | None = None,
        *,
        provider: str | None = None,
    ) -> Call:
        """Waits until the call may leave. Errors are those of ``Limiter.acquire``."""
        resource, asked = _asked(limiter, resource, body, options, provider)
        permit = _current.adopt(limiter, resource) or await limiter.acquire(resource, **asked)
        return cls(limiter, permit, provider, asked)

    @property
    def permit(self) -> Permit:
        """The permit in use."""
        return self._permit

    @property
    def resource(self) -> str:
        """The resource that the call draws on."""
        return self._permit.resource

    def is_stale(self) -> bool:
        """Whether so much time went by since the grant that the provider would count the call too late: limits allow for
        the way of a call, not for its wait for a connection."""
        return time.monotonic() - self._since > _FRESH_FOR

    def ask_anew(self) -> None:
        """Gives the permit back, and parks the thread until there is another."""
        self.never_left()
        self._take(self._limiter.acquire(self.resource, **self._asked).wait())

    async def aask_anew(self) -> None:
        """Gives the permit back, and waits for another."""
        self.never_left()
        self._take(await self._limiter.acquire(self.resource, **self._asked))

    def heard(self, status: int, headers: Mapping[str, str]) -> None:
        """Passes on what the headers of a good answer say. Call it before :meth:`settle`, which returns tokens that the
        provider, when it wrote them, had not got back."""
        self._tell(status, headers, None)

    def used(self, usage: Mapping[str, Any]) -> None:
        """Ends the call with what :func:`paceline._usage.read` returned."""
        if self._open:
            self._open = False
            try:
                self._permit.settle(**usage)
            except Exception as error:
                self._lost(error)

    def settle(self, usage: Any = None, /) -> None:
        """Ends the call with an SDK's response, or a dictionary; with ``None`` as it was reserved."""
        self._end(lambda: self._permit.settle(usage))

    def failed(self, status: int, headers: Mapping[str, str], body: Any = None) -> None:
        """Ends a call that was answered with an error. What was refused on arrival used no tokens, though it counts as a
        request; of other failures nobody knows, so the reservation stays spent."""
        self._tell(status, headers, body)
        if status in (401, 403, 404, 429, 503, 529):
            self._end(lambda: self._permit.settle(input_tokens=0, output_tokens=0))
        else:
            self.close()

    def refused(self, status: int, body: Any) -> None:
        """Passes on a refusal that came within an answer, as streams have it; the call goes on to its end."""
        self._tell(status, {}, body)

    def never_left(self) -> None:
        """Gives everything back: nothing reached the provider."""
        self._end(lambda: self._permit.give_back())

    def close(self, error: BaseException | None = None) -> None:
        """Ends a call of which nobody knows what it used: as it was reserved, or as ``on_error`` said if it raised."""
        if error is not None:
            self._end(lambda: self._permit.__exit__(type(error), error, error.__traceback__))
        else:
            self._end(lambda: self._permit.settle())

    def _take(self, permit: Permit) -> None:
        self._permit = permit
        self._since = time.monotonic()
        self._open = True
        # Providers hold calls open longer than any lease; this one ends when it is collected, at the latest.
        permit.keep_alive()

    def _tell(self, status: int, headers: Mapping[str, str], body: Any) -> None:
        elapsed = time.monotonic() - self._since
        _feedback.tell(
            self._limiter, self._permit.resource, status, headers, body, provider=self._provider, elapsed=elapsed
        )

    def _end(self, how: Callable[[], Any]) -> None:
        if self._open:
            self._open = False
            try:
                how()
            except Exception as error:
                self._lost(error)

    def _lost(self, error: Exception) -> None:
        """An answer that was paid for is never lost to our bookkeeping."""
        _log.warning("%s: a call could not be settled and stays charged as reserved: %s", self.resource, error)

    def __del__(self) -> None:
        if getattr(self, "_open", False):
            self.close()


def _asked(
    limiter: Limiter,
    resource: str | None,
    body: Mapping[str, Any] | None,
    options: Mapping[str, Any] | None,
    provider: str | None,
) -> tuple[str | None, dict[str, Any]]:
    asked = dict(current() if options is None else options)
    resource = asked.pop("resource", None) or resource
    asked["request"] = body
    if resource is not None:
        resource = limiter.resolve(resource) or resource
    elif body is not None:
        from paceline._request import model

        name = model(body)
        if name is not None:
            resource = resource_of(limiter, name, provider)
    return resource, asked


def resource_of(limiter: Limiter, model: str, provider: str | None) -> str:
    """Finds the resource of a model: under its provider, in the one account that has it, or the limiter's only resource. A
    name that nobody knows stays as it is, so that the limiter says what becomes of it."""
    known = limiter.resolve(model, provider) or limiter.resolve(model)
    if known is not None:
        return known
    resources = limiter.resources
    return resources[0] if len(resources) == 1 else model
