"""What `camgraph --help` says of a command, read from its source: importing all commands takes a second."""

from __future__ import annotations

import ast
from importlib.abc import InspectLoader
from importlib.metadata import EntryPoint
from importlib.util import find_spec

import click


def listed(entry: EntryPoint) -> click.Command | None:
    """A stand-in for the command that has its name and help, and does nothing.

    Returns:
        None where the source does not tell: it is not there, or the command's help is not the docstring of a function
        under a plain `@click.command()`.

    """
    try:
        function = _function(entry)
    except (ImportError, SyntaxError):
        return None
    if function is None or not any(map(_is_plain, function.decorator_list)):
        return None
    return click.Command(entry.name, help=ast.get_docstring(function))


def _function(entry: EntryPoint) -> ast.FunctionDef | None:
    """The function that an entry point names; this imports the packages around its module, but not the module."""
    spec = find_spec(entry.module)
    loader = None if spec is None else spec.loader
    source = loader.get_source(entry.module) if isinstance(loader, InspectLoader) else None
    body = ast.parse(source or "").body
    return next((node for node in body if isinstance(node, ast.FunctionDef) and node.name == entry.attr), None)


def _is_plain(decorator: ast.expr) -> bool:
    """Whether it is `@click.command()`; with arguments, it may say another help or hide the command."""
    return ast.unparse(decorator) == "click.command()"
