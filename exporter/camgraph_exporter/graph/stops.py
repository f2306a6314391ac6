"""Operators through which no gradient passes by their nature: a stop, not a gap.

An operator whose result is not a real number (indices, truth values, counts) stops the gradient even without a line
here; the lines give the reason, which the page of supported operators prints.
"""

import onnx_ir as ir

_BY_REASON = {
    "The result depends on the shape alone.": "Shape Size",
    "The result depends on what is there, not on its values.": "SequenceLength OptionalHasElement",
    "There is no input.": "Constant RandomNormal RandomUniform SequenceEmpty",
    "The inputs are counts and sizes.": "BlackmanWindow HammingWindow HannWindow MelWeightMatrix",
    "The inputs are bytes, text or word numbers.": (
        "ImageDecoder RegexFullMatch StringConcat StringNormalizer StringSplit TfIdfVectorizer"
    ),
    "The result is an index or a choice.": "ArgMax ArgMin Hardmax NonMaxSuppression NonZero Unique",
    "The result is a truth value.": "And Equal Greater GreaterOrEqual IsInf IsNaN Less LessOrEqual Not Or Xor",
    "The derivative is zero wherever it exists.": "Ceil Floor Round Sign",
    "The result does not depend on the values of the input.": (
        "ConstantOfShape EyeLike RandomNormalLike RandomUniformLike"
    ),
    "The result is drawn at random.": "Bernoulli Multinomial",
    "The operands are bit patterns.": "BitCast BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor",
}

# Operators of the standard, each with the reason.
STOPS = {op_type: why for why, op_types in _BY_REASON.items() for op_type in op_types.split()}


def is_stop(node: ir.Node) -> bool:
    """Tell whether an operator has no derivative by its nature, so that no gradient passes it."""
    return node.domain == "" and node.op_type in STOPS
