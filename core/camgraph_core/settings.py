"""Settings: one declaration each, from which their check, their option on the command line and its page follow.

The declaration is the annotated field of a frozen dataclass::

    @dataclass(frozen=True)
    class ServerConfig:
        workers: Annotated[int, Setting("Requests that are worked on at the same time.", at_least=0)] = 0

        def __post_init__(self) -> None:
            check_settings(self)

`camgraph_cli.options` makes options of it, except of those that are for Python alone.
"""

from __future__ import annotations

import dataclasses
import inspect
import types
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from camgraph_core.errors import UsageError
from camgraph_core.redaction import without_credentials

_SEPARATOR = "\n  "


class NotReadError(Exception):
    """A value that is needed could not be read; see `camgraph_core.incomplete`."""


@dataclasses.dataclass(frozen=True)
class Setting:
    """What a setting says of itself beside its name, its type and its default.

    Attributes:
        help: What it does, in a sentence or two.
        option_help: What the option does, where it says less than Python does, or the opposite.
        option: The option's flags, where they are not the field's name: `-o --output`. A flag of another meaning than
            the field (`--fast-int8` of `exact_int8 = True`) sets the field to the opposite of its default.
        choices: All possible values of a text; those of a `Literal` are known.
        at_least: Lowest possible number.
        above: A number which the setting must exceed.
        at_most: Highest possible number.
        path: What a path must be: a file that exists, a folder that exists, or a file to be written.
        repeated: Whether the option may be given several times.
        of_python: Whether it is for Python alone, as no text can say it.
        read: Turns text of the command line or of a file into the value, or for a mapping into a name and a value. Its
            `ValueError` says what the text should be: "a list of numbers such as 1,2".
        metavar: What the help shows in place of the value.
        hide: Makes of a text what others may see of it. By default it hides the credentials of a URL.

    """

    help: str
    _: dataclasses.KW_ONLY
    option_help: str = ""
    option: str = ""
    choices: tuple[str, ...] = ()
    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None
    path: Literal["file", "folder", "new"] = "new"
    repeated: bool = False
    of_python: bool = False
    read: Callable[[str], Any] | None = None
    metavar: str | None = None
    hide: Callable[[str], str] = without_credentials


@dataclasses.dataclass(frozen=True)
class Declared:
    """A field with its setting. `kind` is its type, without `None` where it may be left out."""

    field: str
    kind: Any
    default: Any
    setting: Setting

    @property
    def is_required(self) -> bool:
        """Whether there is no default."""
        return self.default is dataclasses.MISSING

    @property
    def turns_off(self) -> bool:
        """Whether the option says the opposite of the field: `--no-reflection` of `reflection = True`."""
        return self.kind is bool and self.default is True

    @property
    def flags(self) -> list[str]:
        """The option's flags, `--max-targets` for a field `max_targets`."""
        return self.setting.option.split() or [f"--{self.field.replace('_', '-')}"]

    @property
    def name(self) -> str:
        """Its name in files and messages: the long flag without dashes before it."""
        return next(flag for flag in self.flags if flag.startswith("--")).removeprefix("--")

    @property
    def choices(self) -> tuple[str, ...]:
        """All possible values, or none where they cannot be listed."""
        return get_args(self.kind) if get_origin(self.kind) is Literal else self.setting.choices


def declared(settings: type) -> Iterator[Declared]:
    """Each setting of a dataclass: its own in the order of its fields, then those of its bases."""
    hints = _hints(settings)
    for field in _fields(settings):
        if get_origin(hints[field.name]) is Annotated:
            kind, setting = get_args(hints[field.name])
            yield Declared(field.name, _without_none(kind), _default(field), setting)


def nested(settings: type) -> Iterator[tuple[str, type]]:
    """Each field that holds further settings, with their class."""
    hints = _hints(settings)
    for field in _fields(settings):
        kind = hints[field.name]
        if isinstance(kind, type) and dataclasses.is_dataclass(kind) and any(declared(kind)):
            yield field.name, kind


@lru_cache(maxsize=32)
def _hints(settings: type) -> dict[str, Any]:
    """The types of its fields; kept, as Python compiles every annotation anew."""
    return get_type_hints(settings, include_extras=True)


def _fields(settings: type) -> list[dataclasses.Field[Any]]:
    order = {name: number for number, kind in enumerate(settings.__mro__) for name in inspect.get_annotations(kind)}
    return sorted(dataclasses.fields(settings), key=lambda field: order[field.name])


def changed(settings: Any) -> dict[str, Any]:
    """The settings that differ from their defaults, by their names in a file, without secrets."""
    return {
        item.name: hidden(item, shown(item, getattr(settings, item.field)))
        for item in declared(type(settings))
        if item.is_required or getattr(settings, item.field) != item.default
    }


def shown(item: Declared, value: Any) -> Any:
    """A value as a file says it."""
    if isinstance(value, bool):
        return value != item.turns_off
    if isinstance(value, Path):
        return str(value)
    return list(value) if isinstance(value, tuple) else value


def hidden(item: Declared, value: Any) -> Any:
    """What others may see of a value that `shown` gives."""
    if isinstance(value, list):
        return [hidden(item, each) for each in value]
    return item.setting.hide(value) if isinstance(value, str) else value


def check_settings(settings: Any, *checks: Callable[[], None]) -> None:
    """Hold every value against its declaration, then values against one another.

    Args:
        settings: An instance of a dataclass.
        checks: Raise a `UsageError` where values do not fit together.

    Raises:
        UsageError: A number is out of its range, a text is not one of its choices, or a check failed. The message lists
            all that is wrong.

    """
    problems = []
    alone: list[Callable[[], None]] = [partial(_check, settings, item) for item in declared(type(settings))]
    for check in (*alone, *checks):
        try:
            check()
        except NotReadError:
            continue
        except UsageError as error:
            problems.append(str(error))
    if problems:
        raise UsageError(joined(problems))


def joined(problems: Sequence[str]) -> str:
    """One problem as it is, several as a list."""
    return problems[0] if len(problems) == 1 else _SEPARATOR.join([f"{len(problems)} things are wrong:", *problems])


def separated(text: str) -> list[str]:
    """The problems that `joined` made one text of."""
    first, *rest = text.split(_SEPARATOR)
    return rest or [first]


def _check(settings: Any, item: Declared) -> None:
    value = getattr(settings, item.field)
    if value is None:
        return
    wrong = _range_missed(item.setting, value)
    if wrong:
        raise UsageError(f"{item.name} must be {wrong}, not {value}.")
    if item.choices and value not in item.choices:
        name, choices = item.name.replace("-", " "), ", ".join(item.choices)
        raise UsageError(f"There is no {name} {value!r}. Use one of {choices}.")


def _range_missed(setting: Setting, value: Any) -> str:
    if setting.at_least is not None and not value >= setting.at_least:  # not a number compares to nothing
        return f"at least {setting.at_least}"
    if setting.above is not None and not value > setting.above:
        return f"greater than {setting.above}"
    if setting.at_most is not None and not value <= setting.at_most:
        return f"at most {setting.at_most}"
    return ""


def _without_none(kind: Any) -> Any:
    if get_origin(kind) not in (Union, types.UnionType):
        return kind
    kinds = [part for part in get_args(kind) if part is not type(None)]
    return kinds[0] if len(kinds) == 1 else Union[tuple(kinds)]  # noqa: UP007 - the members are computed


def _default(field: dataclasses.Field[Any]) -> Any:
    make = field.default_factory
    return make() if callable(make) else field.default
