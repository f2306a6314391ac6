"""Tells what was given for a module: a module, an exported program, or something that people take for one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from camgraph_exporter.errors import LayerError, ModuleError

_RECIPE = "Build the module, load the weights with module.load_state_dict(...), and give the module."


def module_of(source: object) -> torch.nn.Module:
    """Return the module that `source` is or holds.

    Raises:
        ModuleError: it is a state dict, a class, a path or something else.

    """
    if isinstance(source, torch.export.ExportedProgram):
        module = source.module()
        assert isinstance(module, torch.nn.Module)
        return module
    if isinstance(source, torch.nn.Module):
        return source
    raise ModuleError(_what_it_is(source))


def is_module(source: object) -> bool:
    """Tell whether something is or holds a module."""
    return isinstance(source, torch.nn.Module | torch.export.ExportedProgram)


def layer_name(module: torch.nn.Module, layer: object) -> str:
    """Return the name of a layer that is given by name, or as one of the module's parts.

    Raises:
        LayerError: it is not a part of the module.

    """
    if isinstance(layer, str):
        return layer
    for name, part in module.named_modules():
        if part is layer and name:
            return str(name)
    kind = type(layer).__name__
    raise LayerError(
        f"The layer that was given as a {kind} is not a part of the {type(module).__name__}. Give its name."
    )


def quantised_part(module: torch.nn.Module) -> str | None:
    """Name the first part that was quantised in PyTorch, by its class or that of its weights; None if there is none."""
    for part in module.modules():
        kind = type(part)
        if ".quantized" in kind.__module__:
            return f"{kind.__module__}.{kind.__qualname__}"
        for tensor in part.parameters(recurse=False):
            if type(tensor.data).__module__.startswith("torchao."):
                return f"{type(tensor.data).__module__}.{type(tensor.data).__qualname__}"
    nodes = module.graph.nodes if isinstance(module, torch.fx.GraphModule) else ()
    return next((str(node.target) for node in nodes if str(node.target).startswith("quantized_decomposed.")), None)


def example_of(source: object) -> Any:
    """Return the example inputs that a source brings itself, or None.

    An exported program has those that it was traced with, a LightningModule its `example_input_array`.
    """
    if isinstance(source, torch.export.ExportedProgram):
        positional, named = source.example_inputs or ((), {})
        return {**dict(enumerate(positional)), **named} or None
    return getattr(source, "example_input_array", None)


def _what_it_is(source: object) -> str:
    if isinstance(source, Mapping):
        if any(isinstance(value, torch.Tensor) for value in source.values()):
            return f"A state dict holds weights, but not the network that uses them. {_RECIPE}"
        nested = [name for name, value in source.items() if isinstance(value, Mapping)]
        weights = f"; its weights may be in {', '.join(map(repr, nested[:3]))}" if nested else ""
        return f"A checkpoint is a dict, not a module{weights}. {_RECIPE}"
    if isinstance(source, type):
        name = source.__name__
        if issubclass(source, torch.nn.Module):
            return f"{name} is a class, not a module. Give an instance, such as {name}()."
        return f"{name} is a class, not a module. Give a torch.nn.Module."
    return f"A {type(source).__name__} is not a module. Give a torch.nn.Module."
