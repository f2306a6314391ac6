"""A photo brought to the network's size by the steps of a manifest."""

from __future__ import annotations

from collections.abc import Iterable

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.frame import Frame
from camgraph_core.types import AnyArray
from camgraph_runtime.preprocess.geometry import plan_geometry


def apply_steps(photo: AnyArray, steps: Iterable[pb.GeometryStep], *, max_pixels: int) -> tuple[AnyArray, Frame]:
    """The picture that the network sees of a photo [H, W, C], uint8 or float32, and the photo's place in it."""
    geometry = plan_geometry((photo.shape[0], photo.shape[1]), steps, max_pixels=max_pixels)
    return geometry.apply(photo), geometry.frame
