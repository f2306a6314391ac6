"""Models of the Open Inference Protocol: each graph is two of them, and what is said of each."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from camgraph_core.models import ModelInfo
from camgraph_wire.open_inference import explanation_outputs, explanations
from camgraph_wire.open_inference.messages import POOL, message_class
from camgraph_wire.open_inference.tensors import datatype_of

TENSORS = ".tensors"
"""Ends the name of the model whose inputs and outputs are those of the graph, after the graph's own name."""

EXPLANATION_PLATFORM, TENSOR_PLATFORM = "camgraph_explanation", "onnxruntime_onnx"

_STATES = {"ready": "READY", "loading": "LOADING"}
_Metadata, _Index = message_class("ModelMetadataResponse"), message_class("RepositoryIndexResponse")
_Config = message_class("ModelConfigResponse")
_Statistics = message_class("ModelStatisticsResponse")
_DURATIONS = {
    "success": "request",
    "queue": "queue",
    "compute_input": "compute_input",
    "compute_infer": "compute_infer",
    "compute_output": "compute_output",
}
_TYPES = frozenset(POOL.FindEnumTypeByName("inference.DataType").values_by_name)

Tensors = Mapping[str, tuple[str, Sequence[int]]]
"""Datatype and shape of inputs or outputs by name, -1 where a length varies."""


def split_name(name: str) -> tuple[str, bool]:
    """The name of the graph, and whether the model is the graph's own inputs and outputs."""
    return name.removesuffix(TENSORS), name.endswith(TENSORS)


def names_of(graph: str) -> list[str]:
    """The names of the models of a graph. One that ends in `TENSORS` itself would be read as the model of tensors."""
    return [graph + TENSORS] if graph.endswith(TENSORS) else [graph, graph + TENSORS]


def tensors_of(infos: Iterable[tuple[str, str, Sequence[int | str | None]]]) -> Tensors:
    """The inputs or outputs of a graph, each given as name, NumPy's element type, and shape."""
    return {
        name: (datatype_of(dtype), [axis if isinstance(axis, int) else -1 for axis in shape])
        for name, dtype, shape in infos
    }


@dataclass(frozen=True)
class Description:
    """What is said of a model.

    Attributes:
        name: Its name, as it was asked for.
        version: Its version.
        platform: What runs it.
        inputs: Its inputs.
        outputs: Its outputs.
        optional: Names of inputs that may be left out.
    """

    name: str
    version: str
    platform: str
    inputs: Tensors
    outputs: Tensors
    optional: Collection[str] = ()


def explanation_description(name: str, version: str) -> Description:
    """What is said of the model of a graph that takes an image and gives explanations."""
    optional = explanations.INPUTS.keys() - {"image"}
    return Description(name, version, EXPLANATION_PLATFORM, explanations.INPUTS, explanation_outputs.OUTPUTS, optional)


def metadata_message(model: Description) -> Any:
    """The `ModelMetadataResponse` of a model."""
    message = _Metadata(name=model.name, versions=[model.version], platform=model.platform)
    for field, tensors in ((message.inputs, model.inputs), (message.outputs, model.outputs)):
        for name, (datatype, shape) in tensors.items():
            field.add(name=name, datatype=datatype, shape=shape)
    return message


def config_message(model: Description) -> Any:
    """The `ModelConfigResponse` of a model. Shapes have the batch axis, if there is one."""
    message = _Config()
    config = message.config
    config.name, config.platform, config.backend = model.name, model.platform, "camgraph"
    for name, (datatype, shape) in model.inputs.items():
        config.input.add(name=name, data_type=_type(datatype), dims=shape, optional=name in model.optional)
    for name, (datatype, shape) in model.outputs.items():
        config.output.add(name=name, data_type=_type(datatype), dims=shape)
    return message


def index_message(models: Iterable[ModelInfo], *, ready: bool) -> Any:
    """The `RepositoryIndexResponse` of models; with ``ready`` of those that are ready alone."""
    message = _Index()
    for model in models:
        if ready and model.state != "ready":
            continue
        for name in names_of(model.name):
            state = _STATES.get(model.state, "UNAVAILABLE")
            message.models.add(name=name, version=model.version, state=state, reason=model.reason)
    return message


def statistics_message(models: Iterable[tuple[str, str, Mapping[str, float], int]]) -> Any:
    """The `ModelStatisticsResponse` of models: name, version, sums of what was answered, number of what was not."""
    message = _Statistics()
    for name, version, sums, failed in models:
        runs = round(sums.get("exec_count", 0))
        answered = round(sums.get("request_success", 0))
        model = message.model_stats.add(
            name=name, version=version, inference_count=round(sums.get("count", 0)), execution_count=runs
        )
        model.inference_stats.fail.count = failed
        for field, key in _DURATIONS.items():
            duration = getattr(model.inference_stats, field)
            duration.count, duration.ns = answered, round(sums.get(f"{key}_duration_us", 0) * 1e3)
    return message


def _type(datatype: str) -> str:
    name = f"TYPE_{'STRING' if datatype == 'BYTES' else datatype}"
    return name if name in _TYPES else "TYPE_INVALID"
