"""Finds the tensor of an exported graph that a PyTorch module computes.

The module's output is recorded by a forward hook and compared with every tensor of its shape in the graph, on the same
input. Names alone would not do: exporters rename, fuse and reorder. They only decide between tensors that agree within
rounding, such as the input and the output of a block whose residual branch is next to zero.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx_ir as ir
import torch

from camgraph_exporter.errors import LayerError
from camgraph_exporter.graph.measures import relative_l2
from camgraph_exporter.running.engine import engine_with_outputs

# Relative L2 distances: of equal tensors in two runtimes, and of tensors that are surely different.
_EQUAL = 1e-4
_DIFFERENT = 1e-2
# The same in steps of the element type, where that is coarser: two runtimes round half precision at other places.
_EQUAL_STEPS = 4
_DIFFERENT_STEPS = 40
_SCOPES = "pkg.torch.onnx.name_scopes"


@dataclass
class Recorded:
    """What named modules returned in one forward pass; `unchanged` are those that returned what they were given."""

    image: np.ndarray
    outputs: dict[str, list[np.ndarray]]
    unchanged: set[str] = field(default_factory=set)


def run_recorded(module: torch.nn.Module, x: torch.Tensor, names: Iterable[str]) -> Recorded:
    """Run the module on `x` and record what the named ones among its parts return.

    Raises:
        LayerError: a named part does not run or returns no tensor.

    """
    parts = {name: part for name, part in module.named_modules() if name}
    recorded = Recorded(x.cpu().numpy(), {name: [] for name in names if name in parts})
    if recorded.outputs and isinstance(module, torch.jit.ScriptModule | torch.fx.GraphModule):
        raise LayerError(
            f"Module {next(iter(recorded.outputs))!r} is part of a program, whose parts do not run by themselves. "
            "Name a tensor of the exported model instead; `camgraph inspect` lists them."
        )
    handles = [parts[name].register_forward_hook(_Hook(name, recorded)) for name in recorded.outputs]
    try:
        module(x)
    finally:
        for handle in handles:
            handle.remove()
    for name, outputs in recorded.outputs.items():
        if not outputs:
            raise LayerError(f"Module {name!r} does not run in a forward pass. Name one that does.")
    return recorded


@dataclass(frozen=True)
class _Hook:
    name: str
    recorded: Recorded

    def __call__(self, _part: torch.nn.Module, inputs: Any, output: Any) -> None:
        tensor = _map_of(output)
        if tensor is None:
            raise LayerError(
                f"Module {self.name!r} returns {type(output).__name__}, not a tensor. Name one of its parts instead."
            )
        before = inputs[0] if inputs else None
        if isinstance(before, torch.Tensor) and torch.equal(before, tensor):
            self.recorded.unchanged.add(self.name)
        # A copy: the next operation may work in place.
        self.recorded.outputs[self.name].append(tensor.detach().cpu().numpy().copy())


def _map_of(output: Any) -> torch.Tensor | None:
    """Return the tensor that a part returns; of several, the first that can hold a map, or else the first."""
    if isinstance(output, torch.Tensor):
        return output
    if not isinstance(output, tuple | list):
        return None
    tensors = [value for value in output if isinstance(value, torch.Tensor)]
    return next((tensor for tensor in tensors if tensor.ndim >= 3), next(iter(tensors), None))


def find_layers(spellings: Sequence[Callable[[], ir.Model]], recorded: Recorded) -> tuple[ir.Model, dict[str, str]]:
    """Return the first of several spellings of a model that has a tensor for every recorded module, and their names.

    Raises:
        LayerError: none has; or a module runs several times, and which of its runs is meant is not said.

    """
    problem: LayerError | None = None
    for spelling in spellings:
        model = spelling()
        try:
            return model, _find_all(model, recorded)
        except LayerError as error:
            problem = problem or error
    assert problem is not None
    raise problem


def _find_all(model: ir.Model, recorded: Recorded) -> dict[str, str]:
    if not recorded.outputs:
        return {}
    values = [value for node in model.graph for value in node.outputs if value.name]
    engine = engine_with_outputs(model, values)
    found = engine.run({str(model.graph.inputs[0].name): recorded.image})
    return {name: _find(name, recorded, values, found) for name in recorded.outputs}


def _find(name: str, recorded: Recorded, values: Sequence[ir.Value], found: dict[str, np.ndarray]) -> str:
    unchanged = name in recorded.unchanged
    tensors = [_match(name, output, values, found, unchanged=unchanged) for output in recorded.outputs[name]]
    if len(tensors) > 1:
        raise LayerError(
            f"Module {name!r} runs {len(tensors)} times in a forward pass. "
            f"Name the tensor that is meant: {', '.join(tensors)}."
        )
    return tensors[0]


def _match(
    name: str, output: np.ndarray, values: Sequence[ir.Value], found: dict[str, np.ndarray], *, unchanged: bool
) -> str:
    errors = {value: _distance(found[str(value.name)], output) for value in values}
    step = float(np.finfo(output.dtype).eps) if np.issubdtype(output.dtype, np.floating) else 0.0
    errors = {value: error for value, error in errors.items() if error <= max(_DIFFERENT, _DIFFERENT_STEPS * step)}
    equal = {value: error for value, error in errors.items() if error <= max(_EQUAL, _EQUAL_STEPS * step)}
    inside = {value: error for value, error in equal.items() if _is_inside(value, name)}
    if inside:
        best = min(inside.values())
        return str([value for value, error in inside.items() if error == best][-1].name)
    if unchanged:
        raise LayerError(
            f"Module {name!r} passes its input on unchanged, and the exported model has no tensor of its own for it. "
            "Name the module that computes that input instead."
        )
    if len(errors) == 1 and equal:
        return str(next(iter(equal)).name)
    if equal:
        raise LayerError(
            f"The output of module {name!r} cannot be told from other tensors of the exported model: "
            f"{', '.join(str(value.name) for value in list(errors)[:5])}. Name one of these tensors instead."
        )
    raise LayerError(
        f"No tensor of the exported model equals the output of module {name!r}: it was merged with its neighbours. "
        "Name a neighbouring module."
    )


def _distance(a: np.ndarray, b: np.ndarray) -> float:
    is_real = isinstance(a, np.ndarray) and np.issubdtype(a.dtype, np.floating)
    return relative_l2(a, b) if is_real else float("inf")


def _is_inside(value: ir.Value, name: str) -> bool:
    """Tell whether the node of a value was exported from inside the named module."""
    node = value.producer()
    if node is None:
        return False
    scopes = re.findall(r"'([^']*)'", node.metadata_props.get(_SCOPES, ""))
    # The recording exporter writes the path of modules into names: /layer4/layer4.2/Add_output_0.
    return name in scopes or name in str(value.name).split("/")
