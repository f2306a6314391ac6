"""Operators that take several elements together: products with weights, poolings, reductions, normalisations."""

from __future__ import annotations

import math

from camgraph_exporter.graph.traits.trait import MICROSOFT, Trait, row

# Why no gradient passes.
_INDEX = "The result is an index or a choice."

ROWS = [
    # --- products
    row("Conv", Trait.PRODUCT | Trait.SLIDES | Trait.LINEAR | Trait.KERNEL, weights=1),
    row("ConvTranspose", Trait.PRODUCT | Trait.TRANSPOSED | Trait.LINEAR | Trait.KERNEL, weights=1),
    row("DeformConv", Trait.PRODUCT | Trait.SLIDES | Trait.COORDINATES, weights=1),
    row("FusedConv", Trait.PRODUCT | Trait.SLIDES, domain=MICROSOFT, weights=1),
    row("MatMul", Trait.PRODUCT | Trait.MULTIPLIES | Trait.LINEAR | Trait.KERNEL),
    row("FusedMatMul", Trait.PRODUCT | Trait.LOSES_PLACES, domain=MICROSOFT),
    row("Gemm", Trait.PRODUCT | Trait.MIXES_PLACES | Trait.LINEAR | Trait.KERNEL),
    row("FusedGemm", Trait.PRODUCT | Trait.MIXES_PLACES | Trait.LOSES_PLACES, domain=MICROSOFT),
    row("Einsum", Trait.PRODUCT | Trait.MULTIPLIES | Trait.MIXES_PLACES | Trait.LINEAR | Trait.KERNEL),
    row("Det"),
    # --- poolings
    row("MaxPool", Trait.POOLS | Trait.SLIDES | Trait.CHOOSES | Trait.KEEPS_RANGE | Trait.KEEPS_SCALE),
    row("AveragePool", Trait.POOLS | Trait.SLIDES | Trait.LINEAR | Trait.OR_ZERO),
    row("LpPool", Trait.POOLS | Trait.SLIDES, bounds=(0, math.inf)),
    row("MaxUnpool", Trait.TRANSPOSED | Trait.LINEAR | Trait.OR_ZERO),
    row(
        "GlobalMaxPool",
        Trait.POOLS
        | Trait.CHANNELS_SECOND
        | Trait.MIXES_PLACES
        | Trait.CHOOSES
        | Trait.KEEPS_RANGE
        | Trait.KEEPS_SCALE,
    ),
    row(
        "GlobalAveragePool",
        Trait.POOLS | Trait.CHANNELS_SECOND | Trait.MIXES_PLACES | Trait.LINEAR | Trait.KEEPS_RANGE,
    ),
    row("GlobalLpPool", Trait.POOLS | Trait.CHANNELS_SECOND | Trait.MIXES_PLACES, bounds=(0, math.inf)),
    # --- reductions
    row("ReduceSum", Trait.REDUCES | Trait.ADDS | Trait.LINEAR),
    row("ReduceMean", Trait.REDUCES | Trait.ADDS | Trait.LINEAR | Trait.KEEPS_RANGE),
    row("ReduceMax", Trait.REDUCES | Trait.CHOOSES | Trait.KEEPS_RANGE | Trait.KEEPS_SCALE),
    row("ReduceMin", Trait.REDUCES | Trait.CHOOSES | Trait.KEEPS_RANGE | Trait.KEEPS_SCALE),
    row("ReduceProd", Trait.REDUCES),
    row("ReduceL1", Trait.REDUCES, bounds=(0, math.inf)),
    row("ReduceL2", Trait.REDUCES, bounds=(0, math.inf)),
    row("ReduceSumSquare", Trait.REDUCES, bounds=(0, math.inf)),
    row("ReduceLogSum", Trait.REDUCES),
    row("ReduceLogSumExp", Trait.REDUCES),
    row("ArgMax", Trait.REDUCES | Trait.INDEXES, stop=_INDEX),
    row("ArgMin", Trait.REDUCES | Trait.INDEXES, stop=_INDEX),
    row("CumSum", Trait.MIXES_PLACES | Trait.LINEAR),
    row("CumProd", Trait.MIXES_PLACES),
    # --- normalisations
    row("BatchNormalization", Trait.NORMALISES | Trait.AFFINE | Trait.CHANNELS_SECOND | Trait.LINEAR | Trait.KERNEL),
    row("InstanceNormalization", Trait.NORMALISES | Trait.CHANNELS_SECOND | Trait.MIXES_PLACES),
    row("GroupNormalization", Trait.NORMALISES | Trait.CHANNELS_SECOND | Trait.MIXES_PLACES),
    row("LayerNormalization", Trait.NORMALISES | Trait.FROM_AXIS),
    row("SkipLayerNormalization", Trait.NORMALISES, domain=MICROSOFT),
    row("RMSNormalization", Trait.NORMALISES | Trait.FROM_AXIS),
    row("MeanVarianceNormalization", Trait.NORMALISES | Trait.MIXES_PLACES),
    row("LpNormalization", Trait.NORMALISES | Trait.OVER_AXIS | Trait.MIXES_PLACES),
    row("LRN", Trait.NORMALISES | Trait.CHANNELS_SECOND),
    row("Softmax", Trait.OVER_AXIS, bounds=(0, 1)),
    row("LogSoftmax", Trait.OVER_AXIS, bounds=(-math.inf, 0)),
    row("Hardmax", Trait.OVER_AXIS, bounds=(0, 1), stop=_INDEX),
    # --- sequences and frequencies
    row("Attention", Trait.MIXES_PLACES),
    row("LinearAttention", Trait.MIXES_PLACES),
    row("CausalConvWithState", Trait.MIXES_PLACES),
    row("RotaryEmbedding"),
    row("SwiGLU"),
    row("RNN", Trait.MIXES_PLACES | Trait.LOSES_PLACES),
    row("LSTM", Trait.MIXES_PLACES | Trait.LOSES_PLACES),
    row("GRU", Trait.MIXES_PLACES | Trait.LOSES_PLACES),
    row("DFT", Trait.MIXES_PLACES | Trait.LOSES_PLACES),
    row("STFT", Trait.MIXES_PLACES | Trait.LOSES_PLACES),
    # --- losses
    row("NegativeLogLikelihoodLoss", Trait.MIXES_PLACES),
    row("SoftmaxCrossEntropyLoss", Trait.MIXES_PLACES),
]
