"""Operators through which no gradient passes by their nature: a stop, not a gap."""

from __future__ import annotations

from camgraph_exporter.vjp.registry import nondifferentiable

nondifferentiable("Shape", "Size", why="The result depends on the shape alone.")
nondifferentiable("ArgMax", "ArgMin", "NonZero", "Hardmax", "Unique", "NonMaxSuppression", why="The result is an index or a choice.")
nondifferentiable("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "And", "Or", "Xor", "Not", "IsNaN", "IsInf", why="The result is a truth value.")
nondifferentiable("Ceil", "Floor", "Round", "Sign", why="The derivative is zero wherever it exists.")
nondifferentiable("ConstantOfShape", "EyeLike", "Range", "RandomNormalLike", "RandomUniformLike", "Bernoulli", why="The result does not depend on the values of the input.")
nondifferentiable("BitShift", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "BitwiseNot", why="The operands are bit patterns.")
