"""What the page of Python says of `explain`: its keywords and the outputs, read off the code."""

from __future__ import annotations

import inspect
import re

from camgraph_core.explains import Explains
from camgraph_core.outputs import OUTPUTS, OutputKind, Outputs
from page_text import table


def explain_parts() -> list[str]:
    """The keywords of `explain`, and what an explanation gives."""
    return ["### `explain(image=None, **keywords)`", _keywords(), "### Outputs of an explanation", _outputs()]


def _keywords() -> str:
    words = described(Explains.explain, "Args")
    parameters = list(inspect.signature(Explains.explain).parameters.values())[2:]
    rows = [[f"`{item.name}`", _default(item.default), words[item.name]] for item in parameters]
    return table(["keyword", "default", "what it does"], rows)


def _outputs() -> str:
    words = described(Outputs, "Attributes")
    attributes = {name: row.attribute or name.replace("-", "_") for name, row in OUTPUTS.items()}
    rows = [
        [f"`{name}`", f"`{attributes[name]}`", words.get(attributes[name], ""), _needs(row)]
        for name, row in OUTPUTS.items()
    ]
    return table(["name in `outputs=`", "attribute", "what it is", "needs"], rows)


def _needs(row: OutputKind) -> str:
    needs = {"a photo": row.needs_photo, "Guided Grad-CAM": row.needs_guided, "a scaled map": row.needs_unit_range}
    return ", ".join(need for need, is_needed in needs.items() if is_needed)


def _default(value: object) -> str:
    return "" if value is None or value in ("", ()) else f"`{value}`"


def described(documented: object, section: str) -> dict[str, str]:
    """The entries of a section of a docstring, by name."""
    text = inspect.getdoc(documented) or ""
    body = text.partition(f"\n{section}:\n")[2]
    body = re.split(r"\n(?=\S)", body)[0]
    entries = re.findall(r"^    (\w+): (.*(?:\n {8}.*)*)", body, re.MULTILINE)
    return {name: " ".join(words.split()) for name, words in entries}
