"""A model is ready after one whole explanation: what would fail for every caller fails at loading."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.errors import InferenceError, InvalidGraphError
from camgraph_runtime import Batching, Explainer
from camgraph_server.config import ServerConfig
from camgraph_server.models.loading import load_explainer
from camgraph_server.models.readiness import check_explains
from support.serving import write_model
from support.tiny_graph import TinyGraph

SQUARE = pb.GeometryStep(resize_to=pb.ResizeTo(height=16, width=16))
EMPTY = pb.GeometryStep(resize_to=pb.ResizeTo(height=16))


@dataclass
class Odd(TinyGraph):
    """A good graph with a changed manifest."""

    change: Callable[[pb.Manifest], None] = field(default=lambda _: None)

    def manifest(self) -> pb.Manifest:
        manifest = super().manifest()
        self.change(manifest)
        return manifest


def setting(**values) -> Callable[[pb.Manifest], None]:
    def change(manifest: pb.Manifest) -> None:
        for path, value in values.items():
            *parents, name = path.split("__")
            message = manifest
            for parent in parents:
                message = getattr(message, parent)
            if isinstance(value, list):
                message.ClearField(name)
                getattr(message, name).extend(value)
            else:
                setattr(message, name, value)

    return change


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (setting(head__num_classes=2**31 - 1), "has 5 values per image, but the manifest says 2147483647 classes"),
        (setting(head__num_classes=6), "has 5 values per image, but the manifest says 6 classes"),
        (setting(input__mean=[float("nan")]), "mean that is not a number"),
        (setting(input__mean=[float("inf")]), "mean that is not a number"),
        (setting(input__std=[float("nan")]), "not positive"),
        (setting(input__std=[0.0]), "not positive"),
        (setting(input__divisor=float("inf")), "not positive"),
        (setting(input__steps=[SQUARE] * 1000), "1000 steps of geometry"),
        (setting(input__steps=[EMPTY]), "asks for 0 x 16 pixels"),
        (setting(target__target_input="image"), "manifest says|cannot explain"),
    ],
)
@pytest.mark.parametrize("size", [16, None], ids=["fixed", "open"])
def test_a_manifest_that_no_call_could_use(tmp_path, change, text, size):
    path = write_model(tmp_path, graph=Odd(size=size, change=change))
    with pytest.raises(InvalidGraphError, match=text):
        load_explainer(ServerConfig(tmp_path), path)


def test_steps_that_lead_to_a_size_that_the_graph_does_not_take(tmp_path):
    wrong = pb.GeometryStep(resize_to=pb.ResizeTo(height=17, width=16))
    path = write_model(tmp_path, graph=TinyGraph(steps=[wrong]))
    with pytest.raises(InvalidGraphError, match=r"model\.onnx cannot explain an image.*17"):
        load_explainer(ServerConfig(tmp_path), path)


@pytest.mark.parametrize(
    "graph",
    [
        TinyGraph(),
        TinyGraph(size=None),
        TinyGraph(size=None, steps=[]),
        TinyGraph(layout=pb.LAYOUT_NHWC),
        TinyGraph(batch=4),
        TinyGraph(explain_switch=True),
        TinyGraph(head=pb.HEAD_KIND_SOFTMAX, gradients=False),
        Odd(change=setting(input__layout=pb.LAYOUT_UNSPECIFIED, input__steps=[])),
        Odd(size=None, change=setting(input__channel_order=pb.CHANNEL_ORDER_UNSPECIFIED)),
        Odd(change=setting(input__channel_order=pb.CHANNEL_ORDER_STORED)),
    ],
)
def test_good_graphs_of_all_kinds(tmp_path, graph):
    load_explainer(ServerConfig(tmp_path), write_model(tmp_path, graph=graph)).close()


class Counting(Explainer):
    """Keeps the shapes that the graph was run with, and refuses the smallest."""

    def __init__(self, *args, **options) -> None:
        super().__init__(*args, **options)
        self.shapes = []
        run = self.engine.run

        def counted(feeds, *others):
            self.shapes.append(feeds["image"].shape)
            if feeds["image"].shape[2] < 200:
                raise InferenceError("The pooling has no cells.")
            return run(feeds, *others)

        self.engine.run = counted


def test_what_breaks_on_the_way_is_the_graphs_fault(monkeypatch):
    explainer = Explainer(TinyGraph().serialize())
    monkeypatch.setattr(explainer, "finish", lambda *_: [].pop())
    with pytest.raises(InvalidGraphError, match=r"does not give what its manifest says \(IndexError"):
        check_explains(explainer)
    explainer.close()


def test_an_open_size_is_tried_small_first_in_whole_cells_for_each_size_of_batch(tmp_path):
    graph = TinyGraph(size=None, steps=[])
    explainer = Counting(graph.serialize(), batching=Batching(2))
    for layer in explainer.manifest.layers:
        layer.stride_height = 30
    check_explains(explainer)
    assert explainer.shapes == [(1, 3, 150, 128), (1, 3, 270, 256), (2, 3, 270, 256)]
    explainer.close()
