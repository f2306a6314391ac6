"""Quantisers, and operators that compute on quantised integers what their twins compute on real numbers."""

from __future__ import annotations

from camgraph_exporter.graph.traits.trait import Trait, row

_MICROSOFT = "com.microsoft"

ROWS = [
    row("QuantizeLinear", Trait.QUANTISES | Trait.ELEMENTWISE),
    row("QuantizeLinear", Trait.QUANTISES | Trait.ELEMENTWISE, domain=_MICROSOFT),
    # Its scale follows the range of all elements, so that it is not element-wise.
    row("DynamicQuantizeLinear", Trait.QUANTISES),
    row("DequantizeLinear", Trait.DEQUANTISES | Trait.ELEMENTWISE),
    row("DequantizeLinear", Trait.DEQUANTISES | Trait.ELEMENTWISE, domain=_MICROSOFT),
    row("ConvInteger", Trait.PRODUCT | Trait.SLIDES | Trait.ACCUMULATES, weights=1, twin="Conv"),
    row("MatMulInteger", Trait.PRODUCT | Trait.ACCUMULATES, twin="MatMul"),
    row("QLinearConv", Trait.PRODUCT | Trait.SLIDES, weights=3, twin="Conv"),
    row("QLinearMatMul", Trait.PRODUCT, twin="MatMul"),
    row("QGemm", Trait.PRODUCT | Trait.MIXES_PLACES, domain=_MICROSOFT, twin="Gemm"),
    row("QLinearAdd", domain=_MICROSOFT, twin="Add"),
    row("QLinearMul", domain=_MICROSOFT, twin="Mul"),
    row("QLinearAveragePool", Trait.POOLS | Trait.SLIDES, domain=_MICROSOFT, twin="AveragePool"),
    row(
        "QLinearGlobalAveragePool",
        Trait.POOLS | Trait.CHANNELS_SECOND | Trait.MIXES_PLACES,
        domain=_MICROSOFT,
        twin="GlobalAveragePool",
    ),
    row("QLinearConcat", domain=_MICROSOFT, twin="Concat"),
    row("QLinearLeakyRelu", domain=_MICROSOFT, twin="LeakyRelu"),
    row("QLinearSigmoid", domain=_MICROSOFT, twin="Sigmoid"),
    row("QLinearSoftmax", domain=_MICROSOFT, twin="Softmax"),
]
