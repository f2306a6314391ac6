"""How many candidate boxes an image has where its size decides: any of them may be a target."""

from __future__ import annotations

from camgraph.v1 import manifest_pb2 as pb
from camgraph_exporter.targets.draw import Arrays


def candidates_in(manifest: pb.Manifest, found: Arrays) -> int:
    """Return the number of candidates by what a graph gave for some images; 1 where nothing of it tells."""
    head, boxes = manifest.head, manifest.boxes
    for name in filter(None, (boxes.output, boxes.scores_output)):
        return int(found[name].shape[1])
    output = found[head.output_name]
    if head.output_is_ranked or output.ndim != 3:
        return 1
    if head.HasField("class_slice"):
        return int(output.shape[3 - head.class_slice.axis])
    return int(output[0].size // head.num_classes) or 1
