"""A small explainable graph, built by hand: Conv, Relu, global average pooling, one linear layer.

Its gradients are known in closed form, so that tests of reader, server and client need no exporter:
d y_c / d A^k = W[c, k] / (h * w) after the Relu, and that times the Relu's gate before it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from camgraph.v1 import manifest_pb2 as pb
from camgraph_runtime.manifest import FORMAT_VERSION, METADATA_KEY, manifest_to_json

CHANNELS = 4
STRIDE = 2

_HEAD_OPS = {
    pb.HEAD_KIND_SOFTMAX: "Softmax",
    pb.HEAD_KIND_LOG_SOFTMAX: "LogSoftmax",
    pb.HEAD_KIND_SIGMOID: "Sigmoid",
}


@dataclass
class TinyGraph:
    """What the graph is like; `model` and `serialize` build it.

    The convolution is 3 x 3 with stride 2 and padding 1, so that an input of 16 x 16 has maps of 8 x 8.
    Layers: "features" after the Relu (alias "last"), "conv" before it.
    """

    labels: Sequence[str] = ("cat", "dog", "bird", "fish", "horse")
    size: int | None = 16
    layout: pb.Layout = pb.LAYOUT_NCHW
    head: pb.HeadKind = pb.HEAD_KIND_NONE
    gradients: bool = True
    guided: bool = True
    explain_switch: bool = False
    batch: int | str = "N"
    seed: int = 7
    steps: Sequence[pb.GeometryStep] | None = None
    kernel: np.ndarray = field(init=False)
    linear: np.ndarray = field(init=False)
    bias: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        random = np.random.default_rng(self.seed)
        self.kernel = random.normal(0, 0.5, (CHANNELS, 3, 3, 3)).astype(np.float32)
        self.linear = random.normal(0, 2, (len(self.labels), CHANNELS)).astype(np.float32)
        self.bias = random.normal(0, 0.1, len(self.labels)).astype(np.float32)

    def serialize(self) -> bytes:
        """The graph's bytes."""
        data: bytes = self.model().SerializeToString()
        return data

    def model(self) -> onnx.ModelProto:
        """The graph, checked by onnx."""
        nodes = [*self._forward(), *self._resolve(), *self._backward()]
        graph = helper.make_graph(nodes, "tiny", self._inputs(), self._outputs(), self._initializers())
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        helper.set_model_props(model, {METADATA_KEY: manifest_to_json(self.manifest())})
        onnx.checker.check_model(model, full_check=True)
        return model

    def manifest(self) -> pb.Manifest:
        """The manifest that the file carries."""
        switch = "explain" if self.explain_switch else ""
        manifest = pb.Manifest(
            format_version=FORMAT_VERSION,
            class_labels=self.labels,
            task=pb.TASK_CLASSIFICATION,
            default_method="grad-cam",
            explain_switch=switch,
            source=pb.Source(file_name="tiny.onnx", sha256=hashlib.sha256(b"tiny").hexdigest(), opset_version=17),
            head=pb.Head(
                score_tensor="scores",
                kind=self.head,
                num_classes=len(self.labels),
                output_name=self._output_name,
            ),
            target=pb.TargetTensors(
                target_input="target", target_index_output="target_index", target_score_output="target_score"
            ),
            layers=[self._layer("features", "", "last"), self._layer("conv", "_1", "")],
            source_outputs=[pb.TensorSpec(name=self._output_name, dtype="float32", shape=["N", str(len(self.labels))])],
            certificate=pb.Certificate(passed=True),
            image_gradient_tensor="image_gradient" if self.guided else "",
        )
        manifest.input.CopyFrom(self._input_spec())
        return manifest

    @property
    def _output_name(self) -> str:
        return "probabilities" if self.head in _HEAD_OPS else "scores"

    @property
    def _input_shape(self) -> list[int | str]:
        height, width = (self.size, self.size) if self.size else ("H", "W")
        return [self.batch, 3, height, width] if self.layout == pb.LAYOUT_NCHW else [self.batch, height, width, 3]

    def _input_spec(self) -> pb.InputSpec:
        side = self.size or 16
        steps = [pb.GeometryStep(resize_to=pb.ResizeTo(height=side, width=side, filter=pb.FILTER_BILINEAR))]
        return pb.InputSpec(
            tensor=pb.TensorSpec(name="image", dtype="float32", shape=[str(axis) for axis in self._input_shape]),
            layout=self.layout,
            channel_order=pb.CHANNEL_ORDER_RGB,
            divisor=255,
            mean=[0.5],
            std=[0.25],
            steps=steps if self.steps is None else self.steps,
            stated=True,
        )

    def _layer(self, name: str, suffix: str, alias: str) -> pb.Layer:
        cells = (self.size or 0) // STRIDE
        return pb.Layer(
            name=name,
            alias=alias,
            channels=CHANNELS,
            height=cells,
            width=cells,
            stride_height=STRIDE,
            stride_width=STRIDE,
            activations_tensor=f"activations{suffix}",
            weights_tensor=f"weights{suffix}",
            gradients_tensor=f"gradients{suffix}" if self.gradients else "",
        )

    def _forward(self) -> list[onnx.NodeProto]:
        first = "image"
        nodes = []
        if self.layout == pb.LAYOUT_NHWC:
            nodes.append(helper.make_node("Transpose", ["image"], ["image_nchw"], perm=[0, 3, 1, 2]))
            first = "image_nchw"
        nodes += [
            helper.make_node(
                "Conv",
                [first, "kernel"],
                ["conv"],
                kernel_shape=[3, 3],
                strides=[STRIDE, STRIDE],
                pads=[1, 1, 1, 1],
            ),
            helper.make_node("Relu", ["conv"], ["features"]),
            helper.make_node("GlobalAveragePool", ["features"], ["pooled"]),
            helper.make_node("Flatten", ["pooled"], ["flat"]),
            helper.make_node("Gemm", ["flat", "linear", "bias"], ["scores"], transB=1),
            helper.make_node("Identity", ["features"], ["activations"]),
            helper.make_node("Identity", ["conv"], ["activations_1"]),
        ]
        if self.head in _HEAD_OPS:
            nodes.append(helper.make_node(_HEAD_OPS[self.head], ["scores"], ["probabilities"]))
        return nodes

    @staticmethod
    def _resolve() -> list[onnx.NodeProto]:
        """target -> target_index, target_score: a negative target picks from the classes sorted by score."""
        return [
            helper.make_node("TopK", ["scores", "num_classes"], ["sorted_scores", "sorted_classes"]),
            helper.make_node("Less", ["target", "zero"], ["is_rank"]),
            helper.make_node("Neg", ["target"], ["rank"]),
            helper.make_node("Sub", ["rank", "one"], ["place"]),
            helper.make_node("Where", ["is_rank", "place", "zero"], ["safe_place"]),
            helper.make_node("GatherElements", ["sorted_classes", "safe_place"], ["by_rank"], axis=1),
            helper.make_node("Where", ["is_rank", "by_rank", "target"], ["target_index"]),
            helper.make_node("GatherElements", ["scores", "target_index"], ["target_score"], axis=1),
        ]

    def _backward(self) -> list[onnx.NodeProto]:
        node = helper.make_node
        nodes = [
            node("Gather", ["linear", "target_index"], ["rows"], axis=0),  # [N, T, K]
            node("Shape", ["features"], ["cells_shape"], start=2),
            node("ReduceProd", ["cells_shape"], ["cells"], keepdims=0),
            node("Cast", ["cells"], ["cells_float"], to=TensorProto.FLOAT),
            node("Div", ["rows", "cells_float"], ["alpha"]),
            node("Unsqueeze", ["alpha", "hw_axes"], ["alpha_hw"]),
            node("Greater", ["conv", "zero_float"], ["gate"]),
            node("Cast", ["gate"], ["gate_float"], to=TensorProto.FLOAT),
            node("Unsqueeze", ["gate_float", "t_axis"], ["gate_t"]),  # [N, 1, K, h, w]
            node("Mul", ["alpha_hw", "gate_t"], ["full_conv"]),
            node("ReduceMean", ["full_conv"], ["alpha_conv"], axes=[3, 4], keepdims=0),
            *self._switched("alpha", "weights"),
            *self._switched("alpha_conv", "weights_1"),
        ]
        if self.gradients:
            nodes += [
                node("Identity", ["full_conv"], ["gradients_1"]),
                node("Shape", ["full_conv"], ["full_shape"]),
                node("Expand", ["alpha_hw", "full_shape"], ["gradients"]),
            ]
        return [*nodes, *(self._guided() if self.guided else [])]

    def _guided(self) -> list[onnx.NodeProto]:
        """The image's gradient, with the Relu's backward signal rectified too; for inputs of even size."""
        node = helper.make_node
        channels_last = self.layout == pb.LAYOUT_NHWC
        return [
            node("Relu", ["alpha_hw"], ["rectified"]),
            node("Mul", ["rectified", "gate_t"], ["guided"]),
            node("Shape", ["guided"], ["guided_map"], start=2),
            node("Concat", ["all_rows", "guided_map"], ["guided_rows_shape"], axis=0),
            node("Reshape", ["guided", "guided_rows_shape"], ["guided_rows"]),
            node(
                "ConvTranspose",
                ["guided_rows", "kernel"],
                ["image_rows"],
                kernel_shape=[3, 3],
                strides=[STRIDE, STRIDE],
                pads=[1, 1, 1, 1],
                output_padding=[1, 1],
            ),
            node("Shape", ["target"], ["target_shape"]),
            node("Shape", ["image_rows"], ["image_shape"], start=1),
            node("Concat", ["target_shape", "image_shape"], ["by_target"], axis=0),
            node("Reshape", ["image_rows", "by_target"], ["image_gradient_nchw"]),
            node(
                "Transpose",
                ["image_gradient_nchw"],
                ["image_gradient"],
                perm=[0, 1, 3, 4, 2] if channels_last else [0, 1, 2, 3, 4],
            ),
        ]

    def _switched(self, value: str, output: str) -> list[onnx.NodeProto]:
        if not self.explain_switch:
            return [helper.make_node("Identity", [value], [output])]
        return [helper.make_node("Where", ["explain", value, "zero_float"], [output])]

    def _initializers(self) -> list[TensorProto]:
        values = {
            "kernel": self.kernel,
            "linear": self.linear,
            "bias": self.bias,
            "num_classes": np.array([len(self.labels)], np.int64),
            "zero": np.array(0, np.int64),
            "one": np.array(1, np.int64),
            "zero_float": np.array(0, np.float32),
            "hw_axes": np.array([3, 4], np.int64),
            "t_axis": np.array([1], np.int64),
            "all_rows": np.array([-1], np.int64),
        }
        return [numpy_helper.from_array(value, name) for name, value in values.items()]

    def _inputs(self) -> list[onnx.ValueInfoProto]:
        values = [
            helper.make_tensor_value_info("image", TensorProto.FLOAT, self._input_shape),
            helper.make_tensor_value_info("target", TensorProto.INT64, [self.batch, "T"]),
        ]
        if self.explain_switch:
            values.append(helper.make_tensor_value_info("explain", TensorProto.BOOL, []))
        return values

    def _outputs(self) -> list[onnx.ValueInfoProto]:
        n, k = self.batch, CHANNELS
        shapes: dict[str, tuple[int, list[int | str]]] = {
            self._output_name: (TensorProto.FLOAT, [n, len(self.labels)]),
            "target_index": (TensorProto.INT64, [n, "T"]),
            "target_score": (TensorProto.FLOAT, [n, "T"]),
        }
        for suffix in ("", "_1"):
            shapes[f"activations{suffix}"] = (TensorProto.FLOAT, [n, k, "h", "w"])
            shapes[f"weights{suffix}"] = (TensorProto.FLOAT, [n, "T", k])
            if self.gradients:
                shapes[f"gradients{suffix}"] = (TensorProto.FLOAT, [n, "T", k, "h", "w"])
        if self.guided:
            shapes["image_gradient"] = (TensorProto.FLOAT, [n, "T", *self._input_shape[1:]])
        return [helper.make_tensor_value_info(name, dtype, shape) for name, (dtype, shape) in shapes.items()]
