"""How Triton is to serve the graphs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from camgraph_core.errors import UsageError
from camgraph_core.settings import Setting, check_settings
from camgraph_triton.parameters import RequestLimits

Runner = Literal["onnxruntime", "python"]
Device = Literal["auto", "cpu", "gpu"]


@dataclass(frozen=True, kw_only=True)
class TritonOptions:
    """How Triton is to serve the graphs."""

    graph_backend: Annotated[
        Runner,
        Setting(
            "Which of Triton's backends runs the graphs. Take python where Triton has no onnxruntime backend; it runs "
            "them by the onnxruntime of its Python."
        ),
    ] = "onnxruntime"
    device: Annotated[
        Device, Setting("What runs the graphs. auto takes the GPUs that there are, and else the CPU.")
    ] = "auto"
    graph_instances: Annotated[
        int, Setting("Instances of each graph. Each loads the file for itself.", at_least=1, at_most=1000)
    ] = 1
    graph_threads: Annotated[
        int, Setting("Threads of one run of a graph. 0 means one per core.", at_least=0, at_most=1000)
    ] = 0
    instances: Annotated[
        int,
        Setting(
            "Instances of each model that reads and draws images. Each is a process, and works on one image at a time. "
            "With --graph-backend python each loads the graph.",
            at_least=1,
            at_most=1000,
        ),
    ] = 2
    max_batch_size: Annotated[
        int,
        Setting(
            "Largest batch that Triton makes of several requests for a graph's tensors. 0 means that it makes none.",
            at_least=0,
            at_most=4096,
        ),
    ] = 0
    max_queue_delay: Annotated[
        float, Setting("Seconds that a request waits for others of its batch.", at_least=0, at_most=60.0)
    ] = 0.001
    ensemble: Annotated[
        bool,
        Setting(
            "Also write NAME.ensemble, an ensemble of Triton: NAME.prepare reads the image, NAME.tensors runs the "
            "graph, NAME.draw makes the explanations."
        ),
    ] = False
    environment: Annotated[
        str,
        Setting(
            "Python environment of the Python backend: a folder with bin/activate, or a packed one (.tar.gz), on "
            "Triton's machine. By default it takes Triton's own Python.",
            metavar="PATH",
        ),
    ] = ""
    limits: RequestLimits = field(default_factory=RequestLimits)

    def __post_init__(self) -> None:
        check_settings(self, self._check_batches)

    def _check_batches(self) -> None:
        if self.max_batch_size and self.graph_backend == "python":
            raise UsageError("--max-batch-size needs --graph-backend onnxruntime: the Python backend runs no batches.")
