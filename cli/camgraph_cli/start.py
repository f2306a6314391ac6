"""The console script `camgraph`, which says what to install where the command line's own packages are missing."""

from __future__ import annotations

import sys


def main() -> None:
    """Runs the command line."""
    try:
        from camgraph_cli.main import main as run  # noqa: PLC0415 - it needs packages of an extra
    except ModuleNotFoundError as error:
        if error.name != "click":
            raise
        sys.exit(
            f"Error: The command line needs the package {error.name!r}: install it with pip install 'camgraph[cli]'."
        )
    run()
