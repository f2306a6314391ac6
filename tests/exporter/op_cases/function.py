"""Rows for functions of one number."""

from exporter.op_cases.case import Draw, Input, OpCase, avoiding, between, normal, positive

_DOMAINS: dict[str, Draw] = {
    "Neg": normal,
    "Abs": avoiding(0),
    "Reciprocal": avoiding(0, gap=0.5),
    "Sqrt": positive,
    "Exp": normal,
    "Log": positive,
    "Sin": normal,
    "Cos": normal,
    "Tan": between(-1.2, 1.2),
    "Asin": between(-0.9, 0.9),
    "Acos": between(-0.9, 0.9),
    "Atan": normal,
    "Sinh": normal,
    "Cosh": normal,
    "Asinh": normal,
    "Acosh": between(1.2, 4),
    "Atanh": between(-0.9, 0.9),
}

CASES = [
    OpCase(f"{op_type}-{opset}", op_type, [Input(("N", 3, 4, 2), draw)], opset=opset)
    for op_type, draw in _DOMAINS.items()
    for opset in (13, 22)
]
