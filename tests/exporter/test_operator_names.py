"""What an operator is stands in its row of traits: no other file has a table of operators by name."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import onnx
import pytest

EXPORTER = Path(__file__).resolve().parents[2] / "exporter/camgraph_exporter"
NAMES = {schema.name for schema in onnx.defs.get_all_schemas_with_history()}

# The rows themselves, and where rules register themselves by name.
ROOMS = ("graph/traits/", "vjp/rules/")
# Tables by name all the same, and why.
REASONS = {
    "assemble/guided.py GUIDED_RULES": "rules, as functions",
    "reading/axes.py _READERS": "functions; tests/exporter/test_traits.py holds them to the traits",
    "reading/placement/follow.py _READERS": "functions; tests/exporter/test_traits.py holds them to the traits",
    "prepare/fusions.py _ACTIVATION_PARAMETERS": "spellings of an attribute of FusedConv",
    "prepare/fusions.py _FUSIONS": "functions; of onnxruntime's own operators, two with a standard one's name",
    "score/output_head.py HEAD_KINDS": "values of an enum of the manifest",
    "float64/convert.py _TYPE_ATTRIBUTES": "spellings of attributes; the evaluator knows nothing of the exporter",
    "float64/evaluator.py _ROUNDED_TO_FLOAT32": "what onnx.reference rounds; it knows nothing of the exporter",
}


def collections(tree: ast.AST) -> Iterator[tuple[ast.AST, int]]:
    """The collections in a tree, words in one string among them, each with the number of operators that it names."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Set | ast.List | ast.Tuple | ast.Dict):
            elements = node.keys if isinstance(node, ast.Dict) else node.elts
            named = [e.value for e in elements if isinstance(e, ast.Constant) and isinstance(e.value, str)]
            yield node, len(NAMES.intersection(named))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            words = node.value.split()
            yield node, len(words) if NAMES.issuperset(words) else 0


def tables(source: str) -> Iterator[str]:
    """The names of a module's tables of two or more operators, and the lines where functions list three or more."""
    for statement in ast.parse(source).body:
        if isinstance(statement, ast.Assign | ast.AnnAssign):
            if any(count >= 2 for _, count in collections(statement)):
                targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
                yield " ".join(ast.unparse(target) for target in targets)
        else:
            yield from (f"line {node.lineno}" for node, count in collections(statement) if count >= 3)  # type: ignore[attr-defined]  # literals have lines


def test_no_table_of_operators_beside_the_traits() -> None:
    found = {
        f"{path.relative_to(EXPORTER).as_posix()} {table}"
        for path in EXPORTER.rglob("*.py")
        if not path.relative_to(EXPORTER).as_posix().startswith(ROOMS)
        for table in tables(path.read_text(encoding="utf-8"))
    }
    assert found == REASONS.keys()


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ('POOLS = {"MaxPool", "AveragePool"}', ["POOLS"]),
        ('WEIGHTS: dict[str, int] = {"Conv": 1, "Gemm": 1}', ["WEIGHTS"]),
        ('LOSSY = NAMES | frozenset(("Round", "Floor"))', ["LOSSY"]),
        ('STOPS = "Shape Size".split()', ["STOPS"]),
        ('def f(x):\n    return x in {"Add", "Sub", "Mul"}', ["line 2"]),
        ('def f(x):\n    return x in {"Add", "Sub"}', []),
        ('ONE = {"Conv"}\nWORDS = ("conv", "pool")', []),
    ],
)
def test_a_table_is_found(source: str, found: list[str]) -> None:
    assert list(tables(source)) == found
