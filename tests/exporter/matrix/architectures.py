"""The model matrix: one row an architecture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from exporter.matrix.bands import BandGroups, BandResidual, BandSegmenter
from exporter.matrix.clips import (
    DividedAttention,
    Factorised,
    FactorisedByReshapes,
    FramesLast,
    Inception3d,
    MeanOfFrames,
    Residual3d,
    ShiftedFrames,
    SlowFast,
    Tubelets,
    TwoStreams,
    Volume,
)
from exporter.matrix.convolutional import (
    Dense,
    FullyConvolutional,
    Inception,
    InvertedResidual,
    Lenet,
    Residual,
    Shuffle,
)
from exporter.matrix.dense_prediction import PyramidDetector, UNet
from exporter.matrix.detectors import Anchors, Decoupled, Multiplied, product_odds
from exporter.matrix.rearranged import Hiera, PixelsInPatches
from exporter.matrix.transformers import ChannelsLast, ConvNext, Swin, VisionTransformer

# Constants are rounded to float32 as they are written: the 1/6 of a hard sigmoid, the scale of a batch normalisation.
_ROUNDED_CONSTANTS = 1e-6


@dataclass(frozen=True)
class Architecture:
    """One row.

    `shape`: of an image [C, H, W], or of a clip in the order that the network takes. `auto`: the module whose
    output is the layer that `auto` must choose; empty for the last candidate. `prefix`: tokens in front of the map
    there. `tolerance`: relative L2 distance from autograd, both in float64. `scores`: the task. `reads_class_token`:
    the score depends on no other token after the last attention. `scores_of`: the scores, of what the module gives.
    """

    id: str
    build: Callable[[], nn.Module]
    shape: tuple[int, ...]
    auto: str
    prefix: int = 0
    scores: str = "classification"
    dynamic_size: bool = False
    reads_class_token: bool = False
    tolerance: float = 1e-8
    scores_of: Callable[[Any], torch.Tensor] = lambda y: y


ARCHITECTURES = [
    Architecture("lenet", Lenet, (1, 28, 28), auto="features.4"),
    Architecture("residual", Residual, (3, 64, 48), auto="blocks.2", tolerance=_ROUNDED_CONSTANTS),
    Architecture("dense", Dense, (3, 32, 32), auto="", tolerance=_ROUNDED_CONSTANTS),
    Architecture("inception", Inception, (3, 48, 40), auto="blocks.1", tolerance=_ROUNDED_CONSTANTS),
    Architecture(
        "se-hard-swish",
        lambda: InvertedResidual(nn.Hardswish, excite=True),
        (3, 32, 32),
        auto="last",
        tolerance=_ROUNDED_CONSTANTS,
    ),
    Architecture(
        "inverted-residual",
        lambda: InvertedResidual(nn.ReLU6, excite=False),
        (3, 32, 32),
        auto="last",
        tolerance=_ROUNDED_CONSTANTS,
    ),
    Architecture("shuffle", Shuffle, (3, 48, 32), auto="last", tolerance=_ROUNDED_CONSTANTS),
    Architecture("convnext", ConvNext, (3, 32, 32), auto="blocks.2"),
    Architecture("channels-last", ChannelsLast, (3, 24, 16), auto=""),
    *(
        Architecture(
            name,
            lambda options=options: VisionTransformer("class", **options),
            (3, 32, 24),
            auto="blocks.1",
            prefix=1 + options.get("registers", 0),
            dynamic_size="any_size" in options,
            reads_class_token=True,
        )
        for name, options in {
            "vit-class-token": {},
            "vit-fused-attention": {"fused": True},
            "vit-registers": {"registers": 3},
            "vit-any-size": {"any_size": True},
        }.items()
    ),
    Architecture("vit-mean", lambda: VisionTransformer("mean", registers=2), (3, 32, 24), auto="norm", prefix=2),
    Architecture("swin", lambda: Swin(rows=False), (3, 32, 32), auto="norm"),
    Architecture("swin-rows", lambda: Swin(rows=True), (3, 32, 32), auto="norm"),
    Architecture("hiera", Hiera, (3, 32, 48), auto="last"),
    Architecture(
        "patches-as-a-batch",
        PixelsInPatches,
        (3, 24, 32),
        auto="blocks.1",
        prefix=1,
        reads_class_token=True,
        tolerance=_ROUNDED_CONSTANTS,
    ),
    Architecture("u-net", UNet, (3, 32, 24), auto="bottleneck", scores="segmentation", tolerance=_ROUNDED_CONSTANTS),
    Architecture(
        "pyramid-detector",
        PyramidDetector,
        (3, 32, 32),
        auto="lateral.1",
        scores="detection",
        tolerance=_ROUNDED_CONSTANTS,
    ),
    *(
        Architecture(
            name,
            module,
            (3, 64, 32),
            auto="backbone.coarse",
            scores="detection",
            tolerance=_ROUNDED_CONSTANTS,
            scores_of=product_odds,
        )
        for name, module in {
            "detector-anchors": Anchors,
            "detector-masks": lambda: Anchors("masks"),
            "detector-decoupled": Decoupled,
        }.items()
    ),
    Architecture(
        "detector-multiplied",
        Multiplied,
        (3, 64, 32),
        auto="backbone.coarse",
        scores="detection",
        tolerance=_ROUNDED_CONSTANTS,
        scores_of=lambda both: torch.logit(both[1]),
    ),
    *(
        Architecture(
            f"{bands}-bands-{name}",
            lambda module=module, bands=bands: module(bands),
            (bands, 24, 32),
            auto=auto,
            scores=scores,
            tolerance=_ROUNDED_CONSTANTS,
        )
        for bands in (4, 6, 13, 20)
        for name, module, auto, scores in (
            ("residual", BandResidual, "blocks.1", "classification"),
            ("groups", BandGroups, "last", "classification"),
            ("segmenter", BandSegmenter, "wide", "segmentation"),
        )
        if bands > 4 or name != "groups"
    ),
    Architecture("fully-convolutional", FullyConvolutional, (3, 32, 40), auto="", dynamic_size=True),
    Architecture("clip-residual", Residual3d, (3, 8, 32, 24), auto="blocks.1", tolerance=_ROUNDED_CONSTANTS),
    Architecture("clip-factorised", Factorised, (3, 8, 24, 32), auto="blocks.1", tolerance=_ROUNDED_CONSTANTS),
    Architecture("clip-factorised-by-reshapes", FactorisedByReshapes, (3, 6, 16, 24), auto=""),
    Architecture("clip-inception", Inception3d, (3, 9, 32, 28), auto="", tolerance=_ROUNDED_CONSTANTS),
    Architecture("clip-slow-fast", SlowFast, (3, 16, 24, 16), auto="", tolerance=_ROUNDED_CONSTANTS),
    Architecture("clip-mean-of-frames", MeanOfFrames, (5, 3, 32, 24), auto="", tolerance=_ROUNDED_CONSTANTS),
    Architecture("clip-shifted-frames", ShiftedFrames, (6, 3, 24, 24), auto=""),
    Architecture("clip-frames-last", FramesLast, (6, 24, 16, 3), auto=""),
    Architecture("clip-tubelets", Tubelets, (3, 8, 16, 24), auto="norm", tolerance=_ROUNDED_CONSTANTS),
    Architecture("clip-divided-attention", DividedAttention, (3, 4, 16, 24), auto="", tolerance=_ROUNDED_CONSTANTS),
    Architecture("clip-two-streams", TwoStreams, (5, 6, 24, 16), auto="colour", tolerance=_ROUNDED_CONSTANTS),
    Architecture("volume", Volume, (1, 9, 20, 24), auto="", tolerance=_ROUNDED_CONSTANTS),
]


def build(architecture: Architecture) -> nn.Module:
    """Build the module with random weights and statistics, so that no branch is zero and no normalisation idle."""
    torch.manual_seed(sum(map(ord, architecture.id)))
    module = architecture.build().eval()
    with torch.no_grad():
        for parameter in module.parameters():
            fan_in = max(parameter[0].numel(), 1) if parameter.ndim > 1 else 1
            spread = fan_in**-0.5 if parameter.ndim > 1 else 0.2
            shift = 1.0 if parameter.ndim == 1 and float(parameter.mean()) > 0.5 else 0.0
            parameter.copy_(shift + spread * torch.randn_like(parameter))
        for part in module.modules():
            if isinstance(part, nn.BatchNorm2d | nn.BatchNorm3d):
                part.running_mean.normal_(0.0, 0.2)
                part.running_var.uniform_(0.5, 1.5)
    return module
