"""PyTorch's own exporters, under one signature: each turns a module into an ONNX model, or raises.

`trace` follows the module with `torch.export`; `record` notes the operators of one run in TorchScript, the older way;
`trace-one` traces with a batch of one, for modules that take no other, and `trace-example` with that of the example.
"""

from __future__ import annotations

import io
import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import onnx_ir as ir
import torch

from camgraph_exporter.errors import ModuleError
from camgraph_exporter.graph.dims import BATCH

# The newest opset that the recording exporter writes.
_RECORDED_OPSET = 17

_NOTE_OF_RECORD = (
    "PyTorch's exporter could not trace the module, so its older exporter recorded one run of it: "
    "control flow that depends on data is fixed."
)
_NOTE_OF_SCRIPT = "The module is TorchScript, which PyTorch's older exporter turned into a graph."


@dataclass(frozen=True)
class TorchExport:
    """What an exporter returned.

    `model`: constants folded, batch normalisation merged into convolutions. `plain`: gives the model with nothing
    merged, which has every map that a module can return. `batch`: the fixed batch size, or None where it is dynamic.
    """

    model: ir.Model
    plain: Callable[[], ir.Model]
    batch: int | None = None
    note: str = ""


def trace(module: torch.nn.Module, example: torch.Tensor, *, dynamic_size: bool) -> TorchExport:
    """Export with `torch.export`, batch dynamic."""
    dims: dict[int, Any] = {0: torch.export.Dim(BATCH, min=1)}
    if dynamic_size:
        # Networks with strides take sizes of their own liking only; which, the tracer finds out.
        dims |= {2: torch.export.Dim.AUTO, 3: torch.export.Dim.AUTO}
    return TorchExport(*_traced(module, _of_batch(example, 2), (dims,)))


def record(module: torch.nn.Module, example: torch.Tensor, *, dynamic_size: bool) -> TorchExport:
    """Export with the recording exporter, batch dynamic."""
    note = _NOTE_OF_SCRIPT if isinstance(module, torch.jit.ScriptModule) else _NOTE_OF_RECORD
    axes = {0: BATCH} | ({2: "height", 3: "width"} if dynamic_size else {})
    example = _of_batch(example, 2)

    def plain() -> ir.Model:
        return _recorded(module, example, axes, merge=False)

    return TorchExport(_recorded(module, example, axes, merge=True), plain, note=note)


def trace_one(module: torch.nn.Module, example: torch.Tensor, *, dynamic_size: bool) -> TorchExport:
    """Export with `torch.export`, one image at a time."""
    return _trace_fixed(
        module, example, 1, "The module allows no dynamic batch, so the graph takes one image at a time.", dynamic_size
    )


def trace_example(module: torch.nn.Module, example: torch.Tensor, *, dynamic_size: bool) -> TorchExport:
    """Export with `torch.export`, with the example's own batch: a program may take no other."""
    return _trace_fixed(module, example, example.shape[0], "", dynamic_size)


def _trace_fixed(
    module: torch.nn.Module, example: torch.Tensor, batch: int, note: str, dynamic_size: bool
) -> TorchExport:
    if dynamic_size:
        raise ModuleError("its batch cannot be dynamic, so neither can its size")
    return TorchExport(*_traced(module, _of_batch(example, batch), None), batch=batch, note=note)


EXPORTERS: dict[str, Callable[..., TorchExport]] = {
    "trace": trace,
    "record": record,
    "trace-one": trace_one,
    "trace-example": trace_example,
}


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the exporters' remarks to themselves: what matters comes back as an error or a note."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    silence = io.StringIO()
    try:
        with warnings.catch_warnings(), redirect_stdout(silence), redirect_stderr(silence):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


@contextmanager
def _silent_descriptors() -> Iterator[None]:
    """Close the process's mouth: the recording exporter prints graphs from C++, past Python's own streams."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = {number: os.dup(number) for number in (1, 2)}
    try:
        with Path(os.devnull).open("w") as nowhere:
            for number in kept:
                os.dup2(nowhere.fileno(), number)
            yield
    finally:
        for number, copy in kept.items():
            os.dup2(copy, number)
            os.close(copy)


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
    with _silent_descriptors(), tempfile.TemporaryDirectory() as folder:
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
