"""Rows for Einsum: the equations that models use, and the corners of the notation."""

from typing import Any

import numpy as np

from exporter.op_cases.case import Input, OpCase

_rng = np.random.default_rng(19)


def _row(name: str, equation: str, *operands: Any, opset: int = 17) -> OpCase:
    inputs = [Input(operand) if isinstance(operand, tuple) else operand for operand in operands]
    return OpCase(f"Einsum-{name}", "Einsum", inputs, {"equation": equation}, opset=opset)


def _w(*shape: int) -> np.ndarray:
    return _rng.standard_normal(shape)


CASES = [
    _row("product", "ij,jk->ik", ("N", 4), (4, 3)),
    _row("product-13", "ij,jk->ik", ("N", 4), _w(4, 3), opset=13),
    _row("spaces", " b i j , b j k -> b i k ", ("N", 2, 4), ("N", 4, 3)),
    _row("implicit", "ij,jk", ("N", 4), (4, 3)),
    _row("implicit-order", "ba", (2, 3)),
    _row("attention-scores", "bhid,bhjd->bhij", ("N", 2, 5, 3), ("N", 2, 4, 3)),
    _row("attention-values", "bhij,bhjd->bhid", ("N", 2, 5, 4), ("N", 2, 4, 3)),
    _row("channels-last-scores", "bihd,bjhd->bhij", ("N", 5, 2, 3), ("N", 4, 2, 3)),
    _row("relative-position", "bhwc,hkc->bhwk", ("N", 3, 4, 5), (3, 2, 5)),
    _row("tokens-times-weights", "bnc,cd->bnd", ("N", 5, 4), _w(4, 3)),
    _row("channel-mixing", "bchw,oc->bohw", ("N", 4, 3, 2), _w(5, 4)),
    _row("graph", "nctv,vw->nctw", ("N", 2, 3, 4), _w(4, 4)),
    _row("squeeze-excite", "bchw,bc->bchw", ("N", 3, 4, 2), ("N", 3)),
    _row("outer", "bi,bj->bij", ("N", 3), ("N", 4)),
    _row("inner", "bi,bi->b", ("N", 4), ("N", 4)),
    _row("full-sum", "bi,bi->", ("N", 4), ("N", 4)),
    _row("transpose", "bhwc->bchw", ("N", 3, 4, 2)),
    _row("cycle", "abc->cab", ("N", 3, 4)),
    _row("identity", "bij->bij", ("N", 3, 4)),
    _row("sum-of-one", "bchw->bc", ("N", 3, 4, 2)),
    _row("sum-of-all", "bij->", ("N", 3, 4)),
    _row("sum-only-in-one", "bij,bk->bk", ("N", 3, 4), ("N", 2)),
    _row("three", "bi,ij,bj->b", ("N", 3), (3, 4), ("N", 4)),
    _row("three-with-batch", "bnd,hde,bme->bhnm", ("N", 3, 4), (2, 4, 5), ("N", 2, 5)),
    _row("diagonal", "bii->bi", ("N", 4, 4)),
    _row("trace", "bii->b", ("N", 4, 4)),
    _row("trace-times", "bii,bj->bj", ("N", 4, 4), ("N", 3)),
    _row("diagonal-of-three", "iii->i", (3, 3, 3)),
    _row("repeated-apart", "ibi,bj->bij", (4, 3, 4), (3, 2)),
    _row("ellipsis", "...ij,...jk->...ik", ("N", 2, 5, 4), ("N", 2, 4, 3)),
    _row("ellipsis-shared", "...ij,jk->...ik", ("N", 2, 5, 4), (4, 3)),
    _row("ellipsis-rank-differs", "...ij,...jk->...ik", ("N", 2, 5, 4), (2, 4, 3)),
    _row("ellipsis-broadcast", "...ij,...jk->...ik", ("N", 1, 5, 4), (2, 4, 3)),
    _row("ellipsis-last", "b...,bj->bj...", ("N", 3, 2), ("N", 4)),
    _row("ellipsis-implicit", "...ij,jk", ("N", 2, 5, 4), (4, 3)),
    _row("ellipsis-empty", "...ij,jk->...ik", (5, 4), (4, 3)),
    _row("ellipsis-diagonal", "...ii->...i", ("N", 2, 3, 3)),
    _row("upper-case", "Bi,ij->Bj", ("N", 3), (3, 4)),
    _row("scalar", ",ij->ij", (), ("N", 4)),
]
