"""What it costs to observe calls: the observers alone, and servers with and without them in pairs.

    python benchmarks/observing.py --rounds 8

First the time on the processor that the observers of a call take, against that of the call: the same record is shown
to them many times. Then two servers, one that observes and one that does not, are asked in turn: the ratio of the CPU
time of their processes shows what the first figure leaves out. It is noisy where the machine has other work.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import click
import grpc.aio
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio
from paired import EXAMPLE_MODEL, ROOT, camgraph, environment
from throughput import Cores, _Bytes, by_server, serving

from camgraph_core.request import Addressed, Request
from camgraph_runtime import Explainer
from camgraph_runtime.run.threads import available_cores
from camgraph_server.access.client import Client
from camgraph_server.budget import Budget, Share
from camgraph_server.call import STAGES, Call
from camgraph_server.observe.inference import InferenceCounts
from camgraph_server.observe.metrics.state import State
from camgraph_server.observe.metrics.together import metrics
from camgraph_server.observe.observers import Explained, Observer, Observers
from camgraph_server.observe.traces import Traces
from camgraph_wire.requests import request_message

_PHOTO = ROOT / "examples" / "photos" / "rocket.jpg"
_CALLS = 10_000


def observers_ms(observed: Sequence[Observer], explained: Explained) -> float:
    """CPU time that observers take for one call, in milliseconds."""
    observers = Observers(observed)
    start = time.process_time()
    for _ in range(_CALLS):
        call = Call("camgraph.v1.ExplanationService", "Explain", "ipv4:1:1", Client("1"), None, Share(Budget(1)))
        with observers.watching(call):
            call.model, call.version, call.status = "model", "1", "OK"
            for stage in STAGES:
                call.enter(stage)
            observers.explained(call, explained)
    return (time.process_time() - start) / _CALLS * 1e3


def measured() -> list[Observer]:
    """What `--metrics` adds."""
    counts = InferenceCounts()
    return [counts, *metrics("127.0.0.1:0", State({}, dict, list, (), lambda: None, lambda: None), counts)]


def traced(share: float) -> list[Observer]:
    """What `--traces` adds, up to the bytes that would be sent."""
    tracers = TracerProvider(ParentBasedTraceIdRatio(share))
    tracers.add_span_processor(BatchSpanProcessor(_Nowhere(), max_queue_size=_CALLS * (len(STAGES) + 1)))
    return [Traces(tracers, MeterProvider([]))]


class _Nowhere(SpanExporter):
    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        encode_spans(spans).SerializeToString()
        return SpanExportResult.SUCCESS


async def paired_ms(graph: Path, options: tuple[str, ...], calls: int, rounds: int) -> list[tuple[float, float]]:
    """CPU time of a call on a server without observers and on one with them, in milliseconds, round by round."""
    data = request_message(Addressed(request=Request(), image=_PHOTO.read_bytes())).SerializeToString()
    pairs: list[tuple[float, float]] = []
    cores = Cores.split(0)
    with serving(graph, cores, ()) as plain, serving(graph, cores, options) as observed:
        async with grpc.aio.insecure_channel(plain[0]) as one, grpc.aio.insecure_channel(observed[0]) as other:
            sides = [(_Bytes(one), plain[1]), (_Bytes(other), observed[1])]
            for number in range(-1, rounds):
                times = [0.0, 0.0]
                for side in (0, 1) if number % 2 else (1, 0):
                    stub, process = sides[side]
                    asked = await by_server(data, stub, process, available_cores(), calls)
                    times[side] = asked.cpu / calls * 1e3
                pairs.append((times[0], times[1]))
    return pairs[1:]


@click.command(help=__doc__.partition("\n")[0])
@click.option("--calls", type=click.IntRange(1), default=64, show_default=True, help="Calls of each side of a round.")
@click.option("--rounds", type=click.IntRange(1), default=8, show_default=True)
@click.option("--serve", "options", multiple=True, default=("--metrics=127.0.0.1:0",), help="What observes.")
def main(calls: int, rounds: int, options: tuple[str, ...]) -> None:
    """Prints the figures."""
    with tempfile.TemporaryDirectory() as folder:
        graph = Path(folder) / "model.onnx"
        camgraph("export", str(EXAMPLE_MODEL), "-o", str(graph))
        with Explainer(graph) as explainer:
            explained = Explained(explainer, Addressed(request=Request()), explainer.explain(_PHOTO))
        kinds = {"metrics": measured(), "traces of 10 %": traced(0.1), "traces of all": traced(1.0)}
        alone = {name: observers_ms(observers, explained) for name, observers in kinds.items()}
        pairs = asyncio.run(paired_ms(graph, options, calls, rounds))
    call = statistics.median(plain for plain, _ in pairs)
    ratios = [observed / plain for plain, observed in pairs]
    click.echo(environment(available_cores()))
    for name, own in alone.items():
        click.echo(f"{name}: {own * 1e3:.0f} us of CPU time per call, {own / call:.2%} of {call:.1f} ms")
    spread = f"{min(ratios):.3f}-{max(ratios):.3f}"
    click.echo(f"{' '.join(options)}: CPU time of the server, ratio {statistics.median(ratios):.3f} ({spread})")


if __name__ == "__main__":
    main()
