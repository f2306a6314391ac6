"""The root command `camgraph`.

Commands are entry points of the group `camgraph.commands` and are imported when they are used. For every
command alike the root adds `--config` and `--debug`, reads environment variables
`CAMGRAPH_<COMMAND>_<OPTION>`, and turns an exception into one line on stderr and an exit code: 0 done, 1 the
work failed, 2 wrong usage.
"""

from __future__ import annotations

import copy
import os
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from camgraph_cli.config_file import public_name, read_defaults
from camgraph_cli.doctor import doctor
from camgraph_cli.failures import describe, missing_extra, missing_extra_message
from camgraph_cli.listing import listed
from camgraph_cli.shared import SharedCommand

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

COMMAND_GROUP = "camgraph.commands"
ENVIRONMENT_PREFIX = "CAMGRAPH"


@dataclass
class RunOptions:
    """What the root must know of one run after the command's own context is gone."""

    debug: bool = False


class RootGroup(click.Group):
    """A group whose commands come from entry points and whose failures are plain sentences."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of all installed commands, sorted."""
        return sorted({*super().list_commands(ctx), *entry_points(group=COMMAND_GROUP).names})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Imports a command; one whose extra is not installed becomes a command that says so."""
        command = super().get_command(ctx, cmd_name) or _load(cmd_name)
        return None if command is None else _with_shared_options(command, cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the list of commands."""
        self._listing(ctx).format_commands(ctx, formatter)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The commands and options that begin so, for the completion of a shell."""
        listing = self._listing(ctx)
        return listing.shell_complete(click.Context(listing, parent=ctx.parent, info_name=ctx.info_name), incomplete)

    def _listing(self, ctx: click.Context) -> click.Group:
        """A stand-in for this group, to be listed; only commands whose source does not tell their help are imported."""
        stand_ins = {entry.name: listed(entry) for entry in entry_points(group=COMMAND_GROUP)}
        commands = {name: stand_ins.get(name) or self.get_command(ctx, name) for name in self.list_commands(ctx)}
        return click.Group(
            self.name, {name: item for name, item in commands.items() if item}, params=self.get_params(ctx)
        )

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Runs the command line and exits; with `standalone_mode=False` returns and raises as click does."""
        if not standalone_mode:
            return super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
        options = RunOptions()
        try:
            outcome = super().main(args, prog_name, complete_var, standalone_mode=False, obj=options, **extra)
        except click.exceptions.NoArgsIsHelpError as error:
            error.show()
            sys.exit(error.exit_code)
        except Exception as error:  # the outermost frame: whatever happened becomes one line
            sys.exit(_report(error, options))
        sys.exit(outcome if isinstance(outcome, int) else 0)


def _load(name: str) -> click.Command | None:
    found = tuple(entry_points(group=COMMAND_GROUP, name=name))
    return _import(found[0]) if found else None


def _import(entry: EntryPoint) -> click.Command:
    try:
        command = entry.load()
    except ModuleNotFoundError as error:
        if missing_extra(error, entry.name) is None:
            raise
        return _unavailable(entry.name, missing_extra_message(error, entry.name))
    if not isinstance(command, click.Command):
        raise TypeError(f"The entry point {entry.name!r} of {COMMAND_GROUP} is not a click command: {entry.value}")
    return command


def _unavailable(name: str, message: str) -> click.Command:
    """Stands in for a command that cannot be imported, so that `camgraph --help` still lists it."""

    def fail(**_: Any) -> None:
        raise click.ClickException(message)

    anything = {"ignore_unknown_options": True, "allow_extra_args": True}
    return click.Command(name, callback=fail, short_help=message, add_help_option=False, context_settings=anything)


def _with_shared_options(command: click.Command, name: str) -> click.Command:
    """A copy of the command that also takes `--config` and `--debug`."""

    def use_config(ctx: click.Context, _: click.Parameter, path: Path | None) -> None:
        if path is not None:
            values, problems = read_defaults(path, command, name)
            ctx.default_map = {**(ctx.default_map or {}), **values}
            if problems:
                raise click.UsageError("\n".join(problems))

    def use_debug(ctx: click.Context, _: click.Parameter, value: bool) -> None:
        options = ctx.find_object(RunOptions)
        if options is not None:
            options.debug = value

    config = click.Option(
        ["--config"],
        type=click.Path(dir_okay=False, path_type=Path),
        callback=use_config,
        is_eager=True,  # its values are defaults of the other options
        expose_value=False,
        help=f"TOML file whose table [{name}] holds options of this command.",
    )
    debug = click.Option(
        ["--debug"],
        is_flag=True,
        callback=use_debug,
        is_eager=True,
        expose_value=False,
        help="Show the traceback of an error.",
    )
    extended = copy.copy(command) if isinstance(command, click.Group) else SharedCommand.of(command)
    extended.params = [*(_with_environment(param, name) for param in command.params), config, debug]
    return extended


def _with_environment(parameter: click.Parameter, command: str) -> click.Parameter:
    """The option, also set by `CAMGRAPH_<COMMAND>_<OPTION>` where its flag is not what the code calls it."""
    public = public_name(parameter)
    if not isinstance(parameter, click.Option) or parameter.envvar is not None or public == parameter.name:
        return parameter
    renamed = copy.copy(parameter)
    renamed.envvar = f"{ENVIRONMENT_PREFIX}_{command}_{public}".upper()
    return renamed


def _report(error: Exception, options: RunOptions) -> int:
    failure = describe(error)
    if options.debug:
        traceback.print_exception(error)
    click.echo(f"Error: {failure.message}", err=True)
    return failure.exit_code


@click.group(
    cls=RootGroup,
    context_settings={
        "auto_envvar_prefix": ENVIRONMENT_PREFIX,
        "show_default": True,
        "help_option_names": ["-h", "--help"],
    },
    epilog=(
        "Every option may also be set by the environment variable CAMGRAPH_<COMMAND>_<OPTION> "
        "or in the table [<command>] of a TOML file given with --config."
    ),
)
@click.version_option(package_name="camgraph", prog_name="camgraph")
def cli() -> None:
    """Grad-CAM as an ordinary ONNX graph: where did the model look, for this class?"""


# Of the root itself: it must run where a part of the installation does not.
cli.add_command(doctor)


def _open_standard_streams() -> None:
    """Opens those of the three that the process was started without: the next file or pipe would take the place."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # it takes the lowest number that is free


def main() -> None:
    """Entry point of the console script."""
    _open_standard_streams()
    cli(prog_name="camgraph")
