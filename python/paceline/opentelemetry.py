"""OpenTelemetry spans and metrics of a limiter, off until asked for.

    paceline.opentelemetry.instrument(limiter)

**Spans.** Each acquire, by hand or of a wrapped client, is a span ``acquire {resource}`` from asking to the grant or the
refusal, a child of what the caller does. Attributes: ``gen_ai.request.model``, ``gen_ai.provider.name`` and
``gen_ai.request.max_tokens`` where the request says them; ``paceline.resource``, ``paceline.lane``,
``paceline.demand.*`` (what was named), ``paceline.waited`` (seconds), ``paceline.granted_via``; of a refusal
``error.type``, ``paceline.limit``, ``paceline.wanted``, ``paceline.left``, ``paceline.ahead``, ``paceline.retry_after``
(seconds). They are made where ``acquire`` and its kinds are called.

**Metrics**, by resource, limit or ledger, never by caller, lane or permit:

==========================  =======================================================  ====================================
name                        counts                                                   read off
==========================  =======================================================  ====================================
``paceline.acquires``       acquires by ``paceline.outcome`` and ``error.type``      the calls of ``acquire``
``paceline.wait``           how long they took, in seconds                           the calls of ``acquire``
``paceline.returned``       what settlements gave back, by ``paceline.metric``       ``limiter.events()``
``paceline.charged``        what they charged beyond the reservation                 ``limiter.events()``
``paceline.pauses``         pauses by ``paceline.target``                            ``limiter.events()``
``paceline.leases.ended``   permits that nobody ended                                ``limiter.events()``
``paceline.store.losses``   times that the store could not be reached                ``limiter.events()``
``paceline.limit.amount``   how much a limit has in all                              ``limiter.snapshot()``, on collection
``paceline.limit.left``     how much of it is left; below zero is debt               ``limiter.snapshot()``, on collection
``paceline.waiting``        callers in line                                          ``limiter.snapshot()``, on collection
``paceline.in_flight``      permits that are open                                    ``limiter.snapshot()``, on collection
==========================  =======================================================  ====================================

Events and snapshots are of the store: on a shared one, a snapshot counts all its processes.
"""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Callable, Coroutine, Generator, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from opentelemetry import metrics, trace
from opentelemetry.trace import Span, SpanKind, StatusCode

from paceline._errors import Busy, Impossible, PacelineError

if TYPE_CHECKING:
    from types import TracebackType

    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

    from paceline._limiter import Limiter

__all__ = ["instrument", "uninstrument"]

_log = logging.getLogger("paceline")
_T = TypeVar("_T")

_METHODS = ("acquire", "try_acquire", "acquire_any", "acquire_many")
_NO_DEMAND = frozenset({"request", "lane", "head_start", "timeout", "max_expected_wait", "lease", "on_error"})
_FACTS = ("limit", "wanted", "left", "ahead", "retry_after")
_SECONDS = [0.001, 0.01, 0.05, 0.1, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800]


def instrument(
    limiter: Limiter, *, tracer_provider: TracerProvider | None = None, meter_provider: MeterProvider | None = None
) -> None:
    """Makes spans and metrics of what a limiter does from now on; the providers are the global ones unless given.

    It changes this limiter alone, and costs others nothing. A limiter that is instrumented stays as it is.

    >>> import paceline
    >>> limiter = paceline.Limiter("gpt-4o", requests_per_minute=5, private=True)
    >>> instrument(limiter)
    >>> uninstrument(limiter)
    """
    if limiter in _instrumented:
        return
    meters = _meters_of(meter_provider or metrics.get_meter_provider())
    tracer = trace.get_tracer("paceline", tracer_provider=tracer_provider)
    listener = _Listener(limiter, meters)
    for method in _METHODS:
        setattr(limiter, method, _traced(getattr(limiter, method), method, tracer, meters))
    meters.limiters.add(limiter)
    _instrumented[limiter] = listener


def uninstrument(limiter: Limiter) -> None:
    """Ends what ``instrument`` began; a limiter that is not instrumented stays as it is."""
    listener = _instrumented.pop(limiter, None)
    if listener is None:
        return
    listener.meters.limiters.discard(limiter)
    listener.stopped = True
    for method in _METHODS:
        delattr(limiter, method)


