"""Brings the many spellings of ONNX files to one: constants as initializers, one opset floor, no local functions."""

from __future__ import annotations

import re

import onnx
import onnx_ir as ir
from onnx_ir.passes import common

from camgraph_exporter.errors import ModelFileError
from camgraph_exporter.prepare.branches import inline_constant_branches
from camgraph_exporter.prepare.resizes import LAST_WITHOUT_ATTRIBUTES, state_old_coordinates
from camgraph_exporter.storage import weights_folder

# From this version on, axes of Squeeze, Unsqueeze and ReduceSum are inputs and Softmax works on one axis: rules need to
# know one spelling.
LOWEST_OPSET = 13
# In files of older IR versions every initializer is listed as an input as well.
_WEIGHTS_ARE_NO_INPUTS = 4


def normalise(model: ir.Model, *, opset: int = LOWEST_OPSET) -> ir.Model:
    """Return the model at `opset` or higher, with constants as initializers, which are no inputs, and nodes sorted.

    Raises:
        ModelFileError: the model cannot be lifted to the opset.

    """
    _use_short_domain(model)
    _open_sizes(model.graph)
    if model.functions:
        _inline_functions(model)
    inline_constant_branches(model)
    _list_no_weights(model)
    version = model.opset_imports[""]
    if version < opset:
        model = _lift_opset(model, opset)
    if version <= LAST_WITHOUT_ATTRIBUTES:
        state_old_coordinates(model)
    common.TopologicalSortPass()(model)
    common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(model)
    _list_no_weights(model)
    return model


def _list_no_weights(model: ir.Model) -> None:
    """Take the weights off the list of inputs.

    Up to IR version 3 each had to be there. onnxruntime reads such files also where they are not, ONNX's converter does
    not, and its results list them again.
    """
    common.RemoveInitializersFromInputsPass()(model)
    model.ir_version = max(model.ir_version, _WEIGHTS_ARE_NO_INPUTS)


def _inline_functions(model: ir.Model) -> None:
    """Put the bodies of the model's own functions where they are called.

    A function may state another opset than the model. onnxruntime reads it by the model's.
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
            f"The model uses opset {model.opset_imports['']}, but operators of its functions changed since the opset "
            f"that these state: {'; '.join(problems)}. Export it again with one opset."
        )
    common.InlinePass()(model)


def _means_the_same(node: ir.Node, one: int, other: int) -> bool:
    """Tell whether an operator is the same in two opsets."""
    try:
        schemas = [onnx.defs.get_schema(node.op_type, version, "") for version in (one, other)]
    except onnx.defs.SchemaError:
        return one == other
    return schemas[0].since_version == schemas[1].since_version


def _use_short_domain(model: ir.Model) -> None:
    """Call the standard domain by one of its two names."""
    for imports in (model.opset_imports, model.graph.opset_imports):
        if "ai.onnx" in imports:
            version = imports.pop("ai.onnx")
            imports.setdefault("", version)
    for node in model.graph.all_nodes():
        if node.domain == "ai.onnx":
            node.domain = ""


def _open_sizes(graph: ir.Graph) -> None:
    """Leave sizes open that toolkits write as -1, as PaddlePaddle did for a free batch."""
    values = [*graph.inputs, *graph.outputs, *(value for node in graph.all_nodes() for value in node.outputs)]
    for value in values:
        if value.shape is not None:
            dims = [None if isinstance(dim, int) and dim < 0 else dim for dim in value.shape]
            value.shape = ir.Shape(dims)


def _lift_opset(model: ir.Model, opset: int) -> ir.Model:
    """Convert to a newer opset with ONNX's own converter. The certificate shows later that no output changed."""
    version = model.opset_imports[""]
    try:
        proto = onnx.version_converter.convert_version(ir.to_proto(model), opset)
    except (RuntimeError, ValueError) as error:
        # The converter quotes its own C++ source before it says what is wrong.
        reason = re.sub(
            r"^.*` failed: ", "", str(error).strip().splitlines()[-1] if str(error).strip() else "no reason"
        )
        raise ModelFileError(
            f"The model uses opset {version}, which ONNX's converter could not lift to {opset} ({reason}). "
            f"Export it again with opset {opset} or newer."
        ) from error
    lifted = ir.from_proto(proto)
    folder = weights_folder(model)
    if folder is not None:
        ir.external_data.set_base_dir(lifted.graph, folder)
    return lifted
