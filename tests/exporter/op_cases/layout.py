"""Rows for operators that rearrange or repeat elements."""

from typing import Any

import numpy as np

from exporter.op_cases.case import Fed, Input, OpCase, fed


def _i(*numbers: int) -> np.ndarray:
    return np.array(numbers, dtype=np.int64)


def _row(name: str, op_type: str, shape: tuple[int | str, ...], *more: Any, **attributes: Any) -> OpCase:
    options = {key: attributes.pop(key) for key in ("dynamic", "opset") if key in attributes}
    return OpCase(f"{op_type}-{name}", op_type, [Input(shape), *more], attributes, **options)


# A map of 4 x 5 and its grown form as a sequence of tokens: the target of a Reshape that the graph computes.
_tokens = Fed(lambda batch, growth: _i(batch, 3, (4 + growth) * (5 + growth)))


CASES = [
    _row("any", "Identity", ("N", 3, 4)),
    _row("inference", "Dropout", ("N", 3, 4)),
    _row("flatten", "Reshape", ("N", 3, 4, 2), _i(0, -1)),
    _row("split-axis", "Reshape", ("N", 6, 4), _i(0, 2, 3, 4)),
    _row("join-and-split", "Reshape", ("N", 4, 6), _i(0, 3, 8)),
    _row("into-batch", "Reshape", ("N", 4, 6), _i(-1, 6)),
    _row("default", "Flatten", ("N", 3, 4, 2)),
    _row("axis-2", "Flatten", ("N", 3, 4, 2), axis=2),
    _row("axis-0", "Flatten", ("N", 3, 4, 2), axis=0),
    _row("axes", "Squeeze", ("N", 3, 1, 1), _i(2, -1)),
    _row("all", "Squeeze", (3, 1, 2, 1)),
    _row("axes", "Unsqueeze", ("N", 3), _i(2, -1)),
    _row("reverse", "Transpose", ("N", 3, 4)),
    _row("to-channels-last", "Transpose", ("N", 3, 4, 2), perm=[0, 2, 3, 1]),
    _row("cycle", "Transpose", ("N", 3, 4, 2), perm=[2, 0, 3, 1]),
    _row("allowzero", "Reshape", ("N", 3, 4), _i(-1, 12), allowzero=1),
    _row("minus-one-in-the-middle", "Reshape", ("N", 6, 4, 5), _i(0, 2, -1, 5)),
    _row("zeros-and-split", "Reshape", ("N", 6, 4, 5), _i(0, 0, 2, 2, -1)),
    _row("windows", "Reshape", ("N", 4, 6, 3), _i(0, 2, 2, 2, 3, 3)),
    _row("batch-second", "Reshape", (4, "N", 6), _i(4, -1, 2, 3)),
    _row("opset-22", "Reshape", ("N", 6, 4), _i(0, 2, 3, 4), opset=22),
    OpCase("Reshape-computed-target", "Reshape", [Input(("N", 3, 4)), Fed(lambda n, _: _i(n, 12))]),
    OpCase("Reshape-computed-target-dynamic", "Reshape", [Input(("N", 3, 4, 5)), _tokens], dynamic=True),
    OpCase("Reshape-constant-target-dynamic", "Reshape", [Input(("N", 3, 4, 5)), _i(0, 3, -1)], dynamic=True),
    OpCase("Flatten-dynamic-size", "Flatten", [Input(("N", 3, 4, 5))], dynamic=True),
    _row("negative-axis", "Flatten", ("N", 3, 4, 2), axis=-1),
    _row("computed-axes", "Squeeze", ("N", 1, 4, 1), fed(_i(1))),
    _row("dynamic-size", "Squeeze", ("N", 1, 4, 5), _i(1), dynamic=True),
    _row("dynamic-size", "Unsqueeze", ("N", 3, 4, 5), _i(1, 4), dynamic=True),
    _row("dynamic-size", "Transpose", ("N", 3, 4, 5), perm=[0, 2, 3, 1], dynamic=True),
    _row("batch-moved", "Transpose", (3, "N", 5), perm=[1, 2, 0]),
    _row("channels", "Expand", ("N", 1, 4), _i(1, 3, 1)),
    _row("new-axes", "Expand", (3, 1), _i(2, 4, 3, 5)),
    _row("nothing", "Expand", ("N", 3, 4), _i(1)),
    _row("computed", "Expand", ("N", 3, 1, 1), Fed(lambda n, grown: _i(n, 3, 4 + grown, 5))),
    _row("space", "Tile", ("N", 3, 2, 4), _i(1, 1, 3, 2)),
    _row("channels", "Tile", ("N", 3, 2), _i(1, 4, 1)),
    _row("single-element", "Tile", ("N", 1, 2), _i(1, 4, 1)),
    _row("batch", "Tile", ("N", 3, 2), _i(2, 1, 1)),
    _row("nothing", "Tile", ("N", 3, 2), _i(1, 1, 1)),
    _row("computed", "Tile", ("N", 3, 2, 4), fed(_i(1, 2, 3, 1))),
    _row("computed-dynamic-size", "Tile", ("N", 3, 2, 4), fed(_i(1, 1, 3, 2)), dynamic=True),
    _row("dcr", "DepthToSpace", ("N", 12, 2, 3), blocksize=2),
    _row("crd", "DepthToSpace", ("N", 12, 2, 3), blocksize=2, mode="CRD"),
    _row("crd-3", "DepthToSpace", ("N", 18, 2, 3), blocksize=3, mode="CRD"),
    _row("dcr-dynamic-size", "DepthToSpace", ("N", 8, 2, 3), blocksize=2, dynamic=True),
    _row("crd-dynamic-size", "DepthToSpace", ("N", 8, 2, 3), blocksize=2, mode="CRD", dynamic=True),
    _row("2", "SpaceToDepth", ("N", 3, 4, 6), blocksize=2),
    _row("dynamic-size", "SpaceToDepth", ("N", 3, 4, 6), blocksize=2, dynamic=True),
    _row("batch-first", "ReverseSequence", (3, 5, 2), _i(5, 2, 1), batch_axis=0, time_axis=1),
    _row("time-first", "ReverseSequence", (5, 3, 2), _i(5, 2, 4), batch_axis=1, time_axis=0),
    _row("computed-lengths", "ReverseSequence", (5, 3, 2, 2), fed(_i(5, 2, 4))),
    _row("evaluation", "Dropout", ("N", 3, 4), np.array(0.5), np.array(False)),
    OpCase("Dropout-with-mask", "Dropout", [Input(("N", 3, 4))], outputs=2),
]
