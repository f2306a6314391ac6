"""Operators that give elements other places: moves, padding, scattering, resampling."""

from __future__ import annotations

from camgraph_exporter.graph.traits.trait import Trait, row

# Why no gradient passes.
_INDEX = "The result is an index or a choice."

ROWS = [
    row("Reshape", Trait.RESHAPES),
    row("Flatten", Trait.RESHAPES),
    row("Squeeze", Trait.RESHAPES),
    row("Unsqueeze", Trait.RESHAPES),
    row("Transpose", Trait.PERMUTES),
    row("Slice", Trait.CUTS),
    row("Split", Trait.CUTS),
    row("Concat", Trait.JOINS),
    row("Expand", Trait.REPEATS),
    row("Tile", Trait.REPEATS),
    row("Gather", Trait.PICKS),
    row("GatherElements", Trait.PICKS),
    row("GatherND", Trait.PICKS),
    row("Compress", Trait.PICKS | Trait.LOSES_PLACES),
    row("ReverseSequence", Trait.MOVES),
    row("DepthToSpace", Trait.MOVES | Trait.CHANNELS_SECOND),
    row("SpaceToDepth", Trait.MOVES | Trait.CHANNELS_SECOND),
    row("Pad", Trait.PADS | Trait.LINEAR | Trait.OR_ZERO | Trait.KEEPS_SCALE),
    row("CenterCropPad", Trait.PADS | Trait.LINEAR | Trait.OR_ZERO),
    row("Trilu", Trait.LINEAR | Trait.OR_ZERO),
    row("Scatter", Trait.SCATTERS | Trait.LOSES_PLACES),
    row("ScatterElements", Trait.SCATTERS | Trait.LOSES_PLACES),
    row("ScatterND", Trait.SCATTERS | Trait.LOSES_PLACES),
    row("TensorScatter", Trait.SCATTERS | Trait.LOSES_PLACES),
    row("Col2Im", Trait.LINEAR | Trait.LOSES_PLACES),
    row("Resize", Trait.RESAMPLES | Trait.LINEAR | Trait.KEEPS_SCALE),
    row("Upsample", Trait.RESAMPLES | Trait.LINEAR),
    row("GridSample", Trait.RESAMPLES | Trait.CHANNELS_SECOND | Trait.MIXES_PLACES),
    row("AffineGrid", Trait.COORDINATES | Trait.LOSES_PLACES),
    row("RoiAlign", Trait.COORDINATES | Trait.LOSES_PLACES),
    row("MaxRoiPool", Trait.LOSES_PLACES),
    row("NonMaxSuppression", Trait.INDEXES | Trait.LOSES_PLACES, sorts_by=1, stop=_INDEX),
    row("TopK", Trait.INDEXES, sorts_by=0),
    row("Unique", Trait.INDEXES | Trait.LOSES_PLACES, stop=_INDEX),
    row("NonZero", Trait.INDEXES | Trait.LOSES_PLACES, stop=_INDEX),
    row("OneHot"),
]
