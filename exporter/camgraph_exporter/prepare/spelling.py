"""Brings the many spellings of ONNX files to one: one name of the standard domain, no functions, weights no inputs."""

from __future__ import annotations

import onnx
import onnx_ir as ir
from onnx_ir.passes import InPlacePass, PassResult, common

from camgraph_exporter.errors import ModelFileError

# In files of older IR versions every initializer is listed as an input as well.
_WEIGHTS_ARE_NO_INPUTS = 4


class UseShortDomainPass(InPlacePass):
    """Calls the standard domain by one of its two names."""

    def call(self, model: ir.Model) -> PassResult:
        """Rename the domain of nodes and imports."""
        for imports in (model.opset_imports, model.graph.opset_imports):
            if "ai.onnx" in imports:
                version = imports.pop("ai.onnx")
                imports.setdefault("", version)
        found = [node for node in model.graph.all_nodes() if node.domain == "ai.onnx"]
        for node in found:
            node.domain = ""
        return PassResult(model, bool(found))


class OpenSizesPass(InPlacePass):
    """Leaves sizes open that toolkits write as -1, as PaddlePaddle did for a free batch."""

    def call(self, model: ir.Model) -> PassResult:
        """Replace negative sizes of all values."""
        graph, changed = model.graph, False
        values = [*graph.inputs, *graph.outputs, *(value for node in graph.all_nodes() for value in node.outputs)]
        for value in values:
            if value.shape is not None and any(isinstance(dim, int) and dim < 0 for dim in value.shape):
                dims = [None if isinstance(dim, int) and dim < 0 else dim for dim in value.shape]
                value.shape, changed = ir.Shape(dims), True
        return PassResult(model, changed)


class InlineFunctionsPass(InPlacePass):
    """Puts the bodies of the model's own functions where they are called.

    A function may state another opset than the model. onnxruntime reads it by the model's.
    """

    def call(self, model: ir.Model) -> PassResult:
        """Inline all functions.

        Raises:
            ModelFileError: operators of functions changed between the two opsets; all of them are named.

        """
        problems = []
        for function in model.functions.values():
            stated, version = function.opset_imports.get("", 0), model.opset_imports[""]
            changed = [
                node.op_type for node in function if node.domain == "" and not _means_the_same(node, stated, version)
            ]
            if changed:
                problems.append(f"{function.domain}.{function.name} ({', '.join(dict.fromkeys(changed))})")
            elif stated:
                function.opset_imports[""] = version
        if problems:
            raise ModelFileError(
                f"The model uses opset {model.opset_imports['']}, but operators of its functions changed since the "
                f"opset that these state: {'; '.join(problems)}. Export it again with one opset."
            )
        return common.InlinePass()(model) if model.functions else PassResult(model, modified=False)


def _means_the_same(node: ir.Node, one: int, other: int) -> bool:
    """Tell whether an operator is the same in two opsets."""
    try:
        schemas = [onnx.defs.get_schema(node.op_type, version, "") for version in (one, other)]
    except onnx.defs.SchemaError:
        return one == other
    return schemas[0].since_version == schemas[1].since_version


class ListNoWeightsPass(InPlacePass):
    """Takes the weights off the list of inputs.

    Up to IR version 3 each had to be there. onnxruntime reads such files also where they are not, ONNX's converter does
    not, and its results list them again.
    """

    def call(self, model: ir.Model) -> PassResult:
        """Remove initializers from the inputs."""
        result = common.RemoveInitializersFromInputsPass()(model)
        model.ir_version = max(model.ir_version, _WEIGHTS_ARE_NO_INPUTS)
        return result
