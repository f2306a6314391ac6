"""Rows for changes of the element type; test_mixed_precision has graphs in which the types differ."""

import numpy as np
from onnx import TensorProto

from exporter.op_cases.case import Input, OpCase

CASES = [
    OpCase("Cast-to-real", "Cast", [Input(("N", 3, 4))], {"to": TensorProto.FLOAT}),
    OpCase("Cast-to-real-13", "Cast", [Input(("N", 3, 4))], {"to": TensorProto.FLOAT}, opset=13),
    OpCase("CastLike-real", "CastLike", [Input(("N", 3, 4)), np.array(1.0)]),
    OpCase("CastLike-real-19", "CastLike", [Input(("N", 3, 4)), np.array(1.0)], opset=19),
]
