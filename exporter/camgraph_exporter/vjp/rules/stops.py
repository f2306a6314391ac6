"""Operators through which no gradient passes by their nature: a stop, not a gap.

An operator whose result is not a real number (indices, truth values, counts) stops the gradient even without a line
here; the lines give the reason, which the page of supported operators prints.
"""

from __future__ import annotations

from camgraph_exporter.vjp.registry import nondifferentiable

nondifferentiable("Shape", "Size", why="The result depends on the shape alone.")
nondifferentiable("SequenceLength", "OptionalHasElement", why="The result depends on what is there, not on its values.")
nondifferentiable("Constant", "RandomNormal", "RandomUniform", "SequenceEmpty", why="There is no input.")
nondifferentiable(
    *("BlackmanWindow", "HammingWindow", "HannWindow", "MelWeightMatrix"), why="The inputs are counts and sizes."
)
nondifferentiable(
    *("ImageDecoder", "RegexFullMatch", "StringConcat", "StringNormalizer", "StringSplit", "TfIdfVectorizer"),
    why="The inputs are bytes, text or word numbers.",
)
nondifferentiable(
    *("ArgMax", "ArgMin", "Hardmax", "NonMaxSuppression", "NonZero", "Unique"),
    why="The result is an index or a choice.",
)
nondifferentiable(
    *("And", "Equal", "Greater", "GreaterOrEqual", "IsInf", "IsNaN", "Less", "LessOrEqual", "Not", "Or", "Xor"),
    why="The result is a truth value.",
)
nondifferentiable("Ceil", "Floor", "Round", "Sign", why="The derivative is zero wherever it exists.")
nondifferentiable(
    *("ConstantOfShape", "EyeLike", "RandomNormalLike", "RandomUniformLike"),
    why="The result does not depend on the values of the input.",
)
nondifferentiable("Bernoulli", "Multinomial", why="The result is drawn at random.")
nondifferentiable(
    *("BitCast", "BitShift", "BitwiseAnd", "BitwiseNot", "BitwiseOr", "BitwiseXor"),
    why="The operands are bit patterns.",
)
