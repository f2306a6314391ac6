"""Writes poolings that round their size up in words on whose size all agree.

With `ceil_mode` the last window may start in the padding after the image. Runtimes leave it out, and so does the
standard from opset 22 on; up to opset 21 its text, and with it the shape inference of onnx and onnxruntime, counts it.
The backward part has the size of the run, which such an inference then refuses. With the end of the padding that the
windows use, and rounding down, the pooling is the same to the last bit and its size is beyond doubt.
"""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir
from onnx_ir.passes import InPlacePass, PassResult

from camgraph_exporter.graph.dims import dims_of, static
from camgraph_exporter.graph.traits import Trait, has


def _is_pooling(node: ir.Node) -> bool:
    return has(node, Trait.POOLS) and has(node, Trait.SLIDES) and not node.domain


class SettlePoolingsPass(InPlacePass):
    """Gives each pooling whose last window would start in the padding the pads of its other windows."""

    def call(self, model: ir.Model) -> PassResult:
        """Change the poolings whose sizes are known."""
        changed = False
        for node in model.graph:
            if _is_pooling(node) and node.attributes.get_int("ceil_mode", 0) == 1:
                x, y = node.inputs[0], node.outputs[0]
                known = x is not None and x.shape is not None and y.shape is not None
                sizes, outs = (static(dims_of(v)[2:]) if v is not None and known else None for v in (x, y))
                if sizes is not None and outs is not None:
                    changed |= _settle(node, sizes, outs)
        return PassResult(model, changed)


def _settle(node: ir.Node, sizes: Sequence[int], outs: Sequence[int]) -> bool:
    """Replace rounding up by pads, where a window is left out; tell whether one is. Sizes are those of a run."""
    rank = len(sizes)
    kernel = node.attributes["kernel_shape"].as_ints()
    strides = _ints(node, "strides", [1] * rank)
    dilations = _ints(node, "dilations", [1] * rank)
    pads = _ints(node, "pads", [0] * (2 * rank))
    if node.attributes.get_string("auto_pad", "NOTSET") not in {"NOTSET", "VALID"}:
        return False
    extent = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    counted = [-(-(size + pads[i] + pads[rank + i] - extent[i]) // strides[i]) + 1 for i, size in enumerate(sizes)]
    if counted == list(outs):
        return False
    needed = [(outs[i] - 1) * strides[i] + extent[i] - size - pads[i] for i, size in enumerate(sizes)]
    overhangs = any(n > have for n, have in zip(needed, pads[rank:], strict=True))
    if overhangs and node.attributes.get_int("count_include_pad", 0) == 1:
        # Padding counts for the mean and what hangs over it does not, so that one cannot stand for the other: an axis
        # goes on rounding up.
        if any(n < 0 for n in needed):
            return False
        ends = [min(n, have) for n, have in zip(needed, pads[rank:], strict=True)]
    else:
        ends = [max(n, 0) for n in needed]
        node.attributes.add(ir.AttrInt64("ceil_mode", 0))
    node.attributes.pop("auto_pad", None)
    node.attributes.add(ir.AttrInt64s("pads", [*pads[:rank], *ends]))
    return True


def _ints(node: ir.Node, name: str, default: list[int]) -> list[int]:
    return list(node.attributes[name].as_ints()) if name in node.attributes else default
