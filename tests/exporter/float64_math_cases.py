"""Operator cases for the float64 evaluator: normalisations, elementwise functions, products, attention."""

import numpy as np
from float64_cases import Case, floats, ints

_X = (2, 6, 5, 4)

NORMALISATIONS = [
    Case("BatchNormalization", (_X, (6,), (6,), (6,), (6,)), {"epsilon": 0.01}, 9, low=0.1),
    Case("BatchNormalization", (_X, (6,), (6,), (6,), (6,)), {}, 7, low=0.1),
    Case("BatchNormalization", (_X, (6,), (6,), (6,), (6,)), {}, 15, low=0.1),
    Case("BatchNormalization", ((3, 6), (6,), (6,), (6,), (6,)), {}, 14, low=0.1),
    Case("BatchNormalization", (_X, (6,), (6,), (6,), (6,)), {"training_mode": 1}, 15, outputs=3, low=0.1),
    Case("InstanceNormalization", (_X, (6,), (6,)), {"epsilon": 0.01}),
    Case("InstanceNormalization", ((2, 3, 9), (3,), (3,)), {}, 22),
    Case("GroupNormalization", (_X, (3,), (3,)), {"num_groups": 3}, 18),
    Case("GroupNormalization", (_X, (6,), (6,)), {"num_groups": 3, "epsilon": 0.1}, 21),
    Case("LayerNormalization", (_X, (4,), (4,))),
    Case("LayerNormalization", (_X, (5, 4)), {"axis": 2, "epsilon": 0.1}),
    Case("LayerNormalization", (_X, (4,), (4,)), {"axis": -1}, outputs=3),
    Case("RMSNormalization", (_X, (4,)), {"epsilon": 0.1}, 23),
    Case("RMSNormalization", (_X, (5, 4)), {"axis": -2}, 23),
    Case("MeanVarianceNormalization", (_X,)),
    Case("MeanVarianceNormalization", (_X,), {"axes": [1, 2]}, 9),
    Case("LRN", (_X,), {"size": 3, "alpha": 0.3, "beta": 0.6, "bias": 1.5}),
    Case("LRN", (_X,), {"size": 5, "alpha": 0.3}, 9),
    Case("LpNormalization", (_X,), {"p": 1, "axis": 1}),
    Case("LpNormalization", (_X,)),
    Case("LpNormalization", (np.zeros((2, 3), np.float32),), {"axis": 0}, 22, smooth=False),
    *[Case(op, (_X,), a, o) for op in ("Softmax", "LogSoftmax") for o in (7, 11, 13) for a in ({}, {"axis": 2})],
    *[Case(op, (_X,), {"axis": -1}, o, low=-300, high=300) for op in ("Softmax", "LogSoftmax") for o in (11, 13)],
    Case("Hardmax", (_X,), {}, 11, smooth=False),
    Case("Hardmax", (_X,), {"axis": 1}, smooth=False),
]

_PLAIN_ACTIVATIONS = (
    *("Relu", "Sigmoid", "Tanh", "Softplus", "Softsign", "HardSwish"),
    *("Erf", "Elu", "Selu", "Celu", "Exp", "HardSigmoid"),
)
ACTIVATIONS = [
    *[
        Case(op, (_X,))
        for op in [
            "Relu",
            "Sigmoid",
            "Tanh",
            "Softplus",
            "Softsign",
            "HardSwish",
            "Erf",
            "Elu",
            "Selu",
            "Celu",
            "Exp",
        ]
    ],
    Case("Mish", (_X,), {}, 18),
    Case("Gelu", (_X,), {}, 20),
    Case("Gelu", (_X,), {"approximate": "tanh"}, 20),
    Case("Swish", (_X,), {"alpha": 1.5}, 24),
    Case("LeakyRelu", (_X,), {"alpha": 0.3}),
    Case("PRelu", (_X, (6, 1, 1))),
    Case("Elu", (_X,), {"alpha": 0.7}),
    Case("Selu", (_X,), {"alpha": 0.7, "gamma": 1.3}),
    Case("Celu", (_X,), {"alpha": 0.7}),
    Case("HardSigmoid", (_X,), {"alpha": 0.3}),
    Case("HardSwish", (_X,), {}, 14, low=-5, high=5),
    Case("ThresholdedRelu", (_X,), {"alpha": 0.5}, smooth=False),
    Case("Shrink", (_X,), {"lambd": 0.4, "bias": 0.3}, smooth=False),
    Case("Clip", (_X,), {"min": -0.5, "max": 0.5}, 6),
    Case("Clip", (_X, floats(-0.5).reshape(()), floats(1.5).reshape(()))),
    Case("Clip", (_X, None, floats(1.5).reshape(()))),
    Case("Dropout", (_X,), {"ratio": 0.7}, 7),
    Case("Dropout", (_X,), {}, 13),
]

