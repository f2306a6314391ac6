"""One module a family of operators; importing this package registers every rule."""

from camgraph_exporter.vjp.rules import (
    activation,
    arithmetic,
    cast,
    convolution,
    function,
    layout,
    linear,
    normalisation,
    pooling,
    reduction,
    softmax,
    stops,
)

__all__ = [
    "activation",
    "arithmetic",
    "cast",
    "convolution",
    "function",
    "layout",
    "linear",
    "normalisation",
    "pooling",
    "reduction",
    "softmax",
    "stops",
]
