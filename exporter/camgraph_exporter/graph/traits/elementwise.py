"""Operators that compute each element from those at its place: arithmetic, functions, activations, comparisons."""

from __future__ import annotations

import math

from camgraph_exporter.graph.traits.trait import MICROSOFT, Trait, row

_HALF_PI = math.pi / 2
# Why no gradient passes.
_TRUTH = "The result is a truth value."
_FLAT = "The derivative is zero wherever it exists."
_BITS = "The operands are bit patterns."

ROWS = [
    # --- several inputs
    row("Add", Trait.ARITHMETIC | Trait.SHIFTS | Trait.ADDS | Trait.LINEAR | Trait.KERNEL),
    row("Sub", Trait.ARITHMETIC | Trait.SHIFTS | Trait.LINEAR | Trait.KERNEL),
    row("Mul", Trait.ARITHMETIC | Trait.AFFINE | Trait.MULTIPLIES | Trait.LINEAR | Trait.KERNEL),
    row("Div", Trait.ARITHMETIC | Trait.AFFINE),
    row("Pow", Trait.ARITHMETIC),
    row("Mod", Trait.ARITHMETIC),
    row("Min", Trait.ARITHMETIC | Trait.CLAMPS | Trait.KEEPS_RANGE),
    row("Max", Trait.ARITHMETIC | Trait.CLAMPS | Trait.KEEPS_RANGE),
    row("Sum", Trait.ARITHMETIC | Trait.SHIFTS | Trait.ADDS | Trait.LINEAR | Trait.KERNEL),
    row("Mean", Trait.ARITHMETIC | Trait.AFFINE | Trait.ADDS | Trait.LINEAR | Trait.KEEPS_RANGE),
    row("Where", Trait.SELECTS),
    # --- functions of one variable
    row("Neg", Trait.ELEMENTWISE | Trait.AFFINE | Trait.LINEAR),
    row("Abs", Trait.ELEMENTWISE, bounds=(0, math.inf)),
    row("Reciprocal", Trait.ELEMENTWISE),
    row("Sqrt", Trait.ELEMENTWISE, bounds=(0, math.inf)),
    row("Exp", Trait.ELEMENTWISE, bounds=(0, math.inf)),
    row("Log", Trait.ELEMENTWISE),
    row("Erf", Trait.ELEMENTWISE, bounds=(-1, 1)),
    row("Sin", Trait.ELEMENTWISE, bounds=(-1, 1)),
    row("Cos", Trait.ELEMENTWISE, bounds=(-1, 1)),
    row("Tan", Trait.ELEMENTWISE),
    row("Asin", Trait.ELEMENTWISE, bounds=(-_HALF_PI, _HALF_PI)),
    row("Acos", Trait.ELEMENTWISE, bounds=(0, math.pi)),
    row("Atan", Trait.ELEMENTWISE, bounds=(-_HALF_PI, _HALF_PI)),
    row("Sinh", Trait.ELEMENTWISE),
    row("Cosh", Trait.ELEMENTWISE, bounds=(1, math.inf)),
    row("Asinh", Trait.ELEMENTWISE),
    row("Acosh", Trait.ELEMENTWISE, bounds=(0, math.inf)),
    row("Atanh", Trait.ELEMENTWISE),
    # --- activations
    row("Relu", Trait.ACTIVATION | Trait.ABSORBED | Trait.KEEPS_SCALE, bounds=(0, math.inf)),
    row("Clip", Trait.ACTIVATION | Trait.CLAMPS | Trait.ABSORBED | Trait.KEEPS_SCALE),
    row("LeakyRelu", Trait.ACTIVATION),
    row("PRelu", Trait.ACTIVATION),
    row("ThresholdedRelu", Trait.ACTIVATION),
    row("Shrink", Trait.ACTIVATION),
    row("Elu", Trait.ACTIVATION),
    row("Selu", Trait.ACTIVATION),
    row("Celu", Trait.ACTIVATION),
    row("Gelu", Trait.ACTIVATION),
    row("Mish", Trait.ACTIVATION),
    row("Swish", Trait.ACTIVATION),
    row("HardSwish", Trait.ACTIVATION),
    row("Sigmoid", Trait.ACTIVATION, bounds=(0, 1)),
    row("HardSigmoid", Trait.ACTIVATION, bounds=(0, 1)),
    row("Tanh", Trait.ACTIVATION, bounds=(-1, 1)),
    row("Softsign", Trait.ACTIVATION, bounds=(-1, 1)),
    row("Softplus", Trait.ACTIVATION, bounds=(0, math.inf)),
    row("Gelu", Trait.ACTIVATION, domain=MICROSOFT),
    row("FastGelu", Trait.ACTIVATION, domain=MICROSOFT),
    row("QuickGelu", Trait.ACTIVATION, domain=MICROSOFT),
    row("BiasGelu", Trait.ACTIVATION, domain=MICROSOFT),
    # --- copies; a Cast is not a mere move, as what integers stand for is lost by it
    row("Identity", Trait.COPIES | Trait.MOVES),
    row("Dropout", Trait.COPIES | Trait.MOVES),
    row("Cast", Trait.COPIES),
    row("CastLike", Trait.COPIES),
    # --- whole numbers, truth values and bits
    row("Ceil", Trait.ROUNDS, stop=_FLAT),
    row("Floor", Trait.ROUNDS, stop=_FLAT),
    row("Round", Trait.ROUNDS, stop=_FLAT),
    row("Sign", Trait.ROUNDS, bounds=(-1, 1), stop=_FLAT),
    row("Equal", Trait.TRUTH, stop=_TRUTH),
    row("Greater", Trait.TRUTH, stop=_TRUTH),
    row("GreaterOrEqual", Trait.TRUTH, stop=_TRUTH),
    row("Less", Trait.TRUTH, stop=_TRUTH),
    row("LessOrEqual", Trait.TRUTH, stop=_TRUTH),
    row("IsInf", Trait.TRUTH, stop=_TRUTH),
    row("IsNaN", Trait.TRUTH, stop=_TRUTH),
    row("And", Trait.TRUTH, stop=_TRUTH),
    row("Or", Trait.TRUTH, stop=_TRUTH),
    row("Xor", Trait.TRUTH, stop=_TRUTH),
    row("Not", Trait.TRUTH, stop=_TRUTH),
    row("BitCast", Trait.ELEMENTWISE, stop=_BITS),
    row("BitShift", Trait.ELEMENTWISE, stop=_BITS),
    row("BitwiseAnd", Trait.ELEMENTWISE, stop=_BITS),
    row("BitwiseNot", Trait.ELEMENTWISE, stop=_BITS),
    row("BitwiseOr", Trait.ELEMENTWISE, stop=_BITS),
    row("BitwiseXor", Trait.ELEMENTWISE, stop=_BITS),
]
