"""A middleware for Anthropic's SDK (2 and later) that asks a limiter before each attempt.

    import anthropic, paceline.anthropic

    client = anthropic.Anthropic(middleware=[paceline.anthropic.Middleware(limiter)])

``paceline.wrap(client, limiter)`` adds it to a client that exists. Put it last, so that what other middlewares repeat is
counted, and what they answer themselves is not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import anthropic

from paceline import _endpoint
from paceline._call import Call, resource_of
from paceline._exchange import broke, took
from paceline._using import current

if TYPE_CHECKING:
    from paceline._limiter import Limiter


class Middleware(anthropic.Middleware):
    """Lets each attempt wait until it may leave, and settles it by its response or the end of its stream.

    ``resource`` names what all calls draw on; otherwise the model in the request's body is looked up, under ``provider``.
    Refusals (``Busy`` and its kinds, ``Impossible``, ``StoreUnavailable``, ``UnknownResource``) reach the caller as they are:
    the SDK does not retry what a middleware raises.
    """

    def __init__(self, limiter: Limiter, *, resource: str | None = None, provider: str | None = "anthropic") -> None:
        self.limiter = limiter
        self._resource = resource
        self._provider = provider

    def handle(self, request: anthropic.APIRequest, call_next: anthropic.CallNext) -> Any:
        """Sends one attempt, from a sync client."""
        body = _body(request)
        if body is None:
            return call_next(request)
        call = Call.begin(self.limiter, self._named(body), body, provider=self._provider)
        try:
            response = call_next(request)
            http = response.http_response
            if http.status_code >= 400:
                http.read()
        except BaseException as error:
            broke(call, error)
            raise
        took(call, http)
        return response

    async def handle_async(self, request: anthropic.APIRequest, call_next: anthropic.AsyncCallNext) -> Any:
        """Sends one attempt, from an async client."""
        body = _body(request)
        if body is None:
            return await call_next(request)
        call = await Call.abegin(self.limiter, self._named(body), body, provider=self._provider)
        try:
            response = await call_next(request)
            http = response.http_response
            if http.status_code >= 400:
                await http.aread()
        except BaseException as error:
            broke(call, error)
            raise
        took(call, http)
        return response

    def _named(self, body: dict[str, Any]) -> str | None:
        return current().get("resource") or self._resource or resource_of(self.limiter, body["model"], self._provider)


def _body(request: anthropic.APIRequest) -> dict[str, Any] | None:
    """The body of a call of a model; ``None`` for any other request."""
    body: Any = request.json
    if not isinstance(body, dict) or not isinstance(body.get("model"), str):
        return None
    return body if _endpoint.may_be_call(request.method, urlsplit(request.url).path) else None
