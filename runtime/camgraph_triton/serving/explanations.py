"""The model `NAME`: an image in, explanations out.

Where Triton has an onnxruntime backend, `NAME.tensors` runs the graph. Else it runs in the process of this model.
"""

from __future__ import annotations

from camgraph_triton.serving.exchange import Answer, Asked
from camgraph_triton.serving.photo_model import PhotoModel, answer_of


class TritonPythonModel(PhotoModel):
    """What Triton's Python backend loads."""

    def _answer(self, asked: Asked) -> Answer:
        addressed, outputs = self.read(asked, asked.inputs)
        return answer_of(self.explained(addressed), outputs)
