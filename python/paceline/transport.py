"""Transports of ``httpx`` and ``httpx2`` that ask a limiter before each call, for clients of one's own.

    import httpx, paceline

    limiter = paceline.Limiter("openai/gpt-4o", rpm=500, tpm=30_000)
    client = httpx.Client(transport=paceline.transport.Transport(limiter))

``paceline.wrap`` does the same to a client that exists.
"""

from __future__ import annotations

from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Any

from paceline._exchange import Meter, module_of

if TYPE_CHECKING:
    from paceline._limiter import Limiter

    # To a type checker they are transports of either library.
    _Base = Any
else:
    _Base = object


class Transport(_Base):  # type: ignore[misc]
    """Lets each call wait until it may leave, and settles it by its response or the end of its stream.

    It serves ``httpx.Client`` and ``httpx2.Client``. ``inner`` sends: by default the library's ``HTTPTransport()``.
    ``resource`` names what all calls draw on; otherwise the model in the request's body is looked up. ``provider`` says
    under which provider, where the address does not tell. Requests that are no calls of a model pass untouched.

    A refusal raises one of Paceline's errors: ``Busy`` and its kinds, ``Impossible``, ``StoreUnavailable``,
    ``UnknownResource``. OpenAI's and Anthropic's SDKs neither retry nor wrap it (``openai`` from 2.45 on).
    """

    def __init__(
        self, limiter: Limiter, inner: Any = None, *, resource: str | None = None, provider: str | None = None
    ) -> None:
        self._meter = Meter(limiter, resource, provider=provider)
        self._inner = inner

    def handle_request(self, request: Any) -> Any:
        """Sends a request."""
        if self._inner is None:
            self._inner = module_of(request).HTTPTransport()
        return self._meter.exchange(request, lambda: self._inner.handle_request(request))

    def close(self) -> None:
        """Closes the connections."""
        if self._inner is not None:
            self._inner.close()

    def __enter__(self) -> Transport:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncTransport(_Base):  # type: ignore[misc]
    """The same as :class:`Transport` for ``httpx.AsyncClient`` and ``httpx2.AsyncClient``."""

    def __init__(
        self, limiter: Limiter, inner: Any = None, *, resource: str | None = None, provider: str | None = None
    ) -> None:
        self._meter = Meter(limiter, resource, provider=provider)
        self._inner = inner

    async def handle_async_request(self, request: Any) -> Any:
        """Sends a request."""
        if self._inner is None:
            self._inner = module_of(request).AsyncHTTPTransport()
        return await self._meter.aexchange(request, lambda: self._inner.handle_async_request(request))

    async def aclose(self) -> None:
        """Closes the connections."""
        if self._inner is not None:
            await self._inner.aclose()

    async def __aenter__(self) -> AsyncTransport:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


def make_transport(module: ModuleType) -> tuple[type[Any], type[Any]]:
    """Returns the two transports as classes that derive from those of ``httpx`` or ``httpx2``, where code checks for them.

    >>> import httpx, paceline.transport
    >>> Transport, AsyncTransport = paceline.transport.make_transport(httpx)
    >>> issubclass(Transport, httpx.BaseTransport), issubclass(AsyncTransport, httpx.AsyncBaseTransport)
    (True, True)
    """
    return (
        type("Transport", (Transport, module.BaseTransport), {"__doc__": Transport.__doc__}),
        type("AsyncTransport", (AsyncTransport, module.AsyncBaseTransport), {"__doc__": AsyncTransport.__doc__}),
    )
