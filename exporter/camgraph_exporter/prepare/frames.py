"""Settles how many frames a clip, or slices a volume, has where the model leaves them open."""

from __future__ import annotations

from dataclasses import replace

import onnx_ir as ir

from camgraph_core.errors import UsageError
from camgraph_exporter.frontends.onnx_file import LoadedModel
from camgraph_exporter.frontends.options import DEFAULT_FRAMES
from camgraph_exporter.graph.dims import dims_of
from camgraph_exporter.image.layout import frame_axis


def settle_frames(loaded: LoadedModel, frames: int | None) -> LoadedModel:
    """Return a model of clips with a fixed number of frames, as maps of clips have one size; others as they are.

    Args:
        loaded: The model.
        frames: What the user states.

    Raises:
        UsageError: The model takes another number of frames, or no clips.

    """
    clips = [value for value in loaded.model.graph.inputs if value.shape is not None and len(value.shape) == 5]
    axis = frame_axis(clips[0]) if len(clips) == 1 else None
    if axis is None:
        if frames is not None:
            raise UsageError("--frames is for models of clips or volumes, whose input has five axes. Leave it out.")
        return loaded
    have = dims_of(clips[0])[axis]
    if isinstance(have, int):
        if frames not in (None, have):
            raise UsageError(f"The model takes {have} frames, but --frames says {frames}. Leave the option out.")
        return loaded
    model = loaded.model.clone()
    image = next(value for value in model.graph.inputs if value.name == clips[0].name)
    count = frames or DEFAULT_FRAMES
    sizes = list(image.shape or ())
    sizes[axis] = count
    image.shape = ir.Shape(sizes)
    note = f"The model leaves the number of frames open. It was taken as {count}; --frames states another."
    return replace(loaded, model=model, notes=loaded.notes if frames else (*loaded.notes, note))
