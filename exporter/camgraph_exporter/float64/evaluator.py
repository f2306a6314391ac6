"""Runs an ONNX model in float64, with NumPy, fast enough for whole vision models.

The certificate of an export needs derivatives to about ten digits, which float32 cannot give, and
onnxruntime has no float64 convolutions or poolings. `onnx.reference` keeps float64 for most operators; the
modules beside this one replace those that it computes slowly, in float32, or otherwise than the standard and
onnxruntime do.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np
from onnx import FunctionProto, ModelProto, NodeProto
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun, RuntimeContextError

from camgraph_exporter.errors import ExportError
from camgraph_exporter.float64 import (
    attention,
    conv,
    norm,
    pointwise,
    pool,
    quant,
    resize,
    sample,
    shape,
)
from camgraph_exporter.float64.convert import function_to_float64, split_float64, to_float64
from camgraph_exporter.float64.windows import Array
from camgraph_exporter.graph.protos import names_read_by

__all__ = ["Float64Evaluator", "to_float64"]

OPERATORS: tuple[type[OpRun], ...] = (
    attention.Attention,
    conv.Col2Im,
    conv.Conv,
    conv.ConvTranspose,
    norm.BatchNormalization,
    norm.GroupNormalization,
    norm.Hardmax,
    norm.LogSoftmax,
    norm.LpNormalization,
    norm.LRN,
    norm.Softmax,
    pointwise.Erf,
    pointwise.Gelu,
    pointwise.HardSwish,
    pointwise.Mean,
    pool.AveragePool,
    pool.GlobalLpPool,
    pool.GlobalMaxPool,
    pool.LpPool,
    pool.MaxPool,
    quant.ConvInteger,
    quant.DequantizeLinear,
    quant.DynamicQuantizeLinear,
    quant.QLinearConv,
    quant.QLinearMatMul,
    quant.QuantizeLinear,
    resize.Resize,
    resize.Upsample,
    sample.AffineGrid,
    sample.DeformConv,
    sample.GridSample,
    shape.GatherElements,
    shape.OneHot,
    shape.Pad,
    shape.Scatter,
    shape.ScatterElements,
    shape.ScatterND,
)

# Computed in float32 by `onnx.reference`, whatever the inputs are.
_ROUNDED_TO_FLOAT32 = frozenset({"CausalConvWithState", "LinearAttention"})

_NARROW = (np.dtype(np.float32), np.dtype(np.float16), np.dtype(ml_dtypes.bfloat16))


class _Evaluator(ReferenceEvaluator):
    """The reference evaluator with our operators, in function bodies and subgraphs too.

    `onnx.reference` builds evaluators for those by itself and passes `new_ops` to some of them only.
    """

    def __init__(self, proto: Any, **options: Any) -> None:
        if isinstance(proto, FunctionProto):
            proto = function_to_float64(proto)
        super().__init__(proto, **{**options, "new_ops": list(OPERATORS)})

    def _load_impl(self, node: NodeProto, input_types: Any = None) -> Any:
        if not node.domain and node.op_type in _ROUNDED_TO_FLOAT32:
            return _Unsupported
        try:
            return super()._load_impl(node, input_types)
        except RuntimeContextError:
            raise  # the evaluator's own way of asking for the input types
        except RuntimeError:
            return _Unsupported


class _Unsupported(OpRun):
    """Stands for an operator that cannot be evaluated, which matters only if a run needs it."""

    def __init__(self, node: NodeProto, run_params: dict[str, Any]) -> None:
        # Without the base class, which would look for the attributes of a namesake in the standard.
        self.onnx_node = node
        self.run_params = run_params
        self.has_linked_attribute = self.has_subgraph = False

    def _run(self, *_: Any, **__: Any) -> tuple[Any, ...]:
        raise NotImplementedError("there is no float64 implementation of this operator")

    def run(self, *_: Any, **__: Any) -> tuple[Any, ...]:
        """Fails."""
        return self._run()


@dataclass(frozen=True)
class _Planned:
    node: OpRun
    # Values that nobody reads any more after this node.
    release: tuple[str, ...]


class Float64Evaluator:
    """Evaluates an ONNX model in float64.

    Args:
        model: the model, with its external data loaded. It is not changed.
        convert: whether to turn it to double first (`to_float64`); False if that has been done.

    Raises:
        ModelFileError: the external data is not loaded.
    """

    def __init__(self, model: ModelProto, *, convert: bool = True) -> None:
        weights: dict[str, Array] = {}
        if convert:
            model, weights = split_float64(model)
        self._evaluator = _Evaluator(model)
        self._constants: dict[str, Any] = {**self._evaluator.rt_inits_, **weights}
        self._plans: dict[tuple[tuple[str, ...], frozenset[str]], list[_Planned]] = {}

    @property
    def input_names(self) -> list[str]:
        """Names of the inputs that must be fed: graph inputs without an initializer."""
        return [name for name in self._evaluator.input_names if name not in self._constants]

    @property
    def output_names(self) -> list[str]:
        """Names of the graph's outputs."""
        return list(self._evaluator.output_names)

    def run(self, output_names: Sequence[str] | None, feeds: Mapping[str, Array]) -> list[Array]:
        """Computes the named values, all graph outputs for None.

        `output_names` and `feeds` may name any value of the graph, so that a part of the model can be run by
        itself: only the nodes that lead from the feeds to the outputs are run. Feeds in float32, float16 and
        bfloat16 are turned into float64.

        Raises:
            ExportError: a value that is needed is neither fed nor computed, or a node fails (for one, because
                its operator has no implementation).
        """
        wanted = tuple(self.output_names if output_names is None else output_names)
        values: dict[str, Any] = {"": None, **self._constants}
        values.update((name, _as_float64(value)) for name, value in feeds.items())
        for step in self._plan(wanted, frozenset(feeds)):
            results = zip(step.node.output, _run_node(step.node, values), strict=False)
            values.update((name, value) for name, value in results if name not in feeds)
            for name in step.release:
                values.pop(name, None)
        return [_value(values, name) for name in wanted]

    def _plan(self, wanted: tuple[str, ...], fed: frozenset[str]) -> list[_Planned]:
        key = (wanted, fed)
        if key not in self._plans:
            self._plans[key] = self._make_plan(wanted, fed)
        return self._plans[key]

    def _make_plan(self, wanted: tuple[str, ...], fed: frozenset[str]) -> list[_Planned]:
        """The needed nodes in their order, each with the values whose last reader it is."""
        known = fed | self._constants.keys() | {""}
        needed = set(wanted) - known
        keep = {*wanted, *known}
        steps: list[_Planned] = []
        for node in reversed(self._evaluator.rt_nodes_):
            produced = needed.intersection(node.output)
            if not produced:
                continue
            read = set(names_read_by(node.onnx_node))
            release = (read | set(node.output)) - keep
            steps.append(_Planned(node, tuple(release)))
            keep |= release
            needed = (needed - produced) | (read - known)
        if needed:
            raise ExportError(
                f"The values {', '.join(sorted(needed))} are neither fed nor computed by the model. "
                "Feed them, or ask for outputs that do not depend on them."
            )
        return steps[::-1]


def _run_node(node: OpRun, values: dict[str, Any]) -> tuple[Any, ...]:
    inputs = [_value(values, name) for name in node.input]
    context = {"context": values} if node.need_context() else {}
    try:
        # Overflow to infinity is a result like any other: exp in an unstable activation, log of zero.
        with np.errstate(all="ignore"):
            return tuple(node.run(*inputs, **context))  # type: ignore[no-untyped-call]  # onnx leaves it untyped
    except Exception as error:  # whatever an operator raises
        name = node.onnx_node.name or node.output[0]
        operator = f"{node.domain}.{node.op_type}" if node.domain else node.op_type
        raise ExportError(
            f"Node {name!r} ({operator}) cannot be evaluated in float64: {error.__cause__ or error}."
        ) from error


def _value(values: dict[str, Any], name: str) -> Any:
    if name not in values:
        raise ExportError(
            f"The value {name!r} is an optional output that the float64 evaluator does not compute. "
            "Ask for outputs that do not depend on it."
        )
    return values[name]


def _as_float64(value: Array) -> Array:
    return value.astype(np.float64) if value.dtype in _NARROW else value