class _Meters:
    """The instruments of one provider, for all limiters that report to it."""

    def __init__(self, provider: MeterProvider) -> None:
        meter = provider.get_meter("paceline")
        self.limiters: weakref.WeakSet[Limiter] = weakref.WeakSet()
        self.acquires = meter.create_counter("paceline.acquires", "{acquire}", "Acquires, by how they ended")
        self.wait = meter.create_histogram(
            "paceline.wait", "s", "How long acquires took", explicit_bucket_boundaries_advisory=_SECONDS
        )
        self.returned = meter.create_counter("paceline.returned", "{unit}", "What settlements gave back")
        self.charged = meter.create_counter("paceline.charged", "{unit}", "What settlements charged beyond reservations")
        self.pauses = meter.create_counter("paceline.pauses", "{pause}", "Pauses of resources and limits")
        self.leases = meter.create_counter("paceline.leases.ended", "{permit}", "Permits that nobody ended")
        self.losses = meter.create_counter("paceline.store.losses", "{loss}", "Times that the store could not be reached")
        for name, unit, read, about in (
            ("paceline.limit.amount", "{unit}", _amounts, "How much limits have in all"),
            ("paceline.limit.left", "{unit}", _left, "How much of limits is left"),
            ("paceline.waiting", "{caller}", _waiting, "Callers in line"),
            ("paceline.in_flight", "{permit}", _in_flight, "Permits that are open"),
        ):
            meter.create_observable_gauge(name, [self._observing(read)], unit, about)

    def _observing(self, read: Callable[[dict[str, Any]], Iterable[metrics.Observation]]) -> Any:
        def observe(_: metrics.CallbackOptions) -> Iterable[metrics.Observation]:
            for limiter in list(self.limiters):
                try:
                    ledgers = limiter.snapshot().wait()
                except PacelineError as error:
                    _log.debug("no metrics of a limiter: %s", error)
                    continue
                for ledger in ledgers.values():
                    yield from read(ledger)

        return observe


def _amounts(ledger: dict[str, Any]) -> Iterable[metrics.Observation]:
    return [metrics.Observation(limit["amount"], _of_limit(name, limit)) for name, limit in ledger["limits"].items()]


def _left(ledger: dict[str, Any]) -> Iterable[metrics.Observation]:
    return [metrics.Observation(limit["left"], _of_limit(name, limit)) for name, limit in ledger["limits"].items()]


def _of_limit(name: str, limit: dict[str, Any]) -> dict[str, str]:
    return {"paceline.limit": name, "paceline.metric": limit["metric"]}


def _waiting(ledger: dict[str, Any]) -> Iterable[metrics.Observation]:
    return [metrics.Observation(one["waiting"], {"paceline.resource": name}) for name, one in ledger["resources"].items()]


def _in_flight(ledger: dict[str, Any]) -> Iterable[metrics.Observation]:
    return [metrics.Observation(one["in_flight"], {"paceline.resource": name}) for name, one in ledger["resources"].items()]


class _Listener:
    """Counts events, on a thread that ends with the limiter, or with the first event after ``uninstrument``."""

    def __init__(self, limiter: Limiter, meters: _Meters) -> None:
        self.meters = meters
        self.stopped = False
        threading.Thread(target=self._run, args=(limiter.events(),), name="paceline-metrics", daemon=True).start()

    def _run(self, events: Iterable[Any]) -> None:
        for event in events:
            if self.stopped:
                return
            self._count(event)

    def _count(self, event: Any) -> None:
        if event.kind == "settled":
            ledger = event.permit.rsplit(".", 2)[0]
            for counter, amounts in ((self.meters.returned, event.returned), (self.meters.charged, event.charged)):
                for metric, amount in amounts.items():
                    counter.add(amount, {"paceline.ledger": ledger, "paceline.metric": metric})
        elif event.kind == "paused":
            self.meters.pauses.add(1, {"paceline.target": event.target})
        elif event.kind == "lease_ended":
            self.meters.leases.add(1, {"paceline.ledger": event.permit.rsplit(".", 2)[0]})
        elif event.kind == "store_lost":
            self.meters.losses.add(1)


def _traced(asking: Callable[..., Any], method: str, tracer: trace.Tracer, meters: _Meters) -> Callable[..., Any]:
    def ask(resource: Any = None, /, **said: Any) -> _Traced:
        if isinstance(resource, (list, tuple)):
            resource = [one.asked if isinstance(one, _Traced) else one for one in resource]
        return _Traced(asking(resource, **said), resource if isinstance(resource, str) else None, said, tracer, meters)

    ask.__name__ = method
    return ask


