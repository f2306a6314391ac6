"""Sums of uint8 x int8 products: whether they are right on this CPU, and what makes onnxruntime compute them right.

On x86 CPUs without VNNI instructions, onnxruntime's default kernels add such products in pairs in 16 bits, and
saturate. Other kernels do not, and are slower. This module knows no onnxruntime (docs/int8.md has the measurements).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

# onnxruntime's setting for the exact kernels. It has an effect only where onnxruntime optimises the graph.
EXACT_KERNELS: Mapping[str, str] = {"session.x64quantprecision": "1"}

# y = MatMulInteger(a, b), with a uint8 [1, 2] and b int8 [2, 1], as an .onnx file.
PROBE_MODEL = bytes.fromhex(
    "08083a5e 0a1a0a01610a0162120179220d4d61744d756c496e74656765723a00 120167"
    "5a130a0161120e0a0c080212080a0208010a020802 5a130a0162120e0a0c080312080a0208020a020801"
    "62130a0179120e0a0c080612080a0208010a020801 42040a00100d"
)
_PROBE_FEEDS: Mapping[str, np.ndarray] = {"a": np.full((1, 2), 255, np.uint8), "b": np.full((2, 1), 127, np.int8)}
_PROBE_SUM = 2 * 255 * 127


def saturates(run: Callable[[Mapping[str, np.ndarray]], np.ndarray]) -> bool:
    """Tell whether sums of products saturate, from the probe model's answer to two large products.

    Args:
        run: Runs `PROBE_MODEL` on the given inputs and returns its output, int32 [1, 1].

    """
    return int(run(_PROBE_FEEDS).item()) != _PROBE_SUM


def refusal_note(name: str) -> str:
    """Return the sentence for a graph that onnxruntime cannot load with its exact kernels."""
    return (
        f"On this CPU onnxruntime's sums of uint8 x int8 products saturate, and it cannot load {name} with exact "
        "kernels. Where the model has such sums, results may differ from those of other CPUs. Sums of int8 x int8 "
        "products are right."
    )
