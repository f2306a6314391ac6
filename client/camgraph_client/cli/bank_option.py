"""The option `--bank` of `camgraph explain`: a file, a folder of good images, or the bank beside the graph."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

OF_MODEL = "model"
"""Said in place of a file: the bank beside the graph, here or on the server."""


class BankFile(click.Path):
    """The file of a bank, a folder of good images, or `OF_MODEL`."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path, or the word."""
        return value if value == OF_MODEL else super().convert(value, param, ctx)


def is_file(bank: Path | str | None) -> bool:
    """Whether a bank is a file, or a folder, of the caller's own."""
    return bank is not None and bank != OF_MODEL
