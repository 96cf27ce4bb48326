"""Bedrock through boto3: a limiter that is asked before each attempt, by botocore's events.

    client = paceline.wrap(boto3.client("bedrock-runtime"), limiter)
"""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any, Iterator
from urllib.parse import unquote, urlsplit

from paceline._call import Call, resource_of
from paceline._usage import StreamUsage
from paceline._using import current

if TYPE_CHECKING:
    from paceline._limiter import Limiter

_OPERATIONS = ("Converse", "ConverseStream", "InvokeModel", "InvokeModelWithResponseStream")
_NEVER_LEFT = frozenset({"EndpointConnectionError", "ConnectTimeoutError", "ProxyConnectionError", "SSLError"})


def register(client: Any, limiter: Limiter, resource: str | None = None) -> None:
    """Puts a limiter under a boto3 client of the service ``bedrock-runtime``, in place.

    Counted are ``converse``, ``converse_stream``, ``invoke_model`` and ``invoke_model_with_response_stream``, each attempt by
    itself. The model id finds the resource, unless ``resource`` names one. Refusals are raised as they are.
    """
    service = client.meta.service_model.service_name
    if service != "bedrock-runtime":
        raise TypeError(f'paceline.wrap takes boto3 clients of the service "bedrock-runtime"; this one is of "{service}"')
    meter = _Meter(limiter, resource)
    # Registered under one name a limiter, a second wrap changes nothing.
    mark = f"paceline-{id(limiter)}"
    for operation in _OPERATIONS:
        events = client.meta.events
        events.register(f"before-send.bedrock-runtime.{operation}", meter.before_send, unique_id=f"{mark}-{operation}-a")
        events.register(f"response-received.bedrock-runtime.{operation}", meter.received, unique_id=f"{mark}-{operation}-b")


class _Meter:
    def __init__(self, limiter: Limiter, resource: str | None) -> None:
        self._limiter = limiter
        self._resource = resource
        # botocore sends and receives an attempt on the thread of the caller, and names it in neither event.
        self._here = threading.local()

    def before_send(self, request: Any, **_: Any) -> None:
        self._here.call = None
        model = unquote(urlsplit(request.url).path.split("/")[2])
        resource = current().get("resource") or self._resource or resource_of(self._limiter, model, "bedrock")
        self._here.call = Call.begin(self._limiter, resource, _body(request.body, model), provider="bedrock")

    def received(self, parsed_response: Any, exception: BaseException | None, **_: Any) -> None:
        call: Call | None = getattr(self._here, "call", None)
        self._here.call = None
        if call is None:
            return
        if exception is not None:
            if type(exception).__name__ in _NEVER_LEFT:
                call.never_left()
            else:
                call.close(exception)
            return
        about = parsed_response.get("ResponseMetadata", {})
        status, headers = about.get("HTTPStatusCode", 200), about.get("HTTPHeaders", {})
        if status >= 300:
            call.failed(status, headers, parsed_response)
            return
        call.heard(status, headers)
        for name in ("stream", "body"):
            stream = parsed_response.get(name)
            if hasattr(stream, "get_initial_response"):
                parsed_response[name] = _Stream(stream, call)
                return
        call.settle(parsed_response)


class _Stream:
    """An event stream of botocore that is read along."""

    def __init__(self, inner: Any, call: Call) -> None:
        self._inner = inner
        self._call = call
        self._usage = StreamUsage()

    def __iter__(self) -> Iterator[Any]:
        try:
            for event in self._inner:
                chunk = event.get("chunk")
                self._usage.feed(chunk.get("bytes") if isinstance(chunk, dict) else event)
                yield event
        except BaseException as error:
            self._failed(error)
            raise
        self._end()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def close(self) -> None:
        """Closes the connection."""
        try:
            self._inner.close()
        finally:
            self._end()

    def _failed(self, error: BaseException) -> None:
        response = getattr(error, "response", None)
        if isinstance(response, dict) and "hrottling" in str(response.get("Error", {}).get("Code")):
            self._call.refused(429, response)
        self._end(error)

    def _end(self, error: BaseException | None = None) -> None:
        used = self._usage.result()
        if used is not None:
            self._call.used(used)
        else:
            self._call.close(error)

    def __del__(self) -> None:
        if hasattr(self, "_usage"):
            self._end()


def _body(content: Any, model: str) -> dict[str, Any]:
    try:
        body = json.loads(content)
    except (TypeError, ValueError):
        body = None
    return {"model": model, **(body if isinstance(body, dict) else {})}