_PLAIN_FUNCTIONS = (
    *("Abs", "Neg", "Sqrt", "Log", "Reciprocal", "Sin", "Cos", "Tan"),
    *("Asin", "Acos", "Atan", "Sinh", "Cosh", "Asinh", "Atanh"),
)
_REDUCTIONS = (
    *("ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceSum"),
    *("ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceSumSquare"),
)
ARITHMETIC = [
    *[Case(op, (_X, (6, 1, 4)), low=0.3) for op in ("Add", "Sub", "Mul", "Div", "Pow")],
    *[
        Case(op, (_X,), low=0.2, high=0.9)
        for op in [
            "Abs",
            "Neg",
            "Sqrt",
            "Log",
            "Reciprocal",
            "Sin",
            "Cos",
            "Tan",
            "Asin",
            "Acos",
            "Atan",
            "Sinh",
            "Cosh",
        ]
    ],
    *[Case(op, (_X,), low=0.2, high=0.9) for op in ("Asinh", "Atanh")],
    Case("Acosh", (_X,), low=1.2, high=3),
    *[Case(op, (_X,), smooth=False) for op in ("Ceil", "Floor", "Round", "Sign")],
    *[Case(op, (_X, (5, 4), (1,))) for op in ("Min", "Max", "Sum", "Mean")],
    Case("Pow", (_X, ints(3)), low=0.3),
    Case("Mod", (_X, (4,)), {"fmod": 1}, low=0.5, smooth=False),
    Case("MatMul", ((2, 3, 4, 5), (3, 5, 2))),
    Case("Gemm", ((5, 3), (4, 5), (4,)), {"alpha": 0.3, "beta": 0.7, "transA": 1, "transB": 1}),
    Case("Gemm", ((3, 5), (5, 4))),
    Case("Einsum", ((2, 3, 4), (2, 4, 5)), {"equation": "bij,bjk->bki"}),
    Case("CumSum", (_X, ints(2).reshape(())), {"reverse": 1, "exclusive": 1}),
    Case("Where", (np.arange(4) % 2 == 0, _X, (5, 1))),
    Case("Mean", ((4,), _X, (5, 1)), {}, 13),
    *[
        Case(op, (_X,), {"axes": [1, -1], "keepdims": 0}, 11, low=0.2)
        for op in [
            "ReduceMean",
            "ReduceMax",
            "ReduceMin",
            "ReduceProd",
            "ReduceL1",
            "ReduceL2",
            "ReduceLogSum",
            "ReduceLogSumExp",
            "ReduceSum",
        ]
    ],
    *[
        Case(op, (_X, ints(2)), {}, 18, low=0.2)
        for op in [
            "ReduceMean",
            "ReduceMax",
            "ReduceMin",
            "ReduceL1",
            "ReduceL2",
            "ReduceLogSumExp",
            "ReduceSum",
            "ReduceSumSquare",
        ]
    ],
    Case("ReduceLogSumExp", (_X,), {"axes": [1]}, 13, low=-1, high=300),
    Case("ReduceMean", (_X, ints()), {"noop_with_empty_axes": 1}, 18),
]

_Q = (2, 4, 5, 8)
ATTENTIONS = [
    Case("Attention", (_Q, (2, 4, 7, 8), (2, 4, 7, 6)), {}, 23),
    Case("Attention", (_Q, (2, 2, 7, 8), (2, 2, 7, 6)), {"scale": 0.3, "softcap": 2.0}, 23),
    Case("Attention", (_Q, (2, 4, 5, 8), (2, 4, 5, 8)), {"is_causal": 1, "softmax_precision": 1}, 23),
    Case("Attention", ((2, 5, 32), (2, 7, 32), (2, 7, 32), (5, 7)), {"q_num_heads": 4, "kv_num_heads": 4}, 23),
    Case("Attention", (_Q, (2, 4, 7, 8), (2, 4, 7, 6), np.arange(35).reshape(5, 7) % 3 > 0), {}, 23),
    Case("RotaryEmbedding", (_Q, (2, 5, 4), (2, 5, 4)), {}, 23),
    Case(
        "RotaryEmbedding",
        (_Q, (9, 4), (9, 4), np.array([[0, 1, 2, 3, 4], [4, 5, 6, 7, 8]])),
        {"interleaved": 1},
        23,
    ),
]

RECURRENCES = [
    Case("LSTM", ((5, 2, 3), (1, 16, 3), (1, 16, 4), (1, 32)), {"hidden_size": 4}, 14, outputs=2),
    Case("GRU", ((5, 2, 3), (1, 12, 3), (1, 12, 4), (1, 24)), {"hidden_size": 4}, 14, outputs=2),
    Case(
        "GRU",
        ((5, 2, 3), (1, 12, 3), (1, 12, 4), (1, 24)),
        {"hidden_size": 4, "linear_before_reset": 1},
        14,
        outputs=2,
    ),
    Case("RNN", ((5, 2, 3), (1, 4, 3), (1, 4, 4), (1, 8)), {"hidden_size": 4}, 14, outputs=2),
]
