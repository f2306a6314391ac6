"""A command that says at once all that is wrong with its options, and where each value stands."""

from __future__ import annotations

import click
from click.core import ParameterSource, iter_params_for_processing

from camgraph_cli.config_file import public_name
from camgraph_cli.options import problems_between
from camgraph_core.errors import UsageError
from camgraph_core.settings import joined

_WRONG = (click.UsageError, UsageError, ValueError, TypeError, OverflowError)
"""What is raised for a value of an option; the last three by Python itself, for values that it cannot convert."""


class SharedCommand(click.Command):
    """As `click.Command`; but it looks at every option before it complains."""

    @classmethod
    def of(cls, command: click.Command) -> SharedCommand:
        """A copy of a command."""
        made = cls(command.name)
        vars(made).update(vars(command))
        return made

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Takes the values of all options.

        Raises:
            click.UsageError: Some cannot be used. Its message lists them.
        """
        given = list(args)  # click takes from the list
        try:
            return super().parse_args(ctx, args)
        except click.exceptions.NoArgsIsHelpError:
            raise
        except _WRONG as first:
            problems = self._problems(ctx, given)
            if not problems:
                raise
            raise click.UsageError(joined(problems), ctx) from first

    def _problems(self, ctx: click.Context, args: list[str]) -> list[str]:
        """What is wrong with each option, and between those that are right."""
        try:
            given, rest, order = self.make_parser(ctx).parse_args(args=args)
        except click.UsageError:  # an option that does not exist: click knows best
            return []
        problems: list[str] = []
        for parameter in iter_params_for_processing(order, self.get_params(ctx)):
            try:
                _, rest = parameter.handle_parse_result(ctx, given, rest)
            except click.UsageError as error:
                problems += [line + _source(ctx, parameter) for line in error.format_message().split("\n")]
            except _WRONG as error:
                flag = f"--{public_name(parameter).replace('_', '-')}"
                problems.append(f"{flag} cannot be used: {str(error).rstrip('.')}.{_source(ctx, parameter)}")
        # For an option that is not given, click has a mark of its own here, which None replaces later.
        values = {
            name: None if ctx.get_parameter_source(name) is ParameterSource.DEFAULT else value
            for name, value in ctx.params.items()
        }
        problems += problems_between(self.callback, values)
        return list(dict.fromkeys(problems))


def _source(ctx: click.Context, parameter: click.Parameter) -> str:
    """Says where a value stands, if not on the command line."""
    match ctx.get_parameter_source(parameter.name or ""):
        case ParameterSource.DEFAULT_MAP:
            return f" It stands in the config file, as {public_name(parameter).replace('_', '-')!r}."
        case ParameterSource.ENVIRONMENT if parameter.expose_value:
            named = parameter.envvar or f"{ctx.auto_envvar_prefix}_{(parameter.name or '').upper()}"
            return f" It stands in the environment, as {named}."
    return ""
