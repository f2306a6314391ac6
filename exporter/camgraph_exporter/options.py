"""The settings of export, inspect and verify: keywords in Python, options on the command line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from camgraph_core.settings import Setting, check_settings
from camgraph_exporter.assemble.build import BuildOptions
from camgraph_exporter.certificate.certify import ProgressCallback
from camgraph_exporter.choose.score import ScoreOptions
from camgraph_exporter.frontends.onnx_file import AUTO
from camgraph_exporter.frontends.options import SourceOptions
from camgraph_exporter.image.options import Input
from camgraph_exporter.labels import read_labels
from camgraph_runtime.run.engine import Device

ExactInt8 = Annotated[
    bool,
    Setting(
        "Compute 8-bit sums exactly, also where onnxruntime's default kernels saturate on this CPU.",
        option_help="Keep onnxruntime's default 8-bit kernels, also where they saturate on this CPU.",
        option="--fast-int8",
    ),
]

Progress = Annotated[
    ProgressCallback | None,
    Setting(
        "Called as the work goes on, with what is done now, how many of its parts are done, and how many there are.",
        of_python=True,
    ),
]


@dataclass(frozen=True, kw_only=True)
class ExportOptions(BuildOptions, ScoreOptions, SourceOptions):
    """What to export, and how."""

    layers: Annotated[
        Any,
        Setting(
            "One target layer or several: names of tensors, for a PyTorch module also names of its parts or the parts "
            'themselves. "auto" is the last map before pooling.',
            option_help="Target layer by the name of its tensor or PyTorch module. auto is the last map before "
            "pooling. May be repeated.",
            option="--layer",
            repeated=True,
        ),
    ] = (AUTO,)
    labels: Annotated[
        Sequence[str] | Path,
        Setting(
            "One text per class, or the path of a file that holds them.",
            option_help="File with one class label per line, or JSON.",
            metavar="FILE",
        ),
    ] = ()
    input: Input = field(default_factory=Input)
    uint8_input: Annotated[
        bool,
        Setting(
            "Have the graph take pixels 0 to 255 as uint8 and prepare them itself: a quarter of the bytes of float32.",
        ),
    ] = False
    seed: Annotated[int, Setting("Seed of the certificate's random inputs.", at_least=0)] = 0
    exact_int8: ExactInt8 = True
    progress: Progress = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_settings(self)
        if isinstance(self.layers, str) or not isinstance(self.layers, Sequence):
            object.__setattr__(self, "layers", (self.layers,))
        if isinstance(self.labels, str | Path):
            object.__setattr__(self, "labels", read_labels(Path(self.labels)))

    @property
    def class_labels(self) -> Sequence[str]:
        """One text per class, also where a file was given; empty for none."""
        assert not isinstance(self.labels, Path), "A path is read when the options are made."
        return self.labels


@dataclass(frozen=True, kw_only=True)
class InspectOptions(ScoreOptions, SourceOptions):
    """What to look at."""

    measure: Annotated[bool, Setting("Time every layer on this machine instead of estimating its cost.")] = False
    progress: Progress = None


@dataclass(frozen=True, kw_only=True)
class VerifyOptions:
    """How to repeat the checks.

    The seed is not that of an export, so that the checks meet other inputs.
    """

    device: Annotated[
        Device,
        Setting(
            "Where to run the float32 checks: cpu, auto (CUDA where it works), or a provider of onnxruntime as "
            "NAME[:KEY=VALUE,...].",
            metavar="DEVICE",
        ),
    ] = "cpu"
    seed: Annotated[int, Setting("Seed of the random inputs.", at_least=0)] = 1
    exact_int8: ExactInt8 = True
    progress: Progress = None

    def __post_init__(self) -> None:
        check_settings(self)
