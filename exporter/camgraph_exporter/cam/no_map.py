"""Says why a model has no map to draw a heatmap on."""

from __future__ import annotations

from camgraph_exporter.cam.score import Score
from camgraph_exporter.prepare.prepare import Prepared
from camgraph_exporter.vjp.driver import Path

_SHOWN = 3
_OPTIMISER = "com.microsoft"


def why_no_map(prepared: Prepared, score: Score) -> str:
    """Return one or two sentences: which foreign operators hide the maps, or that there are none."""
    path = Path(prepared.graph, [prepared.image], [score.value])
    foreign = [node for node in path.nodes if node.domain]
    if not foreign:
        return (
            "The model has no spatial feature map between its image input and the score, so there is nothing to draw a "
            "heatmap on. Grad-CAM needs a convolutional or token map; check --score."
        )
    named = [f"{(node.name or node.outputs[0].name)!r} ({node.op_type} of {node.domain})" for node in foreign[:_SHOWN]]
    more = f" and {len(foreign) - _SHOWN} more" if len(foreign) > _SHOWN else ""
    advice = "Export the model with standard operators."
    if any(node.domain.startswith(_OPTIMISER) for node in foreign):
        advice = (
            "If onnxruntime's optimiser saved the file, take the one from before it, or save it at the level "
            "ORT_ENABLE_EXTENDED or lower."
        )
    return f"No feature map can be followed through nodes that are not standard: {', '.join(named)}{more}. {advice}"
