"""What un-expanded cotangents and the gathered seed save: the same backward part, written with and without them.

Three forms of one explainable graph are counted: nodes, elements that they write and multiply-accumulates, all of the
backward part and a run. Nodes that depend on weights alone are left out; runtimes compute them when they load a file.

as exported    cotangents keep size 1 where they are constant; a linear layer gathers its row of the target class
one-hot        the same, but the one-hot seed is multiplied by the weights of the linear layer
expanded       the same as one-hot, and every cotangent gets all elements of its value at once

    python benchmarks/unexpanded.py --batch 8 --targets 5
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import click
import numpy as np
import onnx_ir as ir
from paired import EXAMPLE_MODEL, named_layers

from camgraph_exporter.assemble.build import Built, build
from camgraph_exporter.choose.layers import choose_layer
from camgraph_exporter.choose.score import find_score
from camgraph_exporter.frontends.onnx_file import load_onnx
from camgraph_exporter.prepare.prepare import prepare
from camgraph_exporter.running.engine import engine_with_outputs
from camgraph_exporter.vjp import driver
from camgraph_exporter.vjp.rules import linear

_FORMS = ("as exported", "one-hot", "expanded")


@dataclass(frozen=True)
class Work:
    """What the backward part does in one run."""

    nodes: int
    elements: int
    macs: int


@click.command(help=__doc__.partition("\n")[0])
@click.option("--model", type=click.Path(exists=True, path_type=Path), default=EXAMPLE_MODEL, help="Trained model.")
@click.option("--layer", "layers", multiple=True, help="Layer to explain; default: the last, a middle, an early one.")
@click.option("--batch", type=click.IntRange(1), default=8, show_default=True)
@click.option("--targets", type=click.IntRange(1), default=5, show_default=True)
def main(model: Path, layers: tuple[str, ...], batch: int, targets: int) -> None:
    """Prints one line of a Markdown table for each layer and form."""
    click.echo(f"{model.stem}, batch {batch}, {targets} targets\n")
    click.echo("| layer | form | nodes | million elements | million MACs |\n|---|---|---:|---:|---:|")
    for layer in named_layers(model, layers):
        for form in _FORMS:
            with _written_as(form):
                built = _build(model, layer.name)
            work = _count(built, batch, targets)
            click.echo(
                f"| {layer.label} `{layer.name}` | {form} | {work.nodes} | {work.elements / 1e6:.2f} "
                f"| {work.macs / 1e6:.2f} |"
            )


def _build(model: Path, name: str) -> Built:
    prepared = prepare(load_onnx(model).model)
    score = find_score(prepared)
    return build(prepared, score, [choose_layer(prepared, score, name)])


@contextmanager
def _written_as(form: str) -> Iterator[None]:
    with ExitStack() as changes:
        if form != "as exported":
            changes.enter_context(mock.patch.object(linear, "_rows", return_value=None))
        if form == "expanded":
            changes.enter_context(mock.patch.object(driver, "_apply", _expanding(driver._apply)))
        yield


def _expanding(apply: Any) -> Any:
    def expanded(op: Any, *arguments: Any) -> list[tuple[ir.Value, ir.Value]]:
        return [(x, op.full(g, x)) for x, g in apply(op, *arguments)]

    return expanded


def _count(built: Built, batch: int, targets: int) -> Work:
    """Run the graph with every value of the backward part as an output, and add up."""
    nodes = _backward_nodes(built)
    values = [value for node in nodes for value in (*node.outputs, *node.inputs) if value is not None]
    produced = [value for value in dict.fromkeys(values) if value.producer() is not None]
    engine = engine_with_outputs(built.prepared.model, produced)
    image = built.prepared.image
    sizes = [dim if isinstance(dim, int) else 224 for dim in engine.inputs[str(image.name)].shape[1:]]
    arrays = engine.run(
        {
            str(image.name): np.zeros([batch, *sizes], dtype=np.float32),
            built.target.target_input: np.tile(-1 - np.arange(targets, dtype=np.int64), (batch, 1)),
        }
    )
    shapes = {name: array.shape for name, array in arrays.items()}
    elements = sum(math.prod(shapes[str(value.name)]) for node in nodes for value in node.outputs)
    return Work(len(nodes), elements, sum(_macs(node, shapes) for node in nodes))


def _backward_nodes(built: Built) -> list[ir.Node]:
    """Return the added nodes that depend on an input and compute real numbers."""
    dependent = set(built.prepared.graph.inputs)
    added, found = set(built.op.nodes), []
    for node in built.prepared.graph:
        if dependent.intersection(node.inputs):
            dependent.update(node.outputs)
            if node in added and node.outputs[0].dtype == ir.DataType.FLOAT:
                found.append(node)
    return found


def _macs(node: ir.Node, shapes: dict[str, tuple[int, ...]]) -> int:
    if node.op_type not in {"Conv", "ConvTranspose", "MatMul"}:
        return 0
    x, w = (_shape(value, shapes) for value in node.inputs[:2])
    y = shapes[str(node.outputs[0].name)]
    if node.op_type == "MatMul":
        return math.prod(y) * x[-1]
    windows, filters = (y, w[1:]) if node.op_type == "Conv" else (x, w[1:])
    return math.prod(windows) * math.prod(filters)


def _shape(value: ir.Value | None, shapes: dict[str, tuple[int, ...]]) -> tuple[int, ...]:
    assert value is not None
    if value.name in shapes:
        return shapes[str(value.name)]
    assert value.shape is not None
    return tuple(int(dim) for dim in value.shape if isinstance(dim, int))


if __name__ == "__main__":
    main()
