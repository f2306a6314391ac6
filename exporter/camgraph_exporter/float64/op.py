"""The base class of the operators that the float64 evaluator brings itself."""

from typing import Any

import onnx
from onnx.reference.op_run import OpRun


class Float64Op(OpRun):
    """An operator implementation that reads its attributes by the schema of the model's own opset.

    `onnx.reference` fills in the defaults of the newest schema whatever the model's opset is, which is wrong
    where a default changed: the axis of Softmax was 1 before opset 13 and is -1 since. A subclass is named
    like its operator, as `onnx.reference` demands, and defines `_run(*inputs, **attributes)`. An absent
    attribute without a default arrives as None.

    An operator of another domain sets `op_domain`. ONNX has no schema of it, so an absent attribute does not arrive at
    all: `_run` states its default.
    """

    def __init__(self, node: onnx.NodeProto, run_params: dict[str, Any], schema: Any = None) -> None:
        self.opset: int = run_params["opsets"].get(self.op_domain, onnx.defs.onnx_opset_version())
        if schema is None and not self.op_domain:
            schema = onnx.defs.get_schema(node.op_type, self.opset, self.op_domain)
        super().__init__(node, run_params, schema)
