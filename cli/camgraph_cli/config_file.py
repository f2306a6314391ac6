"""Option values from a TOML file: one table per command, one key per option.

::

    [serve]
    model-repository = "models"
    listen = "0.0.0.0:8500"
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from camgraph_core.names import closest_names


def read_defaults(path: Path, command: click.Command, name: str) -> tuple[dict[str, Any], list[str]]:
    """Reads the table `[name]` of a TOML file as defaults for the command's parameters.

    Keys are option names, with `-` or `_`. An option that may be repeated takes an array or one value.

    Returns:
        The values by parameter, and a sentence for each key that is no option, or whose value is of another type.

    Raises:
        click.UsageError: The file cannot be read or is no TOML, or the table is missing.
    """
    tables = _read_toml(path)
    table = tables.get(name)
    if not isinstance(table, dict):
        raise click.UsageError(f"{path} has no table [{name}]; put the options of this command under it.")
    parameters = {public_name(parameter): parameter for parameter in command.params}
    values: dict[str, Any] = {}
    problems: list[str] = []
    for key, value in table.items():
        parameter = parameters.get(key.replace("-", "_"))
        if parameter is None:
            problems.append(f"{path}: [{name}] has no option {key!r}{_closest(key.replace('-', '_'), parameters)}.")
        elif wanted := _other_type(parameter, value):
            problems.append(f"{path}: {key!r} in [{name}] takes {wanted}, not {value!r}.")
        else:  # click would iterate over the characters of a string
            is_one = _takes_many(parameter) and not isinstance(value, list)
            values[parameter.name or key] = [value] if is_one else value
    return values, problems


def public_name(parameter: click.Parameter) -> str:
    """The name of a parameter in files and environment: its long flag with `_`, whatever the code calls it."""
    flags = [flag for flag in parameter.opts if flag.startswith("--")]
    return flags[0].removeprefix("--").replace("-", "_") if flags else parameter.name or ""


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise click.UsageError(f"Cannot read the config file {path}: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:  # not TOML, not text, numbers too long, lists inside one another
        raise click.UsageError(f"The config file {path} is not valid TOML: {error}.") from error


def _other_type(parameter: click.Parameter, value: Any) -> str:
    """What the option takes, where the value is something else; click would take 2.7 for 2, and 0 for a file."""
    if _takes_many(parameter) and isinstance(value, list):
        return next((wanted for each in value if (wanted := _other_type_of_one(parameter, each))), "")
    return _other_type_of_one(parameter, value)


def _other_type_of_one(parameter: click.Parameter, value: Any) -> str:
    if isinstance(value, str):  # a text is read as on the command line
        return ""
    if isinstance(parameter, click.Option) and parameter.is_flag:
        return "" if isinstance(value, bool) else "true or false"
    kind = parameter.type
    if isinstance(kind, click.types.FuncParamType):  # it reads what a file may hold itself
        return ""
    if isinstance(kind, click.types.IntParamType):
        return "" if isinstance(value, int) and not isinstance(value, bool) else "a whole number"
    if isinstance(kind, click.types.FloatParamType):
        return "" if isinstance(value, int | float) and not isinstance(value, bool) else "a number"
    return "a text"


def _takes_many(parameter: click.Parameter) -> bool:
    return parameter.multiple or parameter.nargs != 1


def _closest(name: str, known: Iterable[str]) -> str:
    matches = closest_names(name, known, count=1)
    return f"; the closest is {matches[0].replace('_', '-')!r}" if matches else ""
