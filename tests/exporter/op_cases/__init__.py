"""The table of operator cases: one row is one node with its inputs; many checks are driven by each row.

Adding an operator means adding its rows to the module of its family; nothing else lists them.
"""

from exporter.op_cases import (
    activation,
    arithmetic,
    attention,
    cast,
    convolution,
    einsum,
    function,
    gather,
    layout,
    linear,
    normalisation,
    padding,
    pooling,
    reduction,
    resize,
    sampling,
    scatter,
    slicing,
    softmax,
    spectral,
)
from exporter.op_cases.case import OpCase

_FAMILIES = [
    activation,
    arithmetic,
    attention,
    cast,
    convolution,
    einsum,
    function,
    gather,
    layout,
    linear,
    normalisation,
    padding,
    pooling,
    reduction,
    resize,
    sampling,
    scatter,
    slicing,
    softmax,
    spectral,
]

ALL_CASES: list[OpCase] = [case for family in _FAMILIES for case in family.CASES]
