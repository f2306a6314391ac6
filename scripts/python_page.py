"""Makes docs/python.md from the packages themselves: functions with their keywords, and all public names."""

from __future__ import annotations

import dataclasses
import inspect
from types import ModuleType
from typing import Any

import camgraph_client
import camgraph_exporter
import camgraph_runtime
from camgraph_core.settings import Declared, declared, nested
from camgraph_exporter.image.options import PRESETS
from camgraph_exporter.options import ExportOptions, InspectOptions, VerifyOptions
from explain_page import explain_parts
from page_text import paragraph, table

PACKAGES = {
    "camgraph_exporter": camgraph_exporter,
    "camgraph_runtime": camgraph_runtime,
    "camgraph_client": camgraph_client,
}

_INTRODUCTION = """
Every package has one flat namespace. A name is imported when it is used. Errors are of one tree, whose root is
`CamgraphError`; each message says what is wrong, where, and what to do.
"""

_EXPORT = """
```python
from camgraph_exporter import Input, export, inspect, verify

inspection = inspect("model.onnx")
names = [candidate.layer.name for candidate in inspection.candidates]  # the best first
exported = export("model.onnx", "model.cam.onnx", layers=names[0], gradients=True, input=Input.preset("imagenet"))
print(exported.manifest.layers[0].name, *exported.manifest.notes)
assert verify("model.cam.onnx").passed
```
"""

_EXPORT_WORDS = """
A source is the path of an `.onnx` file, of a TorchScript file or of a program of `torch.export`; an `onnx.ModelProto`;
a PyTorch module ([PyTorch modules](pytorch.md)); or text `package.module:factory`. Without a target the graph stays in
memory: `exported.model` is the `onnx.ModelProto`, and `exported.save(path)` writes it. Each keyword is an option of the
[command line](cli.md) too, except those in the second table.
"""

_EXPLAIN = """
```python
from camgraph_runtime import Explainer, Target

explainer = Explainer("model.cam.onnx")
result = explainer.explain("cat.png", targets=[Target.index(1)], top_k=2)
print(result.predictions[0].label, result.explanations[0].heatmap.shape)
```
"""

_EXPLAIN_WORDS = """
`camgraph_client` gives the same values from a server ([Protocol](api.md#from-python)).
"""

# What has no docstring of its own.
_WORDS = {
    "FORMAT_VERSION": "Newest version of the manifest that this runtime reads.",
    "METADATA_KEY": "Key of the manifest in the metadata of a graph.",
    "Manifest": "What a graph says about itself; a message of `manifest.proto`.",
    "PRESETS": "Common ways to prepare photos, by name.",
    "ProgressCallback": "Type of a function that is told how far the work is.",
    "Source": "Type of all that can be exported.",
}


def make() -> str:
    """The whole page."""
    return "\n\n".join(
        [
            "# Python",
            "<!-- Made by scripts/generate_pages.py from the packages; a test fails when it is stale. -->",
            paragraph(_INTRODUCTION),
            "## Export",
            _EXPORT.strip(),
            paragraph(_EXPORT_WORDS),
            "### `export(source, target=None, **keywords)`",
            *_keywords(ExportOptions),
            "### `inspect(source, **keywords)`",
            *_keywords(InspectOptions),
            "### `verify(graph, **keywords)`",
            *_keywords(VerifyOptions),
            "### `Input(**keywords)`",
            paragraph(_doc(camgraph_exporter.Input, lines=4)),
            *_keywords(camgraph_exporter.Input),
            "The presets, also of `--preset`:",
            table(["preset", "tensor"], [[f"`{name}`", preset.summary] for name, preset in PRESETS.items()]),
            "## Explain",
            _EXPLAIN.strip(),
            paragraph(_EXPLAIN_WORDS),
            *explain_parts(),
            "## All names",
            *(part for name, package in PACKAGES.items() for part in _names(name, package)),
        ]
    )


def _keywords(options: type) -> list[str]:
    defaults = {field.name: _default(field) for field in dataclasses.fields(options)}
    rows = [[f"`{item.field}`", defaults[item.field], _words(item)] for item in declared(options)]
    of_python = {f"`{item.field}`" for item in declared(options) if item.setting.of_python}
    own = [row for row in rows if row[0] not in of_python]
    own += [[f"`{field}`", "", f"An `{kind.__name__}`: {_doc(kind)}"] for field, kind in nested(options)]
    header = ["keyword", "default", "what it does"]
    tables = [own, [row for row in rows if row[0] in of_python]]
    return [table(header, part) for part in tables if part]


def _words(item: Declared) -> str:
    choices = f" One of {', '.join(f'`{choice}`' for choice in item.choices)}." if item.choices else ""
    return item.setting.help + choices


def _default(field: dataclasses.Field[Any]) -> str:
    value = None if field.default is dataclasses.MISSING else field.default
    return "" if value is None or value in ("", ()) else f"`{value}`"


def _names(name: str, package: ModuleType) -> list[str]:
    rows = [[f"`{public}`", _WORDS.get(public) or _doc(getattr(package, public))] for public in sorted(package.__all__)]
    return [f"### `{name}`", table(["name", "what it is"], rows)]


def _doc(value: object, *, lines: int = 1) -> str:
    text = inspect.getdoc(value)
    assert text, f"{value!r} has no docstring."
    return " ".join(" ".join(text.splitlines()[:lines]).split())
