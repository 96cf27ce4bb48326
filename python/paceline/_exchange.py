"""An HTTP exchange under a limiter: the permit before the request, the settlement off the response."""

from __future__ import annotations

import json
import logging
import sys
from functools import lru_cache
from types import ModuleType
from typing import TYPE_CHECKING, Any, AsyncIterator, Awaitable, Callable, Iterator

from paceline import _endpoint
from paceline._call import Call, resource_of
from paceline._surface import raised
from paceline._usage import SseUsage, read
from paceline._using import current

if TYPE_CHECKING:
    from paceline._limiter import Limiter

_log = logging.getLogger("paceline")

# What raises these cannot have sent a byte of the request.
_NEVER_LEFT = frozenset(
    {"ConnectError", "ConnectTimeout", "PoolTimeout", "UnsupportedProtocol", "ProxyError", "InvalidURL", "LocalProtocolError"}
)
# How many of a stream's last bytes are kept, to see how it ended.
_TAIL = 4_096


def never_left(error: BaseException) -> bool:
    """Tells whether an exception of an HTTP library means that nothing was sent. SDKs wrap it in their own."""
    cause: BaseException | None = error
    while cause is not None:
        kind = type(cause)
        if kind.__name__ in _NEVER_LEFT and kind.__module__.partition(".")[0] in ("httpx", "httpx2", "httpcore", "httpcore2"):
            return True
        cause = cause.__cause__
    return False


class Meter:
    """Counts what a client sends."""

    def __init__(
        self,
        limiter: Limiter,
        resource: str | None = None,
        *,
        provider: str | None = None,
        surface: Callable[[Exception, Any], Any] = raised,
    ) -> None:
        self.limiter = limiter
        self._resource = resource
        self._provider = provider
        self._surface = surface
        self.traces = False
        """Whether the transport below has told of a request that left."""
        self._on_way: set[int] = set()

    def exchange(self, request: Any, send: Callable[[], Any]) -> Any:
        """Sends a request when the limiter lets it go."""
        url = request.url
        path = url.path
        if not _endpoint.may_be_call(request.method, path):
            return send()
        asked = _endpoint.asked(path, request.read() if _is_form(request, path) else _content(request))
        if asked is None:
            return send()
        provider = _endpoint.provider_of(url.host) or self._provider
        try:
            call = Call.begin(self.limiter, self._named(asked, provider), asked.body, provider=provider)
        except Exception as error:
            return self._surface(error, request)
        trace = self._traced(call, request)
        if trace is not None:
            request.extensions["trace"] = trace.sync
        try:
            response = send()
            if response.status_code >= 400:
                response.read()
        except BaseException as error:
            if trace is not None and trace.refusal is not None and trace.refusal is error:
                return self._surface(trace.refusal, request)
            broke(call, error, trace is not None and trace.stayed())
            raise
        finally:
            self._on_way.discard(id(call))
        took(call, response)
        return response

    async def aexchange(self, request: Any, send: Callable[[], Awaitable[Any]]) -> Any:
        """Sends a request when the limiter lets it go."""
        url = request.url
        path = url.path
        if not _endpoint.may_be_call(request.method, path):
            return await send()
        asked = _endpoint.asked(path, await request.aread() if _is_form(request, path) else _content(request))
        if asked is None:
            return await send()
        provider = _endpoint.provider_of(url.host) or self._provider
        try:
            call = await Call.abegin(self.limiter, self._named(asked, provider), asked.body, provider=provider)
        except Exception as error:
            return self._surface(error, request)
        trace = self._traced(call, request)
        if trace is not None:
            request.extensions["trace"] = trace.asynchronous
        try:
            response = await send()
            if response.status_code >= 400:
                await response.aread()
        except BaseException as error:
            if trace is not None and trace.refusal is not None and trace.refusal is error:
                return self._surface(trace.refusal, request)
            broke(call, error, trace is not None and trace.stayed())
            raise
        finally:
            self._on_way.discard(id(call))
        took(call, response)
        return response

    def _traced(self, call: Call, request: Any) -> _Trace | None:
        """Lets a call be seen on its way if there are others, for it may have to wait for a connection."""
        self._on_way.add(id(call))
        return _Trace(self, call, request) if len(self._on_way) > 1 else None

    def _named(self, asked: _endpoint.Asked, provider: str | None) -> str | None:
        return current().get("resource") or self._resource or resource_of(self.limiter, asked.model, provider)


