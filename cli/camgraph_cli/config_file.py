"""Option values from a TOML file: one table per command, one key per option.

::

    [serve]
    model-repository = "models"
    listen = "0.0.0.0:8500"
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import click

from camgraph_core.names import closest_names


def read_defaults(path: Path, command: click.Command, name: str) -> dict[str, Any]:
    """Reads the table `[name]` of a TOML file as defaults for the command's parameters.

    Keys are option names, with `-` or `_`. An option that may be repeated takes an array or one value.

    Raises:
        click.UsageError: the file cannot be read or is no TOML; the table is missing; a key is no option.
    """
    tables = _read_toml(path)
    table = tables.get(name)
    if not isinstance(table, dict):
        raise click.UsageError(f"{path} has no table [{name}]; put the options of this command under it.")
    parameters = {public_name(parameter): parameter for parameter in command.params}
    return dict(_entry(path, name, key, value, parameters) for key, value in table.items())


def public_name(parameter: click.Parameter) -> str:
    """The name of a parameter in files and environment: its long flag with `_`, whatever the code calls it."""
    flags = [flag for flag in parameter.opts if flag.startswith("--")]
    return flags[0].removeprefix("--").replace("-", "_") if flags else parameter.name or ""


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise click.UsageError(f"Cannot read the config file {path}: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise click.UsageError(f"The config file {path} is not valid TOML: {error}.") from error


def _entry(path: Path, table: str, key: str, value: Any, parameters: Mapping[str, click.Parameter]) -> tuple[str, Any]:
    name = key.replace("-", "_")
    if name not in parameters:
        raise click.UsageError(f"{path}: [{table}] has no option {key!r}{_closest(name, parameters)}.")
    parameter = parameters[name]
    if _takes_many(parameter) and not isinstance(value, list):
        value = [value]  # click would iterate over the characters of a string
    return parameter.name or name, value


def _takes_many(parameter: click.Parameter) -> bool:
    return parameter.multiple or parameter.nargs != 1


def _closest(name: str, known: Iterable[str]) -> str:
    matches = closest_names(name, known, count=1)
    return f"; the closest is {matches[0].replace('_', '-')!r}" if matches else ""
