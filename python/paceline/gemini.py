"""Gemini through google-genai: options for its client that put a limiter under it.

    client = genai.Client(http_options=paceline.gemini.http_options(limiter))

``paceline.wrap(genai.Client(), limiter)`` does it to a client that exists.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from paceline._exchange import Meter
from paceline.transport import AsyncTransport, Transport

if TYPE_CHECKING:
    from google.genai import types

    from paceline._limiter import Limiter


def http_options(
    limiter: Limiter, options: types.HttpOptions | None = None, *, resource: str | None = None
) -> types.HttpOptions:
    """Returns ``HttpOptions`` for ``genai.Client``: the given ones, with clients under which the limiter stands.

    Both clients, sync and async, are of ``httpx``, or of ``httpx2`` where that is installed; time-outs, headers and base URL
    stay as they are, and so do the arguments of ``client_args`` and ``async_client_args``. Calls by the async client go
    through it too where aiohttp is installed.
    """
    from google.genai import types

    options = options or types.HttpOptions()
    module = _module()
    sync = {"follow_redirects": True, **(options.client_args or {})}
    asynchronous = {"follow_redirects": True, **(options.async_client_args or {})}
    inner, ainner = sync.pop("transport", None), asynchronous.pop("transport", None)
    provider = "gemini"
    client = module.Client(transport=Transport(limiter, inner, resource=resource, provider=provider), **sync)
    aclient = module.AsyncClient(
        transport=AsyncTransport(limiter, ainner, resource=resource, provider=provider), **asynchronous
    )
    return options.model_copy(update={"httpx_client": client, "httpx_async_client": aclient})


def _module() -> Any:
    try:
        import httpx2

        return httpx2
    except ImportError:
        import httpx

        return httpx


def wrapped(client: Any, limiter: Limiter, resource: str | None) -> Any:
    from paceline._wrap import _metered

    # A client has no public way to make another like it; these are the arguments of its constructor, as it keeps them.
    api = client._api_client
    inner = api._httpx_client
    if any(meter.limiter is limiter for meter in getattr(inner, "_paceline_meters", ())):
        return client
    meter = Meter(limiter, resource, provider="vertex" if api.vertexai else "gemini")
    metered = {"httpx_client": _metered(inner, meter)}
    if api._async_httpx_client is not None:
        metered["httpx_async_client"] = _metered(api._async_httpx_client, meter)
    copied = type(client)(
        vertexai=api.vertexai,
        api_key=api.api_key,
        credentials=api._credentials,
        project=api.project,
        location=api.location,
        http_options=api._http_options.model_copy(update=metered),
    )
    # A client that is collected closes its connections, which this one uses.
    copied._paceline_inner = client
    return copied
