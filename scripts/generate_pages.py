"""Generates the pages of docs/ that say what the code has: operators, options, methods, the Python API and a schema.

With --check it writes nothing and says whether the committed pages are current.
"""

from __future__ import annotations

import argparse
import json
import sys
import tomllib
from pathlib import Path

import mdformat

import cli_page
import method_page
import metrics_page
import operator_page
import python_page
from camgraph_cli.settings_text import schema
from camgraph_server.config import ServerConfig

_ROOT = Path(__file__).resolve().parent.parent
_DOCS = _ROOT / "docs"
PAGES = {
    "operators.md": operator_page.make,
    "cli.md": cli_page.make,
    "methods.md": method_page.make,
    "observing.md": metrics_page.make,
    "python.md": python_page.make,
}


def _schema_of_serve() -> str:
    return json.dumps(schema("serve", ServerConfig), indent=2) + "\n"


SCHEMAS = {"serve.schema.json": _schema_of_serve}


def main() -> int:
    """Runs the command; returns 0 if the pages are current in the end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if a page is stale")
    parser.add_argument("--docs", type=Path, default=_DOCS, help="folder of the pages")
    options = parser.parse_args()
    style = tomllib.loads((_ROOT / ".mdformat.toml").read_text("utf-8"))
    pages = {
        options.docs / name: mdformat.text(make(), options=style, extensions={"gfm"}) for name, make in PAGES.items()
    } | {options.docs / name: make() for name, make in SCHEMAS.items()}
    stale = {path: text for path, text in pages.items() if not path.is_file() or path.read_text("utf-8") != text}
    for path, text in stale.items():
        if options.check:
            print(f"{path} is stale. Run `.venv/bin/python scripts/generate_pages.py`.", file=sys.stderr)
        else:
            path.write_text(text, encoding="utf-8")
            print(f"wrote {path}")
    return 1 if options.check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