class _Trace:
    """Sees a request leave, by the ``trace`` extension of httpx."""

    __slots__ = ("_call", "_meter", "_then", "left", "refusal")

    def __init__(self, meter: Meter, call: Call, request: Any) -> None:
        self._meter = meter
        self._call = call
        before = request.extensions.get("trace")
        # A redirect's request inherits the extensions of the first: its trace is over.
        self._then = None if isinstance(getattr(before, "__self__", None), _Trace) else before
        self.left = False
        self.refusal: Exception | None = None

    def stayed(self) -> bool:
        """Whether it is certain that nothing was sent; transports that do not trace leave it open."""
        return self._meter.traces and not self.left

    def sync(self, event: str, info: Any) -> None:
        if event.endswith("send_request_headers.started"):
            if not self.left and self._call.is_stale():
                try:
                    self._call.ask_anew()
                except Exception as error:
                    self.refusal = error
                    raise
            self.left = self._meter.traces = True
        if self._then is not None:
            self._then(event, info)

    async def asynchronous(self, event: str, info: Any) -> None:
        if event.endswith("send_request_headers.started"):
            if not self.left and self._call.is_stale():
                try:
                    await self._call.aask_anew()
                except Exception as error:
                    self.refusal = error
                    raise
            self.left = self._meter.traces = True
        if self._then is not None:
            await self._then(event, info)


def broke(call: Call, error: BaseException, stayed: bool = False) -> None:
    """Ends a call that raised."""
    if stayed or never_left(error):
        call.never_left()
    else:
        call.close(error)


def took(call: Call, response: Any) -> None:
    """Ends a call by its response, at once where it is there, or when its stream ends."""
    status = response.status_code
    if status >= 400:
        call.failed(status, response.headers, response.content if response.is_closed else None)
    elif status >= 300:
        call.never_left()  # sent elsewhere: no model was asked
    else:
        call.heard(status, response.headers)
        if response.is_closed:
            used = read(response.content)
            if used is not None:
                call.used(used)
            else:
                call.close()
        else:
            module = module_of(response)
            tap = Tap(call, response, module)
            sync, asynchronous = streams(module)
            # Who sends knows which of both it is: a response of content alone is both.
            kind = sync if isinstance(response.stream, module.SyncByteStream) else asynchronous
            response.stream = kind(response.stream, tap)


class Tap:
    """Reads along what passes, and settles when no more comes."""

    def __init__(self, call: Call, response: Any, module: ModuleType) -> None:
        self._call = call
        self._module = module
        self._encoding = response.headers.get("content-encoding", "")
        self._usage = SseUsage()
        self._packed: list[bytes] = []
        self._tail = b""
        self._ended = False

    def pass_by(self, chunk: bytes) -> None:
        """Notes a chunk as it came over the wire."""
        if self._encoding:
            self._packed.append(chunk)
        else:
            self._read(chunk)

    def end(self, error: BaseException | None = None) -> None:
        """Settles, once, with what was seen."""
        if self._ended:
            return
        self._ended = True
        if self._packed:
            self._read(self._unpacked())
        said = _error_in(self._tail)
        if said is not None:
            self._call.refused(*said)
        used = self._usage.result()
        if used is not None:
            self._call.used(used)
            return
        if b"[DONE]" in self._tail:
            _warn_no_usage(self._call.resource)
        self._call.close(error)

    def _read(self, content: bytes) -> None:
        self._usage.feed(content)
        self._tail = (self._tail + content)[-_TAIL:]

    def _unpacked(self) -> bytes:
        # The library that undoes it for the caller undoes it here, as far as it came.
        headers = {"content-encoding": self._encoding}
        packed = self._module.Response(200, headers=headers, stream=self._module.ByteStream(b"".join(self._packed)))
        parts: list[bytes] = []
        try:
            parts.extend(packed.iter_bytes())
        except Exception as error:
            _log.debug("paceline: a compressed stream ended early: %s", error)
        return b"".join(parts)

    def __del__(self) -> None:
        if hasattr(self, "_ended"):
            self.end()


