"""Quantisers, and operators that compute on quantised integers what their twins compute on real numbers."""

from __future__ import annotations

from camgraph_exporter.graph.traits.trait import MICROSOFT, Trait, row

ROWS = [
    row("QuantizeLinear", Trait.QUANTISES | Trait.ELEMENTWISE),
    row("QuantizeLinear", Trait.QUANTISES | Trait.ELEMENTWISE, domain=MICROSOFT),
    # Its scale follows the range of all elements, so that it is not element-wise.
    row("DynamicQuantizeLinear", Trait.QUANTISES),
    row("DequantizeLinear", Trait.DEQUANTISES | Trait.ELEMENTWISE),
    row("DequantizeLinear", Trait.DEQUANTISES | Trait.ELEMENTWISE, domain=MICROSOFT),
    row("ConvInteger", Trait.PRODUCT | Trait.SLIDES | Trait.ACCUMULATES, weights=1, twin="Conv"),
    row("MatMulInteger", Trait.PRODUCT | Trait.ACCUMULATES, twin="MatMul"),
    row("QLinearConv", Trait.PRODUCT | Trait.SLIDES, weights=3, twin="Conv"),
    row("QLinearMatMul", Trait.PRODUCT, twin="MatMul"),
    row("QGemm", Trait.PRODUCT | Trait.MIXES_PLACES, domain=MICROSOFT, twin="Gemm"),
    row("QLinearAdd", domain=MICROSOFT, twin="Add"),
    row("QLinearMul", domain=MICROSOFT, twin="Mul"),
    row("QLinearAveragePool", Trait.POOLS | Trait.SLIDES, domain=MICROSOFT, twin="AveragePool"),
    row(
        "QLinearGlobalAveragePool",
        Trait.POOLS | Trait.CHANNELS_SECOND | Trait.MIXES_PLACES,
        domain=MICROSOFT,
        twin="GlobalAveragePool",
    ),
    row("QLinearConcat", domain=MICROSOFT, twin="Concat"),
    row("QLinearLeakyRelu", domain=MICROSOFT, twin="LeakyRelu"),
    row("QLinearSigmoid", domain=MICROSOFT, twin="Sigmoid"),
    row("QLinearSoftmax", domain=MICROSOFT, twin="Softmax"),
]
