"""camgraph and what else there is, each as one program: a decoded photo in, a heatmap of its size per class out.

What a program needs is imported when it is built, so that a process that measures one does not load the others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_SIDE = 224
_MEAN, _STD = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])
_LOGITS = 1000

Heatmaps = list[NDArray[np.float32]]
Program = Callable[[], Heatmaps]


@dataclass(frozen=True)
class Subject:
    """What is explained.

    Attributes:
        network: Name of the network, of torchvision or timm, with random weights.
        source: The network as ONNX.
        graph: The explainable graph made of it.
        module: Name of the layer's module.
        tensor: Name of the layer's tensor in ``source``.
        photo: uint8 [H, W, 3].
        classes: The classes to explain.
        threads: Threads of the process.
    """

    network: str
    source: Path
    graph: Path
    module: str
    tensor: str
    photo: NDArray[np.uint8]
    classes: tuple[int, ...]
    threads: int


@dataclass(frozen=True)
class Peer:
    """A program to compare with.

    Attributes:
        packages: What has to be installed for it.
        modules: What it imports.
        build: Makes the program for a subject.
    """

    packages: tuple[str, ...]
    modules: tuple[str, ...]
    build: Callable[[Subject], Program]


def _camgraph(subject: Subject) -> Program:
    from camgraph_runtime import Explainer, Target, Threads  # noqa: PLC0415 - see above

    explainer = Explainer(subject.graph, threads=Threads(subject.threads))
    targets = [Target.index(number) for number in subject.classes]
    return lambda: [item.heatmap for item in explainer.explain(subject.photo, targets=targets).explanations]


def _grad_cam(subject: Subject) -> Program:
    module = _torch_module(subject)  # first, as it declares what torchvision wants at its import
    from pytorch_grad_cam import GradCAM  # type: ignore[import-untyped]  # noqa: PLC0415 - see above
    from pytorch_grad_cam.utils.model_targets import (  # type: ignore[import-untyped]  # noqa: PLC0415 - see above
        ClassifierOutputTarget,
    )

    method = GradCAM(model=module, target_layers=[module.get_submodule(subject.module)])

    def run() -> Heatmaps:
        image = _torch_input(subject)
        return [_on_photo(method(image, [ClassifierOutputTarget(item)])[0], subject) for item in subject.classes]

    return run


def _torch_cam(subject: Subject) -> Program:
    from torchcam.methods import GradCAM  # type: ignore[import-untyped]  # noqa: PLC0415 - see above

    module = _torch_module(subject)
    extractor = GradCAM(module, target_layer=subject.module)

    def run() -> Heatmaps:
        image, maps = _torch_input(subject), []
        for number in subject.classes:
            scores = module(image)
            maps.append(_on_photo(extractor(number, scores)[0][0].numpy(), subject))
        return maps

    return run


def _captum(subject: Subject) -> Program:
    from captum.attr import LayerGradCam  # type: ignore[import-untyped]  # noqa: PLC0415 - see above

    module = _torch_module(subject)
    attribution = LayerGradCam(module, module.get_submodule(subject.module))

    def run() -> Heatmaps:
        image = _torch_input(subject)
        found = [attribution.attribute(image, number, relu_attributions=True) for number in subject.classes]
        return [_on_photo(item[0, 0].detach().numpy(), subject) for item in found]

    return run


def _onnx_ad(subject: Subject) -> Program:
    """The layer's tensor gets zeros added, and the gradient of these is asked for: all classes in one run."""
    import onnx_ad  # type: ignore[import-not-found]  # noqa: PLC0415 - see above
    from onnx import helper  # noqa: PLC0415 - as above

    model, shapes = _static_model(subject)
    shape = shapes[subject.tensor]
    for node in model.graph.node:
        for place, name in enumerate(node.input):
            if name == subject.tensor:
                node.input[place] = "shifted"
    producer = next(i for i, node in enumerate(model.graph.node) if subject.tensor in node.output)
    model.graph.node.insert(producer + 1, helper.make_node("Add", [subject.tensor, "shift"], ["shifted"]))
    model.graph.input.append(helper.make_tensor_value_info("shift", 1, shape))
    logits = model.graph.output[0].name
    model = onnx_ad.reverse(model, inputs=["shift"], outputs=[logits], layout="onnx")
    model.graph.output.append(helper.make_tensor_value_info(subject.tensor, 1, shape))
    session = _session(model, subject)
    seeds = np.zeros((1, _LOGITS, len(subject.classes)), np.float32)
    seeds[0, list(subject.classes), np.arange(len(subject.classes))] = 1
    feeds = {"shift": np.zeros(shape, np.float32), f"adj_{logits}": seeds}

    def run() -> Heatmaps:
        activations, gradients = session.run([subject.tensor, "adj_shift"], {"input": _input(subject.photo), **feeds})
        return [_on_photo(_cam(activations[0], item), subject) for item in np.moveaxis(gradients[0], -1, 0)]

    return run


