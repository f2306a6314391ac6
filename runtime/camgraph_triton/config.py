"""`config.pbtxt`: how Triton is told of the two models of a graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version as version_of
from typing import Any

from google.protobuf import text_format

from camgraph_runtime import Manifest
from camgraph_runtime.run.engine import TensorInfo
from camgraph_triton.options import TritonOptions
from camgraph_triton.signature import Signature
from camgraph_wire.open_inference.models import (
    TENSOR_PLATFORM,
    TENSORS,
    Description,
    config_message,
    explanation_description,
    tensors_of,
)

MARK = "# Written by camgraph"
"""Begins a configuration that camgraph may replace."""

LABELS = "labels.txt"

_KINDS = {"auto": "KIND_AUTO", "cpu": "KIND_CPU", "gpu": "KIND_GPU"}
_DEVICES = {"auto": "auto", "cpu": "cpu", "gpu": "cuda"}


def explanation_config(name: str, options: TritonOptions) -> str:
    """The configuration of the model that takes an image and gives explanations.

    Args:
        name: Name of the graph.
        options: How Triton is to serve it.
    """
    config = _config(explanation_description(name, ""))
    _use_python(config, options)
    config.instance_group.add(count=options.instances, kind="KIND_CPU")
    _add_parameters(config, options.limits.to_parameters())
    if options.graph_backend == "python":
        _add_parameters(config, _of_engine(options))
    return _text(config)


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
    inputs, outputs = (_tensors(infos) for infos in (signature.inputs, signature.outputs))
    config = _config(Description(name + TENSORS, "", TENSOR_PLATFORM, inputs, outputs, optional))
    for output in config.output:
        if output.name == labelled_output(signature, manifest):
            output.label_filename = LABELS
    if runs_in_python:
        _use_python(config, options)
        _add_parameters(config, options.limits.to_parameters())
        _add_parameters(config, _of_engine(options))
    else:
        config.backend = "onnxruntime"
        if options.graph_threads:
            _add_parameters(config, {"intra_op_thread_count": str(options.graph_threads)})
    # The Python backend sets no device for its models: the parameter does.
    kind = "KIND_CPU" if runs_in_python else _KINDS[options.device]
    config.instance_group.add(count=options.graph_instances, kind=kind)
    if options.max_batch_size and takes_batches(signature):
        _batch(config, options)
    return _text(config)


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
    config = _config(Description("", "", "", _tensors(infos), {}))
    return [item.name for item in config.input if not item.data_type]


def _tensors(infos: Sequence[TensorInfo]) -> Mapping[str, tuple[str, Sequence[int]]]:
    """Datatypes and shapes as Triton states them, which has no tensors without axes."""
    return tensors_of((info.name, info.dtype, info.shape or (1,)) for info in infos)


def _config(description: Description) -> Any:
    config = config_message(description).config
    config.version_policy.all.SetInParent()
    return config


def _use_python(config: Any, options: TritonOptions) -> None:
    config.platform, config.backend = "", "python"
    if options.environment:
        _add_parameters(config, {"EXECUTION_ENV_PATH": options.environment})


def _add_parameters(config: Any, texts: Mapping[str, str]) -> None:
    for name, text in texts.items():
        config.parameters[name].string_value = text


def _of_engine(options: TritonOptions) -> dict[str, str]:
    """How a graph runs in the process of a model of the Python backend."""
    return {"threads": str(options.graph_threads), "device": _DEVICES[options.device]}


def _batch(config: Any, options: TritonOptions) -> None:
    """States shapes without the batch axis, as Triton wants them where it makes batches."""
    config.max_batch_size = options.max_batch_size
    config.dynamic_batching.max_queue_delay_microseconds = round(options.max_queue_delay * 1e6)
    for tensor in (*config.input, *config.output):
        del tensor.dims[0]


def _text(config: Any) -> str:
    body = text_format.MessageToString(config, as_utf8=True)
    return f"{MARK} {version_of('camgraph')} (camgraph triton-repository).\n{body}"
