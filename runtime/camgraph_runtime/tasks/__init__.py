"""What a run says about classes, pixels, boxes, directions or numbers: scores and probabilities for people to read."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from camgraph.v1 import manifest_pb2 as pb
from camgraph_runtime.tasks.classification import ClassReading
from camgraph_runtime.tasks.detection import BoxReading
from camgraph_runtime.tasks.embedding import DirectionReading
from camgraph_runtime.tasks.reading import Outputs, Reading
from camgraph_runtime.tasks.regression import ValueReading
from camgraph_runtime.tasks.segmentation import PixelReading
from camgraph_runtime.tasks.task import Column, task_of

__all__ = ["Outputs", "Reading", "read"]

_READERS: dict[pb.Task, Callable[[pb.Manifest, Sequence[Column], Outputs], Reading]] = {
    pb.TASK_CLASSIFICATION: ClassReading,
    pb.TASK_SEGMENTATION: PixelReading,
    pb.TASK_DETECTION: BoxReading,
    pb.TASK_EMBEDDING: DirectionReading,
    pb.TASK_REGRESSION: ValueReading,
}


def read(manifest: pb.Manifest, columns: Sequence[Column], outputs: Outputs) -> Reading:
    """Reads the outputs of a run for one image.

    Args:
        manifest: The graph's manifest.
        columns: What was asked, one entry a column; masks lie on the score map.
        outputs: The graph's outputs for this image, without the batch axis.

    Raises:
        InvalidGraphError: The outputs do not fit the manifest.

    """
    return _READERS[task_of(manifest)](manifest, columns, outputs)
