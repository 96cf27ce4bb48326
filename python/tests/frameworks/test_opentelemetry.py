"""Spans and metrics: what they say, and that they are off unless asked for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Any

import paceline
import paceline.opentelemetry
import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from readings import limit_of


class Telemetry:
    """What was exported."""

    def __init__(self) -> None:
        self.spans = InMemorySpanExporter()
        self.reader = InMemoryMetricReader()
        self.tracer_provider = TracerProvider()
        self.tracer_provider.add_span_processor(SimpleSpanProcessor(self.spans))
        self.meter_provider = MeterProvider(metric_readers=[self.reader])

    def instrument(self, limiter: Any) -> None:
        paceline.opentelemetry.instrument(
            limiter, tracer_provider=self.tracer_provider, meter_provider=self.meter_provider
        )

    def points(self, name: str) -> dict[frozenset[tuple[str, Any]], Any]:
        """The values of a metric by their attributes."""
        data = self.reader.get_metrics_data()
        metrics = [m for r in data.resource_metrics for s in r.scope_metrics for m in s.metrics] if data else []
        found: dict[frozenset[tuple[str, Any]], Any] = {}
        for metric in metrics:
            if metric.name == name:
                for point in metric.data.data_points:
                    value = getattr(point, "value", None)
                    found[frozenset((point.attributes or {}).items())] = point.count if value is None else value
        return found

    def until(self, name: str, attributes: dict[str, Any], value: Any) -> None:
        """Waits, within bounds, until a metric has a value."""
        ends = time.monotonic() + 5
        while self.points(name).get(frozenset(attributes.items())) != value:
            assert time.monotonic() < ends, self.points(name)
            time.sleep(0.01)


@pytest.fixture
def telemetry() -> Iterator[Telemetry]:
    found = Telemetry()
    yield found
    found.meter_provider.shutdown()
    found.tracer_provider.shutdown()


def test_a_grant_is_a_span_and_counts(telemetry: Telemetry, still: Callable[..., Any]) -> None:
    one = still(config="openai:\n  gpt-4o: {requests_per_minute: 5, tokens_per_minute: 1_000, lanes: {night: {}}}\n")
    telemetry.instrument(one)
    with telemetry.tracer_provider.get_tracer("app").start_as_current_span("job") as parent:
        with one.acquire("openai/gpt-4o", lane="night", input_tokens=100, max_output_tokens=50) as permit:
            telemetry.until("paceline.in_flight", {"paceline.resource": "openai/gpt-4o"}, 1)
            permit.settle(input_tokens=100, output_tokens=50)
    span = telemetry.spans.get_finished_spans()[0]
    assert span.name == "acquire openai/gpt-4o"
    assert span.parent is not None and span.parent.span_id == parent.get_span_context().span_id
    attributes = dict(span.attributes or {})
    assert attributes.pop("paceline.waited") == pytest.approx(0, abs=0.5)
    assert attributes == {
        "gen_ai.provider.name": "openai",
        "paceline.resource": "openai/gpt-4o",
        "paceline.lane": "night",
        "paceline.demand.input_tokens": 100,
        "paceline.demand.max_output_tokens": 50,
        "paceline.granted_via": permit.granted_via,
        "paceline.outcome": "granted",
    }
    assert telemetry.points("paceline.acquires") == {
        frozenset({("paceline.outcome", "granted"), ("paceline.resource", "openai/gpt-4o")}): 1
    }
    limit = {"paceline.limit": "openai/gpt-4o/requests_per_minute", "paceline.metric": "requests"}
    telemetry.until("paceline.limit.left", limit, limit_of(one, limit["paceline.limit"])["left"])
    telemetry.until("paceline.limit.amount", limit, 5)
    telemetry.until("paceline.in_flight", {"paceline.resource": "openai/gpt-4o"}, 0)


def test_a_refusal_says_why(telemetry: Telemetry, still: Callable[..., Any]) -> None:
    one = still("gpt", rpm=1)
    telemetry.instrument(one)
    one.acquire().wait()
    with pytest.raises(paceline.Busy):
        one.try_acquire("gpt").wait()
    span = telemetry.spans.get_finished_spans()[-1]
    attributes = dict(span.attributes or {})
    assert span.status.is_ok is False
    assert attributes["error.type"] == "Busy"
    assert attributes["paceline.outcome"] == "refused"
    assert attributes["paceline.limit"] == "gpt/requests_per_minute"
    assert attributes["paceline.wanted"] == 1
    assert attributes["paceline.left"] == 0
    assert 0 < attributes["paceline.retry_after"] <= 61  # type: ignore[operator]
    assert telemetry.points("paceline.wait")[
        frozenset({("paceline.outcome", "refused"), ("error.type", "Busy"), ("paceline.resource", "gpt")})
    ] == 1


def test_a_cancelled_wait_is_a_span_that_ends(telemetry: Telemetry, limiter: Callable[..., Any]) -> None:
    one = limiter("gpt", rpm=1)
    telemetry.instrument(one)

    async def cancelled() -> None:
        async with one.acquire():
            task = asyncio.create_task(one.acquire("gpt"))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(cancelled())
    outcomes = [(span.attributes or {})["paceline.outcome"] for span in telemetry.spans.get_finished_spans()]
    assert outcomes == ["granted", "cancelled"]


def test_every_way_of_acquiring_is_seen(telemetry: Telemetry, still: Callable[..., Any]) -> None:
    one = still(config="resources:\n  a: {requests_per_minute: 9}\n  b: {requests_per_minute: 9}\n")
    telemetry.instrument(one)

    async def all_ways() -> None:
        (await one.acquire("a")).settle()
        async with one.acquire("a"):
            pass
        (await asyncio.create_task(one.acquire("a"))).settle()
        (await one.acquire_any(["a", one.acquire("b")])).settle()
        for permit in await one.acquire_many([one.acquire("a"), "b"]):
            permit.settle()

    asyncio.run(all_ways())
    one.acquire("b").wait().settle()
    with one.try_acquire("b"):
        pass

    @one.limited("b", settle=False)
    def decorated() -> None: ...

    decorated()
    names = [span.name for span in telemetry.spans.get_finished_spans()]
    assert names[:3] == ["acquire a"] * 3
    assert names[3] in ("acquire a", "acquire b") and names[4] == "acquire"
    assert names[5:] == ["acquire b"] * 3


def test_settlements_and_pauses_are_counted(telemetry: Telemetry, limiter: Callable[..., Any]) -> None:
    one = limiter("gpt", tpm=1_000)
    telemetry.instrument(one)
    one.acquire(tokens=100).wait().settle(tokens=30)
    one.acquire(tokens=100).wait().settle(tokens=150)
    one.pause("gpt", 0.01).wait()
    by = {"paceline.ledger": "gpt", "paceline.metric": "tokens"}
    telemetry.until("paceline.returned", by, 70)
    telemetry.until("paceline.charged", by, 50)
    telemetry.until("paceline.pauses", {"paceline.target": "gpt"}, 1)


def test_a_wrapped_client_is_seen(telemetry: Telemetry, openai_env: Any, limits: Any) -> None:
    import openai

    telemetry.instrument(limits)
    client = paceline.wrap(openai.OpenAI(), limits)
    with paceline.using(timeout=5):
        client.chat.completions.create(
            model="gpt-4o", messages=[{"role": "user", "content": "hello"}], max_completion_tokens=9
        )
    (span,) = telemetry.spans.get_finished_spans()
    attributes = dict(span.attributes or {})
    assert span.name == "acquire openai/gpt-4o"
    assert attributes["gen_ai.request.model"] == "gpt-4o"
    assert attributes["gen_ai.request.max_tokens"] == 9
    assert attributes["gen_ai.provider.name"] == "openai"


def test_it_is_off_before_and_after(telemetry: Telemetry, still: Callable[..., Any]) -> None:
    one, other = still("gpt", rpm=9), still("gpt", rpm=9)
    one.acquire().wait().settle()
    telemetry.instrument(one)
    telemetry.instrument(one)
    one.acquire().wait().settle()
    other.acquire().wait().settle()
    paceline.opentelemetry.uninstrument(one)
    paceline.opentelemetry.uninstrument(one)
    one.acquire().wait().settle()
    assert len(telemetry.spans.get_finished_spans()) == 1
    assert type(one.acquire("gpt")) is paceline.Acquire
    assert telemetry.points("paceline.in_flight") == {}
