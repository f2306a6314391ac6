"""What a rule cannot derive it refuses, with the node and the reason; nothing is left out silently."""

from __future__ import annotations

import string
from typing import Any

import numpy as np
import pytest

from camgraph_exporter.errors import GradientError
from exporter import vjp_harness as harness
from exporter.op_cases.case import Input, OpCase, fed, positive

_IMAGE = Input(("N", 3, 4, 5))
_QUERY = Input(("N", 2, 5, 4))


def _w(*shape: int) -> np.ndarray:
    return np.ones(shape)


def _refused(message: str, op_type: str, *inputs: Any, name: str = "", **options: Any) -> Any:
    case_options = {key: options.pop(key) for key in ("opset", "outputs", "used") if key in options}
    case = OpCase(f"{op_type}{name}", op_type, list(inputs), options, **case_options)
    return pytest.param(case, message, id=str(case))


REFUSED = [
    _refused("axes of ReduceSum node 'node' depends", "ReduceSum", _IMAGE, fed(np.array([1, 2]))),
    _refused("axes of ReduceMax node 'node' depends", "ReduceMax", _IMAGE, fed(np.array([1])), opset=18),
    _refused("axis of CumSum node 'node' depends", "CumSum", _IMAGE, fed(np.array(1))),
    _refused("Input 1 of Clip node 'node'", "Clip", _IMAGE, Input(())),
    _refused("Input 2 of Clip node 'node'", "Clip", _IMAGE, None, Input(()), name="-max"),
    _refused("Input 1 of BatchNormalization", "BatchNormalization", _IMAGE, Input((3,)), _w(3), _w(3), _w(3)),
    _refused(
        "training mode",
        "BatchNormalization",
        _IMAGE,
        *[_w(3)] * 4,
        name="-training",
        training_mode=1,
        outputs=3,
    ),
    _refused("Input 1 of InstanceNormalization", "InstanceNormalization", _IMAGE, Input((3,)), _w(3)),
    _refused("Input 2 of GroupNormalization", "GroupNormalization", _IMAGE, _w(3), Input((3,)), num_groups=1, opset=21),
    _refused("output 2 of LayerNormalization", "LayerNormalization", _IMAGE, _w(5), outputs=3, used=(0, 2)),
    _refused("output 1 of LayerNormalization", "LayerNormalization", _IMAGE, _w(5), name="-mean", outputs=2, used=(1,)),
    _refused(
        "a cache of keys and values",
        "Attention",
        *[Input((2, 2, 5, 4))] * 3,
        None,
        *[_w(2, 2, 3, 4)] * 2,
        name="-past",
        opset=23,
        outputs=3,
    ),
    _refused("covers 3 of 5 keys", "Attention", *[_QUERY] * 3, _w(5, 3), name="-short-mask", opset=23),
    _refused("output 1 of Attention", "Attention", *[_QUERY] * 3, name="-present", opset=23, outputs=2, used=(0, 1)),
    _refused(
        "Input 1 of RotaryEmbedding", "RotaryEmbedding", Input((2, 2, 5, 4)), Input((2, 5, 2)), _w(2, 5, 2), opset=23
    ),
    _refused(
        "more letters than there are",
        "Einsum",
        Input((1,) * 52, positive),
        equation=string.ascii_letters + "->" + string.ascii_letters,
    ),
    _refused("Input 1 of Conv node 'node'", "Conv", _IMAGE, Input((2, 3, 1, 1))),
    _refused("Input 2 of ConvTranspose node 'node'", "ConvTranspose", _IMAGE, _w(3, 2, 1, 1), Input((2,))),
    _refused(
        "computes its block shape",
        "Col2Im",
        Input(("N", 12, 6)),
        np.array([3, 4]),
        fed(np.array([2, 2])),
        opset=18,
    ),
    _refused(
        "overlapping windows",
        "MaxUnpool",
        Input((1, 1, 2, 2)),
        np.arange(4).reshape(1, 1, 2, 2),
        kernel_shape=[2, 2],
    ),
    _refused(
        "overlapping windows",
        "MaxUnpool",
        Input((1, 1, 2, 2)),
        np.arange(4).reshape(1, 1, 2, 2),
        kernel_shape=[2, 2],
        strides=[2, 1],
        name="-on-one-axis",
    ),
    _refused("training mode", "Dropout", _IMAGE, np.array(0.5), np.array(True)),
    _refused("training mode", "Dropout", _IMAGE, np.array(0.5), fed(np.array(False)), name="-computed-mode"),
    _refused("computes its axes", "Slice", _IMAGE, np.array([1]), np.array([2]), fed(np.array([1]))),
    _refused(
        "computes its steps", "Slice", _IMAGE, *(np.array([i]) for i in (1, 2, 1)), fed(np.array([1])), name="-steps"
    ),
    _refused("computes its axes", "Pad", _IMAGE, np.array([1, 1]), None, fed(np.array([2])), opset=18),
    _refused("Input 2 of Pad node 'node'", "Pad", _IMAGE, np.ones(8, dtype=np.int64), Input(()), name="-value"),
    _refused(
        "pads axis 2 by more elements than the 4 that mode 'wrap' copies from it once",
        "Pad",
        _IMAGE,
        np.array([0, 0, 9, 0, 0, 0, 0, 0]),
        name="-reach",
        mode="wrap",
        opset=19,
    ),
    _refused(
        "pads axis 2 by more elements than the 3 that mode 'reflect' copies from it once",
        "Pad",
        _IMAGE,
        np.array([0, 0, 4, 0, 0, 0, 0, 0]),
        name="-reflected-once-more",
        mode="reflect",
    ),
    _refused("depends on the image", "Compress", _IMAGE, fed(np.array([True, False, True])), axis=1),
    _refused(
        "reduction 'max'",
        "ScatterElements",
        Input((2, 3)),
        np.zeros((1, 3), dtype=np.int64),
        Input((1, 3)),
        reduction="max",
        opset=18,
    ),
    _refused(
        "by rounding axis 2 up",
        "Resize",
        _IMAGE,
        None,
        None,
        np.array([9, 7]),
        axes=[2, 3],
        mode="linear",
        keep_aspect_ratio_policy="not_larger",
        opset=18,
    ),
    _refused(
        "linear sampling only, not for 'bicubic'",
        "GridSample",
        Input((1, 2, 4, 5)),
        Input((1, 3, 2, 2)),
        mode="bicubic",
        opset=16,
    ),
]


@pytest.mark.parametrize(("case", "message"), REFUSED)
def test_refusal_names_the_node_and_the_reason(case: OpCase, message: str) -> None:
    with pytest.raises(GradientError, match=message):
        harness.gradient_model(case, np.float64)
