"""`config.pbtxt`: how Triton is told of the two models of a graph."""

from __future__ import annotations

from typing import Any

from camgraph_runtime import Manifest
from camgraph_triton.config_text import (
    add_parameters,
    config_of,
    text_of,
    triton_tensors,
    use_photo_model,
    use_python,
)
from camgraph_triton.options import TritonOptions
from camgraph_triton.signature import Signature
from camgraph_wire.open_inference.models import (
    TENSOR_PLATFORM,
    TENSORS,
    Description,
    explanation_description,
)

LABELS = "labels.txt"

_KINDS = {"auto": "KIND_AUTO", "cpu": "KIND_CPU", "gpu": "KIND_GPU"}
_DEVICES = {"auto": "auto", "cpu": "cpu", "gpu": "cuda"}


def explanation_config(name: str, options: TritonOptions) -> str:
    """The configuration of the model that takes an image and gives explanations.

    Args:
        name: Name of the graph.
        options: How Triton is to serve it.
    """
    config = config_of(explanation_description(name, ""))
    use_photo_model(config, options)
    if options.graph_backend == "python":
        add_parameters(config, _of_engine(options))
    return text_of(config)


def tensor_config(name: str, signature: Signature, manifest: Manifest, options: TritonOptions) -> str:
    """The configuration of the model whose inputs and outputs are those of the graph.

    Args:
        name: Name of the graph.
        signature: What it takes and gives.
        manifest: What it says of itself.
        options: How Triton is to serve it.
    """
    runs_in_python = options.graph_backend == "python"
    optional = {manifest.explain_switch} if runs_in_python else set()
    inputs, outputs = (triton_tensors(infos) for infos in (signature.inputs, signature.outputs))
    config = config_of(Description(name + TENSORS, "", TENSOR_PLATFORM, inputs, outputs, optional))
    for output in config.output:
        if output.name == labelled_output(signature, manifest):
            output.label_filename = LABELS
    if runs_in_python:
        use_python(config, options)
        add_parameters(config, _of_engine(options))
    else:
        config.backend = "onnxruntime"
        if options.graph_threads:
            add_parameters(config, {"intra_op_thread_count": str(options.graph_threads)})
    # The Python backend sets no device for its models: the parameter does.
    kind = "KIND_CPU" if runs_in_python else _KINDS[options.device]
    config.instance_group.add(count=options.graph_instances, kind=kind)
    if options.max_batch_size and takes_batches(signature):
        _batch(config, options)
    return text_of(config)


def takes_batches(signature: Signature) -> bool:
    """Whether all inputs and outputs have one and the same axis of images first, of any length."""
    first = {info.shape[0] if info.shape else None for info in (*signature.inputs, *signature.outputs)}
    return len(first) == 1 and isinstance(first.pop(), str)


def labelled_output(signature: Signature, manifest: Manifest) -> str:
    """Name of the output whose last axis is that of the labelled classes; empty without one."""
    name, count = manifest.head.output_name, len(manifest.class_labels)
    shapes = {info.name: info.shape for info in signature.outputs}
    return name if count and len(shapes.get(name, ())) == 2 and shapes[name][-1] == count else ""


def unknown_datatypes(signature: Signature) -> list[str]:
    """Names of inputs and outputs whose element type Triton does not have."""
    infos = (*signature.inputs, *signature.outputs)
    config = config_of(Description("", "", "", triton_tensors(infos), {}))
    return [item.name for item in config.input if not item.data_type]


def _of_engine(options: TritonOptions) -> dict[str, str]:
    """How a graph runs in the process of a model of the Python backend."""
    return {"threads": str(options.graph_threads), "device": _DEVICES[options.device]}


def _batch(config: Any, options: TritonOptions) -> None:
    """States shapes without the batch axis, as Triton wants them where it makes batches."""
    config.max_batch_size = options.max_batch_size
    config.dynamic_batching.max_queue_delay_microseconds = round(options.max_queue_delay * 1e6)
    for tensor in (*config.input, *config.output):
        del tensor.dims[0]