def _onnxsim(subject: Subject) -> Program:
    """The gradient's nodes after the layer, by ``graph_grad``; one run per class, as shapes are fixed."""
    from onnx import helper, inliner, numpy_helper  # noqa: PLC0415 - see above
    from onnxsim import graph_grad, qat_graph  # type: ignore[import-not-found]  # noqa: PLC0415 - as above

    model, shapes = _static_model(subject)
    for node in model.graph.node:
        if node.op_type == "Flatten":  # for which it has no rule, but it has one for this
            node.CopyFrom(helper.make_node("Reshape", [node.input[0], "flat"], node.output))
    model.graph.initializer.append(numpy_helper.from_array(np.array([1, -1]), "flat"))
    logits, reached, nodes = model.graph.output[0].name, {subject.tensor}, []
    for node in model.graph.node:
        if reached.intersection(node.input):
            reached.update(node.output)
            nodes.append(node)
    builder = qat_graph.GraphBuilder(prefix="backward_")
    gradient = graph_grad.build_backward(builder, nodes, shapes, {logits: "seed"}, [subject.tensor])[subject.tensor]
    model.graph.node.extend(builder.nodes)
    model.graph.initializer.extend(builder.initializer)
    model.functions.extend(builder.functions)
    known = {item.domain for item in model.opset_import}
    domains = sorted({function.domain for function in builder.functions} - known)
    model.opset_import.extend(helper.make_opsetid(domain, 1) for domain in domains)
    model.graph.input.append(helper.make_tensor_value_info("seed", 1, [1, _LOGITS]))
    for name in (subject.tensor, gradient):
        model.graph.output.append(helper.make_tensor_value_info(name, 1, shapes[subject.tensor]))
    session = _session(inliner.inline_local_functions(model), subject)

    def run() -> Heatmaps:
        image, maps = _input(subject.photo), []
        for number in subject.classes:
            seed = np.zeros((1, _LOGITS), np.float32)
            seed[0, number] = 1
            activations, found = session.run([subject.tensor, gradient], {"input": image, "seed": seed})
            maps.append(_on_photo(_cam(activations[0], found[0]), subject))
        return maps

    return run


_TORCH = ("torch", "torchvision")
PEERS = {
    "camgraph": Peer(("camgraph", "onnxruntime"), ("camgraph_runtime", "onnxruntime", "PIL.Image"), _camgraph),
    "grad-cam": Peer(("grad-cam", *_TORCH), ("pytorch_grad_cam",), _grad_cam),
    "torch-cam": Peer(("torchcam", *_TORCH), ("torchcam.methods",), _torch_cam),
    "captum": Peer(("captum", *_TORCH), ("captum.attr",), _captum),
    "onnx-ad": Peer(("onnx-ad", "onnxruntime", "pillow"), ("onnx_ad", "onnxruntime"), _onnx_ad),
    "onnxsim": Peer(
        ("onnxsim", "onnx", "onnxruntime", "pillow"), ("onnxsim.graph_grad", "onnx.inliner", "onnxruntime"), _onnxsim
    ),
}


def _torch_module(subject: Subject) -> Any:
    import torch  # noqa: PLC0415 - see above
    from architectures import random_network  # noqa: PLC0415 - as above

    torch.set_num_threads(subject.threads)
    return random_network(subject.network)


def _torch_input(subject: Subject) -> Any:
    import torch  # noqa: PLC0415 - see above

    return torch.from_numpy(_input(subject.photo))


def _static_model(subject: Subject) -> tuple[Any, dict[str, list[int]]]:
    """The network for one image, and the shape of each of its values."""
    import onnx  # noqa: PLC0415 - see above

    model = onnx.load(subject.source)
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 1
    model = onnx.shape_inference.infer_shapes(model, data_prop=True)
    values = (*model.graph.input, *model.graph.output, *model.graph.value_info)
    shapes = {item.name: [dim.dim_value for dim in item.type.tensor_type.shape.dim] for item in values}
    return model, shapes | {item.name: list(item.dims) for item in model.graph.initializer}


def _session(model: Any, subject: Subject) -> Any:
    import onnxruntime  # noqa: PLC0415 - see above

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = subject.threads
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def _input(photo: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The input that torchvision's own transforms make: shorter side 256, the middle 224, mean and std."""
    image = Image.fromarray(photo)
    factor = 256 / min(image.size)
    width, height = (round(side * factor) for side in image.size)
    left, top = (width - _SIDE) // 2, (height - _SIDE) // 2
    crop = image.resize((width, height), Image.Resampling.BILINEAR).crop((left, top, left + _SIDE, top + _SIDE))
    pixels = (np.asarray(crop, np.float32) / np.float32(255) - _MEAN) / _STD
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)[None])


def _cam(activations: NDArray[np.float32], gradients: NDArray[np.float32]) -> NDArray[np.float32]:
    """Grad-CAM of one image, [h, w], from two arrays [K, h, w]."""
    cells = np.maximum(np.tensordot(gradients.mean(axis=(1, 2)), activations, 1), 0)
    return np.asarray(cells / max(cells.max(), 1e-7), np.float32)


def _on_photo(cells: Any, subject: Subject) -> NDArray[np.float32]:
    """A map as large as the photo; where the crop lies on it is not minded."""
    image = Image.fromarray(np.asarray(cells, np.float32))
    return np.asarray(image.resize(subject.photo.shape[1::-1], Image.Resampling.BILINEAR))


def reason(error: Exception) -> str:
    """The first line of what went wrong, to stand in a table."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 160 else text[:159] + "…"