_warned: set[str] = set()


def _warn_no_usage(resource: str) -> None:
    if resource not in _warned:
        _warned.add(resource)
        _log.warning(
            "%s: a stream ended without saying what it used, and stays charged as reserved: pass "
            'stream_options={"include_usage": True}, so that what it did not use goes back',
            resource,
        )


def _error_in(tail: bytes) -> tuple[int, dict[str, Any]] | None:
    """The refusal with which a stream ended, and the status that it would have had as a response."""
    if b'"error"' not in tail and b'"response.failed"' not in tail:
        return None
    for line in reversed(tail.split(b"\n")):
        if line.startswith(b"data:") and b'"error"' in line:
            try:
                event = json.loads(line[5:])
            except ValueError:
                return None
            inner = event.get("response") if isinstance(event.get("response"), dict) else event
            error = inner.get("error") or event
            codes = {error.get("type"), error.get("code")} if isinstance(error, dict) else set()
            if codes & {"rate_limit_error", "rate_limit_exceeded", "slow_down", "insufficient_quota", 429}:
                return 429, inner
            return (529, inner) if codes & {"overloaded_error", "server_is_overloaded", 503, 529} else None
    return None


def module_of(thing: Any) -> ModuleType:
    """Finds out whether something is of ``httpx`` or of ``httpx2``; a class derived from theirs is."""
    for kind in type(thing).__mro__:
        name = kind.__module__.partition(".")[0]
        if name in ("httpx", "httpx2"):
            return sys.modules[name]
    raise TypeError(f"expected an object of httpx or httpx2, got {type(thing).__qualname__}")


def _is_form(request: Any, path: str) -> bool:
    return _endpoint.may_be_form(path) and request.headers.get("content-type", "").startswith("multipart/form-data")


def _content(request: Any) -> bytes:
    try:
        return bytes(request.content)
    except Exception:  # a request that was built to follow a redirect, or one whose body can be read once
        repeatable = isinstance(request.stream, module_of(request).ByteStream)
        return b"".join(request.stream) if repeatable else b""


@lru_cache(maxsize=None)
def streams(module: ModuleType) -> tuple[type, type]:
    """Makes the streams of ``httpx`` or ``httpx2`` that are read along."""

    class Stream(module.SyncByteStream):  # type: ignore[name-defined,misc]
        def __init__(self, inner: Any, tap: Tap) -> None:
            self._inner = inner
            self._tap = tap

        def __iter__(self) -> Iterator[bytes]:
            try:
                for chunk in self._inner:
                    self._tap.pass_by(chunk)
                    yield chunk
            except BaseException as error:
                self._tap.end(error)
                raise
            self._tap.end()

        def close(self) -> None:
            try:
                self._inner.close()
            finally:
                self._tap.end()

    class AsyncStream(module.AsyncByteStream):  # type: ignore[name-defined,misc]
        def __init__(self, inner: Any, tap: Tap) -> None:
            self._inner = inner
            self._tap = tap

        async def __aiter__(self) -> AsyncIterator[bytes]:
            try:
                async for chunk in self._inner:
                    self._tap.pass_by(chunk)
                    yield chunk
            except BaseException as error:
                self._tap.end(error)
                raise
            self._tap.end()

        async def aclose(self) -> None:
            try:
                await self._inner.aclose()
            finally:
                self._tap.end()

    return Stream, AsyncStream
