"""One line under the client that people already have."""

from __future__ import annotations

import copy
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

from paceline._exchange import Meter
from paceline._surface import carried, raised, replied

if TYPE_CHECKING:
    from paceline._limiter import Limiter

C = TypeVar("C")

_PROVIDERS = {
    "AzureOpenAI": "azure",
    "AsyncAzureOpenAI": "azure",
    "OpenAI": "openai",
    "AsyncOpenAI": "openai",
    "Bedrock": "bedrock",
    "AWS": "bedrock",
    "Vertex": "vertex",
    "GoogleCloud": "vertex",
    "Foundry": "azure",
    "Anthropic": "anthropic",
}


def wrap(client: C, limiter: Limiter, resource: str | None = None) -> C:
    """Returns the client with a limiter under it: each call waits until it may leave, and is settled by its response.

    ::

        client = paceline.wrap(AsyncOpenAI(), limiter)

    Clients of ``openai`` and ``anthropic`` (sync and async, Azure, Bedrock and Vertex too) and of SDKs built the same way, of
    ``google-genai``, of boto3 (``bedrock-runtime``), and plain ``httpx`` and ``httpx2`` clients.

    The model in the request's body finds the resource among the limiter's names and aliases; ``resource`` names one for
    all calls. Each attempt of an SDK's retries is a call of its own. What is not a call of a model (lists, files, batches)
    passes untouched. A stream is settled by its last event, one that is left early by what it said until then.
    ``paceline.using`` says what calls want beyond that, and a call inside an ``acquire`` block uses the block's permit.

    The client returned is a copy of the same class, with all its settings, and the one passed in stays as it was. They
    share connections, cookies and headers, as copies by the SDKs' own ``with_options`` do: closing either closes the
    connections of both. A boto3 client cannot be copied: it is changed in place, and returned.

    Refusals reach the caller as they are, at once, and are not retried: ``Busy`` and its kinds, ``Impossible``,
    ``StoreUnavailable``, ``UnknownResource``. A client of another kind raises ``TypeError``.
    """
    wrapped: C = _wrapped(client, limiter, resource)
    return wrapped


def _wrapped(client: Any, limiter: Limiter, resource: str | None) -> Any:
    if type(client).__module__.startswith("google.genai"):
        from paceline import gemini

        return gemini.wrapped(client, limiter, resource)
    if _is_boto(client):
        from paceline import bedrock

        bedrock.register(client, limiter, resource)
        return client
    if _is_http(client):
        return _metered(client, Meter(limiter, resource))
    if hasattr(client, "copy") and hasattr(client, "middleware"):
        return _with_middleware(client, limiter, resource)
    if hasattr(client, "copy") and _is_http(getattr(client, "_client", None)):
        return _with_http_client(client, limiter, resource)
    raise TypeError(
        f"paceline.wrap does not know {type(client).__module__}.{type(client).__qualname__}: it takes clients of openai, "
        "anthropic, google-genai, boto3's bedrock-runtime, httpx and httpx2; for another SDK that takes an httpx client, "
        "give it httpx.Client(transport=paceline.transport.Transport(limiter))"
    )


def _with_middleware(client: Any, limiter: Limiter, resource: str | None) -> Any:
    from paceline.anthropic import Middleware

    if any(isinstance(one, Middleware) and one.limiter is limiter for one in client.middleware):
        return client
    middleware = Middleware(limiter, resource=resource, provider=_provider(client))
    return client.copy(middleware=[*client.middleware, middleware])


def _with_http_client(client: Any, limiter: Limiter, resource: str | None) -> Any:
    # The SDKs have no public name for the HTTP client in use; this one has been the same since their first release.
    inner = client._client
    if any(meter.limiter is limiter for meter in getattr(inner, "_paceline_meters", ())):
        return client
    passes = _lets_its_own_errors_pass(client)
    meter = Meter(limiter, resource, provider=_provider(client), surface=raised if passes else replied)
    copied = client.copy(http_client=_metered(inner, meter))
    if not passes:
        copied.__class__ = _surfacing(_kind(copied))
    return copied


def _lets_its_own_errors_pass(client: Any) -> bool:
    """Whether :func:`paceline._surface.raised` gets past the SDK's retries."""
    import sys

    openai = sys.modules.get("openai")
    if openai is None or not any(kind.__module__.startswith("openai.") for kind in type(client).__mro__):
        return False
    version = [int(part) for part in openai.__version__.split(".")[:2] if part.isdigit()]
    return version >= [2, 45]


def _provider(client: Any) -> str | None:
    for kind in type(client).__mro__:
        for word, provider in _PROVIDERS.items():
            if kind.__module__.partition(".")[0] in ("openai", "anthropic") and word in kind.__name__:
                return provider
    return None


def _metered(client: Any, meter: Meter) -> Any:
    """Copies an HTTP client. Its connections are shared; `send`, through which all requests go, asks the meter."""
    copied = copy.copy(client)
    copied.__class__ = _metered_class(_kind(client))
    copied._paceline_meters = (*getattr(client, "_paceline_meters", ()), meter)
    # While the copy is in use the original must not be collected: SDKs' clients then close the shared connections.
    copied._paceline_inner = client
    return copied


@lru_cache(maxsize=None)
def _metered_class(kind: Any) -> Any:
    def ignored(self: Any) -> None:
        """The original closes the connections when it is collected."""

    def send(self: Any, request: Any, **options: Any) -> Any:
        return self._paceline_meters[-1].exchange(request, lambda: self._paceline_inner.send(request, **options))

    async def asend(self: Any, request: Any, **options: Any) -> Any:
        return await self._paceline_meters[-1].aexchange(request, lambda: self._paceline_inner.send(request, **options))

    names = {"__module__": kind.__module__, "__qualname__": kind.__qualname__, "__doc__": kind.__doc__}
    return type(
        kind.__name__, (kind,), {**names, "__del__": ignored, "send": asend if hasattr(kind, "aclose") else send}
    )


@lru_cache(maxsize=None)
def _surfacing(kind: Any) -> Any:
    """A class whose requests raise the refusal that a response carries."""

    def request(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return kind.request(self, *args, **kwargs)
        except Exception as error:
            refusal = carried(error)
            if refusal is None:
                raise
            raise refusal from None

    async def arequest(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return await kind.request(self, *args, **kwargs)
        except Exception as error:
            refusal = carried(error)
            if refusal is None:
                raise
            raise refusal from None

    names = {"__module__": kind.__module__, "__qualname__": kind.__qualname__, "__doc__": kind.__doc__}
    asynchronous = hasattr(kind, "__aenter__")
    return type(kind.__name__, (kind,), {**names, "request": arequest if asynchronous else request})


def _kind(client: Any) -> Any:
    return type(client)


def _is_http(client: Any) -> bool:
    kinds = {(kind.__module__.partition(".")[0], kind.__name__) for kind in type(client).__mro__}
    return any(module in ("httpx", "httpx2") and name in ("Client", "AsyncClient") for module, name in kinds)


def _is_boto(client: Any) -> bool:
    return any((kind.__module__, kind.__name__) == ("botocore.client", "BaseClient") for kind in type(client).__mro__)
