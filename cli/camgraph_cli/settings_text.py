"""Settings of a command as text: the table of a TOML file with their values, and a JSON schema of that table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args, get_origin

from camgraph_core.settings import Declared, declared, hidden, shown

_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string", Path: "string"}


def toml_table(command: str, settings: Any) -> str:
    """The table `[COMMAND]` with the value of every setting; comments say which have none, or one with a secret."""
    lines = [_line(item, shown(item, getattr(settings, item.field))) for item in declared(type(settings))]
    return "\n".join([f"[{command}]", *lines])


def schema(command: str, settings: type) -> dict[str, Any]:
    """The JSON schema of a TOML file with a table for the command; tables of other commands are left alone."""
    items = list(declared(settings))
    table = {
        "type": "object",
        "additionalProperties": False,
        "properties": {item.name: _property(item) for item in items},
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"Settings of camgraph {command}",
        "type": "object",
        "properties": {command: table},
    }


def _line(item: Declared, value: Any) -> str:
    if value is None:
        return f"# {item.name} is not set"
    if (public := hidden(item, value)) != value:
        return f"# {item.name} may hold a secret and is left out: {_toml(public)}"
    return f"{item.name} = {_toml(value)}"


def _property(item: Declared) -> dict[str, Any]:
    setting = item.setting
    entry: dict[str, Any] = {"description": setting.option_help or setting.help, **_type(item)}
    if item.choices:
        entry["enum"] = list(item.choices)
    limits = {"minimum": setting.at_least, "exclusiveMinimum": setting.above, "maximum": setting.at_most}
    entry |= {name: limit for name, limit in limits.items() if limit is not None}
    if not item.is_required and item.default is not None:
        entry["default"] = shown(item, item.default)
    return entry


def _type(item: Declared) -> dict[str, Any]:
    if get_origin(item.kind) is tuple:
        return {"type": "array", "items": {"type": _TYPES[get_args(item.kind)[0]]}}
    return {"type": _TYPES.get(item.kind, "string")}


def _toml(value: Any) -> str:
    """A value in TOML, whose texts, numbers and lists are written as in JSON."""
    if isinstance(value, list):
        return f"[{', '.join(_toml(item) for item in value)}]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
