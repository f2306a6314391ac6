"""Makes the table of docs/methods.md from the registry of methods; the rest of the page is written by hand."""

from __future__ import annotations

import re
from pathlib import Path

from camgraph_runtime.maps.cam import METHODS, Method
from page_text import table

_PAGE = Path(__file__).resolve().parent.parent / "docs/methods.md"
_TABLE = re.compile(r"(<!-- methods, [^\n]*-->\n).*?(\n<!-- end of methods -->)", re.DOTALL)


def make() -> str:
    """The page."""
    rows = [(f"`{method.name}`", method.formula, _needs(method), method.source) for method in METHODS.values()]
    made = table(("`--method`", "map `[i, j]`", "needs", "source"), rows)
    return _TABLE.sub(lambda found: f"{found[1]}\n{made}\n{found[2]}", _PAGE.read_text(encoding="utf-8"))


def _needs(method: Method) -> str:
    if method.needs_image_gradient:
        return "`--guided`"
    return "`--gradients`" if method.needs_gradients else ""
