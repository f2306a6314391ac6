"""An evaluator of ONNX models in float64, with NumPy: a product of its own, which knows nothing of gradients.

`Float64Evaluator(model).run(names, feeds)` computes any values of a model to about fifteen digits, also from the
middle of the graph. It extends `onnx.reference`: `evaluator.py` plans and runs, `convert.py` turns a model to double,
and the other files hold the operators that `onnx.reference` lacks, rounds to float32 or computes slowly.
"""

from camgraph_exporter.float64.evaluator import Float64Evaluator, to_float64

__all__ = ["Float64Evaluator", "to_float64"]
