"""Which operators add windows up again: the faster forms where they apply, a ConvTranspose elsewhere."""

from __future__ import annotations

import numpy as np
import pytest

from exporter import vjp_harness as harness
from exporter.op_cases import ALL_CASES

_ROWS = {case.id: case for case in ALL_CASES}


@pytest.mark.parametrize(
    ("row", "operators"),
    [
        ("Conv-3x3-same", {"Conv"}),
        ("Conv-depthwise-strided", {"Resize", "Mul", "Conv"}),
        ("Conv-depthwise-strided-dilated", {"Resize", "Mul", "Conv"}),
        ("Conv-phases", {"Conv", "Concat"}),
        ("Conv-phases-stride-4", {"Conv", "Concat"}),
        ("Conv-phases-grouped", {"Conv", "Concat"}),
        ("Conv-strided-1x1-many-weights", {"Conv", "Resize", "Mul"}),
        ("Conv-phases-with-a-rest", {"ConvTranspose"}),
        ("Conv-tiles", {"ConvTranspose"}),
        ("Conv-strided-odd-many-maps", {"ConvTranspose"}),
        ("Conv-strided-odd-many-maps-without-pads", {"ConvTranspose"}),
        ("Conv-strided-1x1-many-weights-odd", {"ConvTranspose"}),
        ("AveragePool-tiles", {"Resize", "Div"}),
        ("Conv-strided-even", {"ConvTranspose"}),
        ("Conv-grouped-strided", {"ConvTranspose"}),
        ("Conv-depthwise-strided-opset-12", {"ConvTranspose"}),
        ("Conv-dynamic-size-strided", {"ConvTranspose"}),
        ("AveragePool-tiles-with-a-rest", {"Resize", "Mul", "Conv", "Div"}),
    ],
)
def test_form(row: str, operators: set[str]) -> None:
    nodes = harness.gradient_model(_ROWS[row], np.float32).model.graph.node
    folding = {"Conv", "ConvTranspose", "Resize", "Concat", "Mul", "Div"}
    found = {node.op_type for node in nodes if "_grad/" in node.name} & folding
    # Shapes are joined by Concat, too, where they are dynamic.
    assert found - {"Concat"} == operators - {"Concat"}
    assert operators <= found
