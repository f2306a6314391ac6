"""Operator cases for the float64 evaluator: what is run there and in onnxruntime."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True)
class Case:
    """One node: inputs by shape (random float32), by array, or None where an optional input is left out."""

    op: str
    inputs: tuple[Any, ...]
    attributes: dict[str, Any] = field(default_factory=dict)
    opset: int = 17
    outputs: int = 1
    low: float = -2.0
    high: float = 2.0
    # Smoothness cannot be tried on inputs that are integers, or where the function has steps.
    smooth: bool = True

    @property
    def name(self) -> str:
        """Test id, for example `Conv-17-1x3x9x8-group1-pads1111`."""
        shapes = ["x".join(map(str, _shape(i))) for i in self.inputs[:2] if i is not None]
        settings = [f"{k}{_compact(v)}" for k, v in self.attributes.items()]
        return "-".join([self.op, str(self.opset), *shapes, *settings])

    def arrays(self) -> list[Array | None]:
        """The inputs, the same at each call."""
        rng = np.random.default_rng(sum(map(ord, self.op)))
        return [self._array(rng, i) for i in self.inputs]

    def random(self) -> set[str]:
        """Names of the inputs that may be moved: the random ones."""
        return {f"in{i}" for i, spec in enumerate(self.inputs) if isinstance(spec, tuple)}

    def _array(self, rng: np.random.Generator, spec: Any) -> Array | None:
        if spec is None or isinstance(spec, np.ndarray):
            return spec
        return rng.uniform(self.low, self.high, spec).astype(np.float32)


def _shape(spec: Any) -> tuple[int, ...]:
    return spec.shape if isinstance(spec, np.ndarray) else spec


def _compact(value: Any) -> str:
    return "".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def ints(*values: int) -> Array:
    return np.array(values, np.int64)


def floats(*values: float) -> Array:
    return np.array(values, np.float32)


CONVOLUTIONS = [
    Case("Conv", ((2, 3, 9, 8), (4, 3, 3, 3), (4,)), {"pads": [1, 1, 1, 1]}),
    Case("Conv", ((2, 3, 9, 8), (4, 3, 3, 2)), {"pads": [2, 0, 1, 1], "strides": [2, 3]}, 9),
    Case("Conv", ((1, 4, 11, 9), (6, 2, 3, 3), (6,)), {"group": 2, "dilations": [2, 1], "strides": [1, 2]}, 11),
    Case("Conv", ((2, 4, 7, 7), (4, 1, 3, 3), (4,)), {"group": 4, "pads": [1, 1, 1, 1], "strides": [2, 2]}, 22),
    Case("Conv", ((2, 3, 7, 6), (6, 1, 2, 3)), {"group": 3, "dilations": [2, 2]}),
    Case("Conv", ((1, 8, 5, 5), (3, 8, 1, 1), (3,))),
    Case("Conv", ((1, 1, 6, 6), (3, 1, 3, 3), (3,))),
    Case("Conv", ((2, 3, 10), (4, 3, 3), (4,)), {"auto_pad": "SAME_UPPER", "strides": [2]}),
    Case("Conv", ((2, 3, 10), (4, 3, 4), (4,)), {"auto_pad": "SAME_LOWER", "strides": [3]}),
    Case("Conv", ((1, 3, 9, 7), (2, 3, 4, 3)), {"auto_pad": "SAME_UPPER", "strides": [2, 2]}, 7),
    Case("Conv", ((1, 3, 9, 7), (2, 3, 4, 2)), {"auto_pad": "SAME_LOWER"}, 13),
    Case("Conv", ((1, 3, 9, 7), (2, 3, 1, 1)), {"auto_pad": "SAME_UPPER", "strides": [3, 3]}),
    Case("Conv", ((1, 3, 9, 7), (2, 3, 4, 2)), {"auto_pad": "VALID", "kernel_shape": [4, 2]}),
    Case("Conv", ((1, 2, 5, 6, 7), (4, 2, 3, 2, 3)), {"strides": [1, 2, 2], "pads": [1, 0, 1, 1, 1, 0]}),
    Case("Conv", ((1, 4, 5, 4, 6), (4, 1, 3, 3, 3), (4,)), {"group": 4, "pads": [1] * 6}),
    Case("ConvTranspose", ((2, 3, 5, 4), (3, 2, 3, 3), (2,)), {"strides": [2, 2], "pads": [1, 1, 1, 1]}),
    Case("ConvTranspose", ((1, 3, 5, 4), (3, 2, 3, 2)), {"strides": [2, 3], "output_padding": [1, 2]}, 9),
    Case("ConvTranspose", ((1, 4, 5, 4), (4, 3, 2, 2), (6,)), {"group": 2, "strides": [2, 2]}, 11),
    Case("ConvTranspose", ((1, 3, 5, 4), (3, 1, 4, 4)), {"group": 3, "strides": [2, 2], "pads": [1] * 4}),
    Case("ConvTranspose", ((1, 2, 5, 4), (2, 3, 3, 3)), {"dilations": [2, 1], "pads": [1, 0, 2, 1]}, 22),
    Case("ConvTranspose", ((1, 2, 5, 4), (2, 3, 3, 3)), {"strides": [3, 2], "output_shape": [14, 8]}),
    Case("ConvTranspose", ((1, 2, 5, 4), (2, 3, 3, 4)), {"strides": [2, 2], "output_shape": [10, 9]}),
    Case(
        "ConvTranspose",
        ((1, 2, 5, 4), (2, 3, 4, 3)),
        {"strides": [2, 2], "output_shape": [9, 8], "auto_pad": "SAME_UPPER"},
    ),
    Case(
        "ConvTranspose",
        ((1, 2, 5, 4), (2, 3, 4, 3)),
        {"strides": [2, 2], "output_shape": [9, 8], "auto_pad": "SAME_LOWER"},
    ),
    Case("ConvTranspose", ((1, 2, 5, 4), (2, 3, 3, 3)), {"strides": [2, 2], "auto_pad": "SAME_UPPER"}),
    Case("ConvTranspose", ((1, 2, 5, 4), (2, 3, 5, 4)), {"strides": [2, 2], "auto_pad": "SAME_LOWER"}),
    Case("ConvTranspose", ((1, 2, 5, 4), (2, 3, 3, 3)), {"auto_pad": "VALID", "strides": [2, 1]}),
    Case("ConvTranspose", ((2, 2, 6), (2, 3, 3), (3,)), {"strides": [2], "pads": [0, 1]}),
    Case("ConvTranspose", ((1, 2, 3, 4, 2), (2, 2, 2, 3, 2)), {"strides": [2, 1, 2]}),
]

_X = (2, 3, 9, 8)


def _pool_cases(op: str, opsets: tuple[int, ...], **extra: Any) -> list[Case]:
    """The geometries that every pooling shares."""
    settings: list[dict[str, Any]] = [
        {"kernel_shape": [3, 3]},
        {"kernel_shape": [3, 2], "strides": [2, 3], "pads": [1, 0, 1, 1]},
        {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]},
        {"kernel_shape": [2, 3], "strides": [2, 2], "auto_pad": "SAME_UPPER"},
        {"kernel_shape": [4, 3], "strides": [2, 2], "auto_pad": "SAME_LOWER"},
        {"kernel_shape": [3, 2], "strides": [2, 2], "auto_pad": "VALID"},
        {"kernel_shape": [9, 8]},
    ]
    return [Case(op, (_X,), {**s, **extra}, opset) for opset in opsets for s in settings]


def _ceil_cases(op: str, opset: int, **extra: Any) -> list[Case]:
    settings: list[dict[str, Any]] = [
        {"kernel_shape": [3, 3], "strides": [2, 2]},
        {"kernel_shape": [2, 3], "strides": [2, 3], "pads": [0, 1, 1, 1]},
        {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]},
        {"kernel_shape": [2, 2], "strides": [3, 3], "pads": [1, 1, 1, 1]},
        {"kernel_shape": [1, 1], "strides": [3, 2]},
    ]
    return [Case(op, (_X,), {**s, "ceil_mode": 1, **extra}, opset) for s in settings]


POOLINGS = [
    *_pool_cases("MaxPool", (7, 8, 12, 22)),
    *_ceil_cases("MaxPool", 10),
    *_ceil_cases("MaxPool", 22),
    Case("MaxPool", (_X,), {"kernel_shape": [3, 2], "dilations": [2, 3], "pads": [1, 1, 1, 1]}, 12),
    Case("MaxPool", ((1, 2, 13),), {"kernel_shape": [3], "strides": [2], "ceil_mode": 1}, 11),
    Case("MaxPool", ((1, 2, 5, 6, 7),), {"kernel_shape": [3, 2, 3], "strides": [2, 2, 2], "pads": [1] * 6}, 12),
    Case("MaxPool", (_X,), {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1] * 4}, 12, outputs=2),
    Case("MaxPool", (_X,), {"kernel_shape": [2, 3], "strides": [2, 1], "dilations": [2, 2]}, 12, outputs=2),
    Case("MaxPool", (_X,), {"kernel_shape": [3, 3], "strides": [2, 2], "storage_order": 1}, 12, outputs=2),
    Case(
        "MaxPool",
        (np.zeros((1, 2, 6, 6), np.float32),),
        {"kernel_shape": [2, 2], "pads": [1] * 4},
        outputs=2,
        smooth=False,
    ),
    Case(
        "MaxPool",
        (np.arange(36, dtype=np.uint8).reshape(1, 1, 6, 6),),
        {"kernel_shape": [3, 3]},
        smooth=False,
    ),
    *_pool_cases("AveragePool", (7, 11, 19, 22)),
    *_pool_cases("AveragePool", (7, 19), count_include_pad=1),
    *_ceil_cases("AveragePool", 10),
    *_ceil_cases("AveragePool", 22),
    *_ceil_cases("AveragePool", 11, count_include_pad=1),
    *_ceil_cases("AveragePool", 19, count_include_pad=1),
    Case("AveragePool", (_X,), {"kernel_shape": [3, 2], "dilations": [2, 3], "pads": [1] * 4}, 19),
    Case("AveragePool", ((1, 2, 13),), {"kernel_shape": [3], "strides": [2], "pads": [1, 1]}),
    Case("AveragePool", ((1, 2, 5, 6, 7),), {"kernel_shape": [3, 2, 3], "strides": [2, 2, 2]}),
    *_pool_cases("LpPool", (11, 18)),
    *_pool_cases("LpPool", (18,), p=3),
    *_ceil_cases("LpPool", 18),
    Case("GlobalAveragePool", (_X,)),
    Case("GlobalAveragePool", ((1, 2, 3, 4, 5),), opset=22),
    Case("GlobalMaxPool", (_X,)),
    Case("GlobalMaxPool", ((2, 3, 7),)),
    Case("GlobalMaxPool", ((1, 2, 3, 4, 5),), opset=22),
    Case("GlobalLpPool", (_X,)),
    Case("GlobalLpPool", ((2, 3, 7),), {"p": 3}, 9),
]
