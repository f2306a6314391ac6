"""Options of a command, made of declared settings."""

from __future__ import annotations

import functools
import math
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_origin

import click

from camgraph_core.errors import UsageError
from camgraph_core.incomplete import problems_among
from camgraph_core.settings import Declared, declared, nested

Command = Callable[..., None]

_SETTINGS = "camgraph_settings"  # attribute of a command's function: the classes that its options are made of


def options_of(**settings: type) -> Callable[[Command], Command]:
    """Add an option for each setting of these dataclasses; the command gets them as instances, by these names."""

    def add(command: Command) -> Command:
        items = [item for kind in settings.values() for item in _all(kind)]

        @functools.wraps(command)
        def with_instances(*args: Any, **values: Any) -> None:
            made = {name: _made(kind, values) for name, kind in settings.items()}
            taken = set(map(_variable, items))
            command(*args, **{name: value for name, value in values.items() if name not in taken}, **made)

        vars(with_instances)[_SETTINGS] = tuple(settings.values())
        extended: Command = with_instances
        for item in reversed(items):
            extended = _option(item)(extended)
        return extended

    return add


def problems_between(command: Command | None, values: Mapping[str, Any]) -> Iterator[str]:
    """What does not fit together among the values of a command's options, of which some have none as they are wrong."""
    for kind in getattr(command, _SETTINGS, ()):
        yield from _problems(kind, values)


def _problems(settings: type, values: Mapping[str, Any]) -> Iterator[str]:
    items = [item for item in declared(settings) if _variable(item) in values]
    yield from problems_among(settings, {item.field: _given(item, values[_variable(item)]) for item in items})
    for _, kind in nested(settings):
        yield from _problems(kind, values)


def _all(settings: type) -> Iterator[Declared]:
    """Yield the settings that have an option, of a dataclass and of those that its fields hold."""
    yield from (item for item in declared(settings) if not item.setting.of_python)
    for _, kind in nested(settings):
        yield from _all(kind)


def _made(settings: type, values: Mapping[str, Any]) -> Any:
    items = (item for item in declared(settings) if not item.setting.of_python)
    own = {item.field: _given(item, values[_variable(item)]) for item in items}
    return settings(**own, **{field: _made(kind, values) for field, kind in nested(settings)})


def _variable(item: Declared) -> str:
    return item.name.replace("-", "_")


def _given(item: Declared, value: Any) -> Any:
    if item.turns_off:
        return not value
    if item.setting.repeated:
        return dict(value or ()) if get_origin(item.kind) is Mapping else tuple(value or ())
    return item.default if value is None else value


def _option(item: Declared) -> Callable[[Command], Command]:
    setting = item.setting
    extra: dict[str, Any] = {
        "help": setting.option_help or setting.help,
        "required": item.is_required,
        "metavar": setting.metavar,
    }
    if item.kind is bool:
        if item.default is None:  # neither way is the default
            flags = [f"{flag}/--no-{flag.removeprefix('--')}" for flag in item.flags]
            return click.option(*flags, _variable(item), default=None, **extra)
        return click.option(*item.flags, _variable(item), is_flag=True, **extra)
    extra["type"] = _type(item)
    extra["multiple"] = setting.repeated
    if setting.repeated or isinstance(item.default, str | int | float | Path):
        extra["default"] = item.default
        extra["show_default"] = item.default not in ("", (), {})
    return click.option(*item.flags, _variable(item), **extra)


def _type(item: Declared) -> Any:
    setting = item.setting
    if setting.read is not None:
        return click.types.FuncParamType(_reader(item, setting.read))
    if item.choices:
        return click.Choice(item.choices)
    if item.kind in (int, float):
        return _number(item)
    if item.kind is Path:
        exists = setting.path != "new"
        folder = setting.path == "folder"
        return click.Path(exists=exists, file_okay=not folder, dir_okay=folder, path_type=Path)
    return Text()


def _number(item: Declared) -> Any:
    setting = item.setting
    limits: Any = click.IntRange if item.kind is int else NumberRange
    if setting.above is not None:
        return limits(setting.above, setting.at_most, min_open=True)
    if setting.at_least is not None or setting.at_most is not None:
        return limits(setting.at_least, setting.at_most)
    return item.kind


def _reader(item: Declared, read: Callable[[str], Any]) -> Callable[[Any], Any]:
    """Make it take what a file may hold as well: an array is the text of its items with commas between."""

    def read_any(value: Any) -> Any:
        text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
        try:
            return read(text)
        except ValueError as error:
            raise UsageError(f"--{item.name} is {error}, not {text!r}.") from error

    return read_any


class NumberRange(click.FloatRange):
    """A range of numbers; what is not a number lies in none, whatever it compares to."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number."""
        number = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value!r} is not a number.", param, ctx)
        return number


class Text(click.types.StringParamType):
    """Text; an environment variable that holds several is split as a shell would, so that they may have spaces."""

    name = "text"

    def split_envvar_value(self, rv: str) -> Sequence[str]:
        """Values in an environment variable, quoted where they have spaces."""
        try:
            return shlex.split(rv)
        except ValueError as error:
            raise click.UsageError(f"{rv!r} opens a quote and does not close it.") from error
