"""Generates the types of `op.Mul(a, b)`: the emitter's operators, as the ONNX standard has them.

With --check it says whether the committed file is current. The operators are those of the opsets that a graph may have.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

import onnx
from onnx.defs import OpSchema

from camgraph_exporter.prepare.prepare import LOWEST_OPSET
from operator_page import NEWEST_OPSET

_STUB = Path(__file__).resolve().parent.parent / "exporter/camgraph_exporter/graph/standard_operators.pyi"
_HEAD = '''"""Made by scripts/generate_operators.py from the ONNX standard; `make lint` fails when it is stale."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

Given = ir.Value | np.ndarray[Any, Any] | Sequence[float] | float | int
Argument = Given | None

class StandardOperators:
'''
_TYPES = {
    OpSchema.AttrType.FLOAT: "float",
    OpSchema.AttrType.FLOATS: "Sequence[float]",
    OpSchema.AttrType.INT: "int",
    OpSchema.AttrType.INTS: "Sequence[int]",
    OpSchema.AttrType.STRING: "str",
    OpSchema.AttrType.STRINGS: "Sequence[str]",
}


def main() -> int:
    """Runs the command; returns 0 if the file is current in the end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if the file is stale")
    parser.add_argument("--stub", type=Path, default=_STUB, help="the file")
    options = parser.parse_args()
    text = make()
    if options.stub.is_file() and options.stub.read_text("utf-8") == text:
        return 0
    if options.check:
        print(f"{options.stub} is stale. Run `.venv/bin/python scripts/generate_operators.py`.", file=sys.stderr)
        return 1
    options.stub.write_text(text, encoding="utf-8")
    return 0


def make() -> str:
    """The whole file: one line per operator."""
    versions: dict[str, list[OpSchema]] = {}
    for schema in onnx.defs.get_all_schemas_with_history():
        if schema.domain == "" and schema.since_version <= NEWEST_OPSET:
            versions.setdefault(schema.name, []).append(schema)
    return _HEAD + "".join(f"    {_signature(name, _in_use(versions[name]))}\n" for name in sorted(versions))


def _in_use(schemas: Iterable[OpSchema]) -> list[OpSchema]:
    """The versions of an operator that the opsets have from the lowest on, the newest first."""
    newest_first = sorted(schemas, key=lambda schema: schema.since_version, reverse=True)
    later = [schema for schema in newest_first if schema.since_version > LOWEST_OPSET]
    return [*later, *(schema for schema in newest_first[len(later) : len(later) + 1])]


def _signature(name: str, schemas: list[OpSchema]) -> str:
    """A method that takes what any of the versions takes."""
    inputs = max((schema.inputs for schema in schemas), key=len)
    required = min(sum(not _may_be_left_out(each) for each in schema.inputs) for schema in schemas)
    attributes = sorted({key for schema in schemas for key in schema.attributes})
    arguments = ["self"]
    for index, each in enumerate(inputs):
        if each.option == OpSchema.FormalParameterOption.Variadic:
            arguments.append("*inputs: Given")
        else:
            # What older versions have as an attribute newer ones have as an input of the same name.
            place = f"{each.name}_input" if each.name in attributes else each.name
            arguments.append(f"{place}: Given" if index < required else f"{place}: Argument = None")
    is_variadic = arguments[-1].startswith("*")
    if attributes and not is_variadic:
        arguments.append("*")
    if not is_variadic and inputs:
        arguments.insert(len(inputs) + 1, "/")
    arguments += [_attribute(attribute, schemas) for attribute in attributes]
    return f"def {name}({', '.join(arguments)}) -> ir.Value: ..."


def _may_be_left_out(given: OpSchema.FormalParameter) -> bool:
    return given.option != OpSchema.FormalParameterOption.Single


def _attribute(name: str, schemas: list[OpSchema]) -> str:
    """An attribute, which needs to be given where every version requires it."""
    found = [schema.attributes[name] for schema in schemas if name in schema.attributes]
    kind = _TYPES.get(found[0].type, "object")
    if len(found) == len(schemas) and all(attribute.required for attribute in found):
        return f"{name}: {kind}"
    return f"{name}: {kind} | None = None"


if __name__ == "__main__":
    sys.exit(main())
