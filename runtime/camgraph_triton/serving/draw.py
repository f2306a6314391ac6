"""The last steps of an ensemble: an image and the graph's outputs in, explanations out."""

from __future__ import annotations

from camgraph_runtime.inference import Inference
from camgraph_triton.names import DRAW, OF_GRAPH
from camgraph_triton.serving.exchange import Answer, Asked
from camgraph_triton.serving.photo_model import PhotoModel, answer_of


class TritonPythonModel(PhotoModel):
    """What Triton's Python backend loads."""

    suffix = DRAW

    def _answer(self, asked: Asked) -> Answer:
        given = {name: array for name, array in asked.inputs.items() if not name.startswith(OF_GRAPH)}
        addressed, outputs = self.read(asked, given)
        plan, network_input = self.prepared(addressed)
        of_image = {name: asked.inputs[OF_GRAPH + name][0] for name in plan.outputs}
        result = self.explainer.finish(plan, network_input, Inference(of_image, inference_ms=0.0, batch_size=1))
        return answer_of(result, outputs)
