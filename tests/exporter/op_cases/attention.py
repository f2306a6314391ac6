"""Rows for attention and rotary embeddings."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from exporter.op_cases.case import Fed, Input, OpCase, fed

_rng = np.random.default_rng(23)
_Shape = Sequence[int | str]
_MASK = _rng.random((5, 6)) < 0.6
_MASK[:, 0] = True
_EMPTY_ROW = _MASK.copy()
_EMPTY_ROW[2] = False


def _attention(
    name: str,
    q: _Shape,
    k: _Shape,
    v: _Shape,
    *more: Any,
    opset: int = 23,
    unsupported: str = "",
    **attributes: Any,
) -> OpCase:
    return OpCase(
        f"Attention-{name}",
        "Attention",
        [Input(q), Input(k), Input(v), *more],
        attributes,
        opset=opset,
        outputs=4 if "qk_matmul_output_mode" in attributes else 1,
        without_onnxruntime=unsupported,
    )


def _joined(name: str, *more: Any, query: int = 2, key: int = 2, **attributes: Any) -> OpCase:
    """Rank 3: heads of size 4 and, for the values, of size 3."""
    shapes = ("N", 5, 4 * query), ("N", 6, 4 * key), ("N", 6, 3 * key)
    return _attention(name, *shapes, *more, q_num_heads=query, kv_num_heads=key, **attributes)


def _apart(name: str, *more: Any, query: int = 2, key: int = 2, **attributes: Any) -> OpCase:
    """Rank 4, with the same sizes."""
    shapes = ("N", query, 5, 4), ("N", key, 6, 4), ("N", key, 6, 3)
    return _attention(name, *shapes, *more, **attributes)


def _minus_infinity(mask: np.ndarray) -> np.ndarray:
    return np.where(mask, _rng.standard_normal(mask.shape), -np.inf)


_ANGLES = _rng.uniform(0, 6, (8, 3))
_POSITIONS = np.array([0, 2, 3, 7, 1])


def _rotary(name: str, shape: _Shape, *, cached: bool, width: int = 3, opset: int = 23, **attributes: Any) -> OpCase:
    """With a cache and positions, or with an angle for each of the 5 tokens of each sample."""
    table = _ANGLES[:, :width]
    if cached:
        angles = [np.cos(table), np.sin(table), Fed(lambda batch, _: np.tile(_POSITIONS, (batch, 1)))]
    else:
        own = table[_POSITIONS]
        angles = [Fed(lambda batch, _, f=f: f(np.tile(own, (batch, 1, 1)))) for f in (np.cos, np.sin)]
    return OpCase(f"RotaryEmbedding-{name}", "RotaryEmbedding", [Input(shape), *angles], attributes, opset=opset)


CASES = [
    _apart("4d"),
    _apart("4d-24", opset=24),
    _joined("3d"),
    _joined("3d-24", opset=24),
    _apart("scale", scale=0.3),
    _apart("softcap", softcap=1.5),
    _joined("softcap-masked", _MASK, softcap=1.5),
    _apart("causal", is_causal=1),
    _joined("causal-masked", _MASK, is_causal=1),
    _apart("mask", _MASK),
    _apart("mask-a-head", np.stack([_MASK, ~_MASK | (np.arange(6) == 1)])),
    _apart("mask-empty-row", _EMPTY_ROW),
    _joined("mask-at-run-time", fed(_EMPTY_ROW)),
    _apart("bias", _rng.standard_normal((2, 5, 6))),
    _apart("bias-a-key", _rng.standard_normal((1, 6)), unsupported="The CPU kernel wants a mask for each query."),
    _apart("bias-minus-infinity", _minus_infinity(_MASK)),
    _joined("bias-empty-row", _minus_infinity(_EMPTY_ROW)),
    _apart("bias-at-run-time", fed(_minus_infinity(_MASK))),
    _apart("bias-derived", Input((2, 5, 6))),
    _joined("bias-derived-batch", Input(("N", 1, 5, 6)), softcap=2.0),
    _joined("bias-derived-causal", Input((5, 6)), is_causal=1),
    _apart("grouped", query=4, key=2),
    _joined("grouped-3d", query=6, key=2),
    _joined("one-key-head", _MASK, query=3, key=1, is_causal=1),
    _apart("scores-unused", qk_matmul_output_mode=3),
    _apart("softmax-precision", softmax_precision=1),
    _rotary("4d", ("N", 2, 5, 6), cached=True),
    _rotary("4d-24", ("N", 2, 5, 6), cached=False, opset=24),
    _rotary("4d-interleaved", ("N", 2, 5, 6), cached=False, interleaved=1),
    _rotary("4d-partial", ("N", 2, 5, 6), cached=True, width=2, rotary_embedding_dim=4, num_heads=2),
    _rotary("3d", ("N", 5, 12), cached=False, num_heads=2),
    _rotary("3d-interleaved", ("N", 5, 12), cached=True, num_heads=2, interleaved=1),
    _rotary("3d-partial", ("N", 5, 12), cached=False, width=2, num_heads=2, rotary_embedding_dim=4),
]
