"""Traces and the duration of calls for OpenTelemetry, under the stable names of its conventions for RPC.

https://opentelemetry.io/docs/specs/semconv/rpc/

The spans of a call are made when it has ended, from its record. So tracing holds nothing of a call while it lasts, and
the libraries of OpenTelemetry are loaded only where traces were asked for.
"""

from __future__ import annotations

import asyncio
import os
import threading
from importlib.metadata import version

from opentelemetry.metrics import MeterProvider
from opentelemetry.sdk.metrics import MeterProvider as SdkMeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider as SdkTracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, TracerProvider, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue

from camgraph_server.call import UNKNOWN, Call
from camgraph_server.observe.observers import Observer

_SERVER_ERRORS = frozenset({"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"})
"""Status codes that are errors of the server; of the others a server span says nothing, by the conventions."""
_DURATIONS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
_EXPORT_TIMEOUT = 5.0  # seconds
_FAREWELL = 3.0  # seconds that the last spans get to leave when the server stops
_NS = 1_000_000_000
_propagator = TraceContextTextMapPropagator()


class Traces(Observer):
    """Makes a span of each call, one of each of its stages, and a histogram of durations.

    Args:
        tracers: Gets the spans.
        meters: Gets the histogram.
    """

    def __init__(self, tracers: TracerProvider, meters: MeterProvider) -> None:
        self._providers = tracers, meters
        self._tracer = tracers.get_tracer("camgraph", version("camgraph"))
        self._duration = meters.get_meter("camgraph", version("camgraph")).create_histogram(
            "rpc.server.call.duration",
            unit="s",
            description="Measures the duration of an incoming Remote Procedure Call (RPC).",
            explicit_bucket_boundaries_advisory=_DURATIONS,
        )

    async def stop(self) -> None:
        """Sends the last spans. A collector that does not answer holds up nothing."""
        sending = threading.Thread(target=self._shut_down, name="camgraph-traces", daemon=True)
        sending.start()
        await asyncio.to_thread(sending.join, _FAREWELL)

    def ended(self, call: Call) -> None:
        """Makes its spans. Of a stream, each request has a span of its own beside that of the whole."""
        attributes = _attributes(call)
        context = _propagator.extract(call.trace)
        name = str(attributes["rpc.method"])
        span = self._tracer.start_span(
            name if call.item is None else f"{name} item",
            context,
            kind=SpanKind.SERVER if call.item is None else SpanKind.INTERNAL,
            attributes=attributes,
            start_time=_ns(call, call.started),
        )
        if span.is_recording():
            self._finish(span, call)
        if call.item is None:
            measured = {name: value for name, value in attributes.items() if name in _MEASURED}
            self._duration.record(call.elapsed_ms / 1e3, measured, set_span_in_context(span, context))

    def _finish(self, span: Span, call: Call) -> None:
        inside = set_span_in_context(span)
        for stage, begin, end in call.spans():
            self._tracer.start_span(stage, inside, start_time=_ns(call, begin)).end(_ns(call, end))
        if call.status in _SERVER_ERRORS:
            span.set_status(Status(StatusCode.ERROR, call.reason))
        span.set_attributes(_details(call))
        assert call.ended is not None
        span.end(_ns(call, call.ended))

    def _shut_down(self) -> None:
        for provider in self._providers:
            if isinstance(provider, SdkTracerProvider | SdkMeterProvider):
                provider.shutdown()


_MEASURED = frozenset({"rpc.system.name", "rpc.method", "rpc.response.status_code", "error.type"})


def exported_traces(url: str, share: float) -> Traces:
    """Traces that go to a collector over OTLP and HTTP.

    Args:
        url: Of the collector, such as `http://collector:4318`.
        share: Of calls that are traced where their callers do not say, 0 to 1.
    """
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter  # noqa: PLC0415 - tests trace without it
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - as above

    url = url.rstrip("/")
    name = os.environ.get("OTEL_SERVICE_NAME", "camgraph")
    resource = Resource.create({"service.name": name, "service.version": version("camgraph")})
    tracers = SdkTracerProvider(ParentBasedTraceIdRatio(share), resource)
    spans = OTLPSpanExporter(f"{url}/v1/traces", timeout=_EXPORT_TIMEOUT)
    tracers.add_span_processor(BatchSpanProcessor(spans))
    numbers = OTLPMetricExporter(f"{url}/v1/metrics", timeout=_EXPORT_TIMEOUT)
    return Traces(tracers, SdkMeterProvider([PeriodicExportingMetricReader(numbers)], resource))


def _attributes(call: Call) -> dict[str, AttributeValue]:
    """What the conventions ask of span and histogram."""
    attributes: dict[str, AttributeValue] = {
        "rpc.system.name": call.protocol,
        "rpc.method": "_OTHER" if call.rpc == UNKNOWN else f"{call.service}/{call.rpc}",
        "rpc.response.status_code": call.status,
    }
    if call.status in _SERVER_ERRORS:
        attributes["error.type"] = call.status
    return attributes


def _details(call: Call) -> dict[str, AttributeValue]:
    """What is known of a call beyond the conventions."""
    known = {
        "network.peer.address": call.peer,
        "camgraph.client": call.client.name,
        "camgraph.model": call.model if call.version is not None else None,
        "camgraph.version": call.version,
        "camgraph.request_id": call.request_id,
        "camgraph.item": call.item or None,
    }
    return {name: value for name, value in known.items() if value is not None}


def _ns(call: Call, moment: float) -> int:
    """Nanoseconds since 1970 of a moment on the clock of `time.monotonic`."""
    return int((call.came + moment - call.started) * _NS)
