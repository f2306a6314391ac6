"""Makes docs/cli.md from the commands themselves: every argument, option, environment variable and config key."""

from __future__ import annotations

import inspect

import click

from camgraph_cli.config_file import public_name
from camgraph_cli.main import ENVIRONMENT_PREFIX, cli
from page_text import paragraph, table

_INTRODUCTION = """
One command, `camgraph`. An option that is not given on the command line is read from its environment variable, then
from the table `[COMMAND]` of the TOML file that `--config` names. Else it has its default. A variable of an option that
may be repeated holds its values with spaces between them; a value with spaces is quoted. A flag takes `1` or `0`. A
config key takes TOML's own types.
"""

_CONFIG = """
```toml
[export]
preset = "imagenet"
layer = ["layer3", "layer4"]
gradients = true
```
"""

_EXIT_CODES = """
Exit codes: 0 done, 1 the work failed, 2 wrong usage. Errors are one or two sentences on stderr; `--debug` adds the
traceback.
"""


def make() -> str:
    """The whole page."""
    context = root_context()
    parts = [
        "# Command line",
        "<!-- Made by scripts/generate_pages.py from the commands; a test fails when it is stale. -->",
        paragraph(_INTRODUCTION),
        _CONFIG.strip(),
        paragraph(_EXIT_CODES),
    ]
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        assert command is not None
        parts += section(context, name, command)
    return "\n\n".join(parts) + "\n"


def root_context() -> click.Context:
    """The context that the root command gives to its commands."""
    return cli.make_context("camgraph", [], resilient_parsing=True)


def environment_variable(option: click.Option, command: str) -> str:
    """The variable that sets an option of a command."""
    if option.envvar is None:
        return f"{ENVIRONMENT_PREFIX}_{command}_{option.name}".upper().replace("-", "_")
    return option.envvar if isinstance(option.envvar, str) else option.envvar[0]


def section(parent: click.Context, name: str, command: click.Command) -> list[str]:
    """The parts of the page on one command."""
    context = click.Context(command, info_name=name, parent=parent)
    options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
    usage = " ".join(["camgraph", name, *command.collect_usage_pieces(context)])
    text = inspect.cleandoc(command.help or "")
    rows = [_row(context, name, option) for option in options if not option.hidden]
    header = ["option", "what it does", "environment variable", "config key"]
    parts = [f"## camgraph {name}", f"```text\n{usage}\n```"]
    parts += [paragraph(part) for part in text.split("\n\n")]
    return [*parts, table(header, rows)]


def _row(context: click.Context, command: str, option: click.Option) -> list[str]:
    record = option.get_help_record(context)
    assert record is not None
    names, text = record
    shared = option.expose_value is False
    key = "" if shared else f"`{public_name(option).replace('_', '-')}`"
    return [f"`{names}`", " ".join(text.split()), f"`{environment_variable(option, command)}`", key]
