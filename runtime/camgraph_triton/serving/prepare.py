"""The first step of an ensemble: an image in, the graph's inputs out."""

from __future__ import annotations

from camgraph_triton.names import PREPARE
from camgraph_triton.serving.exchange import Answer, Asked, with_axes
from camgraph_triton.serving.photo_model import PhotoModel


class TritonPythonModel(PhotoModel):
    """What Triton's Python backend loads."""

    suffix = PREPARE

    def _answer(self, asked: Asked) -> Answer:
        addressed, _ = self.read(asked, asked.inputs)
        plan, network_input = self.prepared(addressed)
        feeds = self.explainer.feeds(network_input, plan)
        return Answer({name: with_axes(array) for name, array in feeds.items()}, {})
