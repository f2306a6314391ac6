"""PyTorch's own exporters, behind one face: each turns a module into an ONNX model, or raises.

`trace` follows the module with `torch.export`; `record` notes the operators of one run in TorchScript, the older way;
`trace-one` traces with a batch of one, for modules that take no other.
"""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import onnx_ir as ir
import torch

from camgraph_exporter.errors import ModuleError
from camgraph_exporter.prepare.probe import BATCH

# The newest opset that the recording exporter writes.
_RECORDED_OPSET = 17


@dataclass(frozen=True)
class Exported:
    """What an exporter returned.

    `model`: constants folded, batch normalisation merged into convolutions. `plain`: gives the model with nothing
    merged, which has every map that a module can return. `batch`: the fixed batch size, or None where it is dynamic.
    """

    model: ir.Model
    plain: Callable[[], ir.Model]
    batch: int | None = None
    note: str = ""


def trace(module: torch.nn.Module, example: torch.Tensor, *, dynamic_size: bool) -> Exported:
    """Export with `torch.export`, batch dynamic."""
    dims: dict[int, Any] = {0: torch.export.Dim(BATCH, min=1)}
    if dynamic_size:
        # Networks with strides take sizes of their own liking only; which, the tracer finds out.
        dims |= {2: torch.export.Dim.AUTO, 3: torch.export.Dim.AUTO}
    return Exported(*_traced(module, _of_batch(example, 2), (dims,)))


def record(module: torch.nn.Module, example: torch.Tensor, *, dynamic_size: bool) -> Exported:
    """Export with the recording exporter, batch dynamic."""
    note = (
        "PyTorch's exporter could not trace the module, so its older exporter recorded one run of it: "
        "control flow that depends on data is fixed."
    )
    axes = {0: BATCH} | ({2: "height", 3: "width"} if dynamic_size else {})
    example = _of_batch(example, 2)

    def plain() -> ir.Model:
        return _recorded(module, example, axes, merge=False)

    return Exported(_recorded(module, example, axes, merge=True), plain, note=note)


def trace_one(module: torch.nn.Module, example: torch.Tensor, *, dynamic_size: bool) -> Exported:
    """Export with `torch.export`, one image at a time."""
    if dynamic_size:
        raise ModuleError("its batch cannot be dynamic, so neither can its size")
    note = "The module allows no dynamic batch, so the graph takes one image at a time."
    return Exported(*_traced(module, _of_batch(example, 1), None), batch=1, note=note)


EXPORTERS: dict[str, Callable[..., Exported]] = {"trace": trace, "record": record, "trace-one": trace_one}


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the exporters' remarks to themselves: what matters comes back as an error or a note."""
    logger = logging.getLogger("torch")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _traced(module: torch.nn.Module, example: torch.Tensor, dims: Any) -> tuple[ir.Model, Callable[[], ir.Model]]:
    with _attention_of_any_rank():
        program = torch.onnx.export(module, (example,), dynamo=True, dynamic_shapes=dims, optimize=False, verbose=False)
    if program is None:
        raise ModuleError("torch.onnx.export returned nothing")
    plain = program.model.clone()
    program.optimize()
    return program.model, lambda: plain


@contextmanager
def _attention_of_any_rank() -> Iterator[None]:
    """Write attention out where its heads lie in windows: the exporter knows queries [N, heads, L, E] alone."""
    functions = torch.nn.functional
    original = functions.scaled_dot_product_attention

    def attend(
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        attn_mask: torch.Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        scale: float | None = None,
        **more: Any,
    ) -> torch.Tensor:
        if query.dim() == 4 or is_causal or more.get("enable_gqa"):
            return original(query, key, value, attn_mask, dropout_p, is_causal, scale=scale, **more)
        logits = (query @ key.transpose(-2, -1)) * (scale if scale is not None else query.shape[-1] ** -0.5)
        if attn_mask is not None:
            masked = attn_mask.dtype == torch.bool
            logits = logits.masked_fill(~attn_mask, -torch.inf) if masked else logits + attn_mask
        return logits.softmax(-1) @ value

    functions.scaled_dot_product_attention = attend
    try:
        yield
    finally:
        functions.scaled_dot_product_attention = original


def _recorded(module: torch.nn.Module, example: torch.Tensor, axes: dict[int, str], *, merge: bool) -> ir.Model:
    mode = torch.onnx.TrainingMode.EVAL if merge else torch.onnx.TrainingMode.PRESERVE
    with quiet(), tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        torch.onnx.export(
            module,
            (example,),
            str(path),
            dynamo=False,
            opset_version=_RECORDED_OPSET,
            training=mode,
            input_names=["input"],
            dynamic_axes={"input": axes},
        )
        return ir.from_proto(onnx.load(path))


def _of_batch(example: torch.Tensor, batch: int) -> torch.Tensor:
    return example[:1].expand(batch, *example.shape[1:]).contiguous()
