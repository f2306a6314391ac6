"""Rows for softmax inside a network."""

from exporter.op_cases.case import Input, OpCase

CASES = [
    OpCase("Softmax-last", "Softmax", [Input(("N", 3, 5))]),
    OpCase("Softmax-channels", "Softmax", [Input(("N", 3, 4, 2))], {"axis": 1}),
    OpCase("LogSoftmax-last", "LogSoftmax", [Input(("N", 3, 5))]),
    OpCase("LogSoftmax-channels", "LogSoftmax", [Input(("N", 3, 4, 2))], {"axis": 1}),
]
