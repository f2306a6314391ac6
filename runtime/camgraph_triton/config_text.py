"""What the text of each `config.pbtxt` is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version as version_of
from typing import Any

from google.protobuf import text_format

from camgraph_runtime.run.engine import TensorInfo
from camgraph_triton.options import TritonOptions
from camgraph_wire.open_inference.models import Description, Tensors, config_message, tensors_of

MARK = "# Written by camgraph"
"""Begins a configuration that camgraph may replace."""


def config_of(description: Description) -> Any:
    """The `ModelConfig` of a model, all of whose versions are served."""
    config = config_message(description).config
    config.version_policy.all.SetInParent()
    return config


def triton_tensors(infos: Sequence[TensorInfo]) -> Tensors:
    """Datatypes and shapes as Triton states them, which has no tensors without axes."""
    return tensors_of((info.name, info.dtype, info.shape or (1,)) for info in infos)


def use_photo_model(config: Any, options: TritonOptions) -> None:
    """Has Triton's Python backend run a model that takes an image."""
    use_python(config, options)
    config.instance_group.add(count=options.instances, kind="KIND_CPU")


def use_python(config: Any, options: TritonOptions) -> None:
    """Has Triton's Python backend run a model."""
    config.platform, config.backend = "", "python"
    if options.environment:
        add_parameters(config, {"EXECUTION_ENV_PATH": options.environment})
    add_parameters(config, options.limits.to_parameters())


def add_parameters(config: Any, texts: Mapping[str, str]) -> None:
    """Adds parameters by their names."""
    for name, text in texts.items():
        config.parameters[name].string_value = text


def text_of(config: Any) -> str:
    """The text of a configuration, with the mark that camgraph wrote it."""
    body = text_format.MessageToString(config, as_utf8=True)
    return f"{MARK} {version_of('camgraph')} (camgraph triton-repository).\n{body}"
