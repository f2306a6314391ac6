"""The model that a command is about: a file, or a function that builds a PyTorch module."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from camgraph_core.errors import UsageError
from camgraph_exporter.frontends.factory import check_factory

Command = TypeVar("Command", bound=Callable[..., None])


def source_arguments(command: Command) -> Command:
    """Add the argument MODEL and the option `--torch`; the command gets both as `model` and `factory`."""
    by_function = click.option(
        "--torch", "factory", metavar="PACKAGE.MODULE:FACTORY", help="Function that builds a PyTorch module."
    )
    return click.argument("model", type=click.Path(path_type=Path), required=False)(by_function(command))


def source_of(model: Path | None, factory: str | None) -> Path | str:
    """Return what the functions of the exporter take.

    Raises:
        UsageError: both or none were given, or the factory is not written as one.

    """
    if model is not None and factory is not None:
        raise UsageError("Give either MODEL or --torch, not both.")
    if factory is not None:
        check_factory(factory)
        return factory
    if model is None:
        raise UsageError("Give MODEL, the path of an .onnx file, or --torch package.module:factory.")
    return model