class _Traced(Coroutine[Any, Any, Any]):
    """What ``limiter.acquire`` returns, in a span."""

    def __init__(
        self, asked: Any, resource: str | None, said: dict[str, Any], tracer: trace.Tracer, meters: _Meters
    ) -> None:
        self.asked = asked
        self._resource = resource
        self._said = said
        self._tracer = tracer
        self._meters = meters
        self._running: Coroutine[Any, Any, Any] | None = None

    def wait(self) -> Any:
        with self._measured() as measured:
            return measured.granted(self.asked.wait())

    def __enter__(self) -> Any:
        with self._measured() as measured:
            return measured.granted(self.asked.__enter__())

    def __exit__(self, *raised: Any) -> Any:
        return self.asked.__exit__(*raised)

    async def __aenter__(self) -> Any:
        with self._measured() as measured:
            return measured.granted(await self.asked.__aenter__())

    async def __aexit__(self, *raised: Any) -> Any:
        return await self.asked.__aexit__(*raised)

    def __await__(self) -> Generator[Any, None, Any]:
        return self._acquire().__await__()

    async def _acquire(self) -> Any:
        with self._measured() as measured:
            return measured.granted(await self.asked)

    def send(self, value: Any) -> Any:
        return self._coroutine().send(value)

    def throw(self, *raised: Any) -> Any:
        return self._coroutine().throw(*raised)

    def close(self) -> None:
        if self._running is not None:
            self._running.close()
        self.asked.close()

    def _coroutine(self) -> Coroutine[Any, Any, Any]:
        if self._running is None:
            self._running = self._acquire()
        return self._running

    def _measured(self) -> _Measured:
        name = f"acquire {self._resource}" if self._resource else "acquire"
        span = self._tracer.start_span(name, kind=SpanKind.CLIENT, attributes=_demanded(self._resource, self._said))
        return _Measured(span, self._resource, self._meters)


class _Measured:
    """One acquire, from asking to its end."""

    def __init__(self, span: Span, resource: str | None, meters: _Meters) -> None:
        self._span = span
        self._resource = resource
        self._meters = meters
        self._waited = 0.0

    def granted(self, permit: _T) -> _T:
        """Notes what was granted, and passes it on."""
        first: Any = permit[0] if isinstance(permit, list) and permit else permit
        self._waited = max((one.waited for one in permit), default=0.0) if isinstance(permit, list) else first.waited
        if not isinstance(permit, list):
            self._resource = first.resource
            self._span.update_name(f"acquire {first.resource}")
        self._span.set_attribute("paceline.granted_via", first.granted_via)
        return permit

    def __enter__(self) -> _Measured:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace_: TracebackType | None
    ) -> None:
        attributes = {"paceline.outcome": "granted"}
        if error is not None:
            attributes = {"paceline.outcome": _outcome(error), "error.type": type(error).__name__}
            self._refused(error)
        self._resource = getattr(error, "resource", None) or self._resource
        if self._resource:
            attributes["paceline.resource"] = self._resource
        self._waited = getattr(error, "waited", self._waited)
        self._span.set_attributes({**attributes, "paceline.waited": self._waited})
        self._span.end()
        self._meters.acquires.add(1, attributes)
        self._meters.wait.record(self._waited, attributes)

    def _refused(self, error: BaseException) -> None:
        for fact in _FACTS:
            value = getattr(error, fact, None)
            if isinstance(value, (int, float, str)):
                self._span.set_attribute(f"paceline.{fact}", value)
        if isinstance(error, Exception):
            self._span.set_status(StatusCode.ERROR, str(error))


def _outcome(error: BaseException) -> str:
    if isinstance(error, (Busy, Impossible)):
        return "refused"
    return "failed" if isinstance(error, Exception) else "cancelled"


def _demanded(resource: str | None, said: dict[str, Any]) -> dict[str, Any]:
    request = said.get("request") or {}
    found = {
        "gen_ai.request.model": request.get("model"),
        "gen_ai.request.max_tokens": request.get("max_completion_tokens") or request.get("max_tokens"),
        "gen_ai.provider.name": resource.split("/")[0] if resource and "/" in resource else None,
        "paceline.resource": resource,
        "paceline.lane": said.get("lane"),
        **{f"paceline.demand.{name}": amount for name, amount in said.items() if name not in _NO_DEMAND},
    }
    return {name: value for name, value in found.items() if isinstance(value, (str, int, float))}


_instrumented: weakref.WeakKeyDictionary[Limiter, _Listener] = weakref.WeakKeyDictionary()
_of_provider: weakref.WeakKeyDictionary[MeterProvider, _Meters] = weakref.WeakKeyDictionary()


def _meters_of(provider: MeterProvider) -> _Meters:
    found = _of_provider.get(provider)
    if found is None:
        found = _of_provider[provider] = _Meters(provider)
    return found
