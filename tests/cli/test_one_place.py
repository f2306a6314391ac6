"""A setting is one annotated field: option, variable, config key, check and page follow, and the keyword in Python."""

from __future__ import annotations

import dataclasses
import inspect
from pathlib import Path
from typing import Annotated

import click
import pytest
from click.testing import CliRunner

import cli_page
from camgraph_cli.main import RootGroup, cli
from camgraph_cli.options import options_of
from camgraph_core.errors import UsageError
from camgraph_core.settings import Setting
from camgraph_exporter.image.options import Input
from camgraph_exporter.keywords import keywords_of
from camgraph_exporter.options import ExportOptions
from camgraph_server.config import ServerConfig


@dataclasses.dataclass(frozen=True)
class MoreConfig(ServerConfig):
    """The server's settings with a further one."""

    patience: Annotated[float, Setting("Seconds to wait for nothing.", at_least=0)] = 1.5


@dataclasses.dataclass(frozen=True, kw_only=True)
class MoreInput(Input):
    """What is said of photos, with a further number."""

    gamma: Annotated[float | None, Setting("Exponent of the pixels.", above=0)] = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class MoreOptions(ExportOptions):
    """The exporter's settings with that number."""

    input: MoreInput = dataclasses.field(default_factory=MoreInput)


@click.command()
@options_of(config=MoreConfig)
def serve(config: MoreConfig) -> None:
    """Serve."""
    click.echo(f"{config.patience} {config.workers}")


@click.command()
@options_of(options=MoreOptions)
def export(options: MoreOptions) -> None:
    """Export."""
    click.echo(f"{options.input.gamma} {options.input.divisor}")


CASES = [
    pytest.param(serve, ["--model-repository", "."], "patience", "2.5", "1.5 3", "2.5 3", "--workers", id="server"),
    pytest.param(export, [], "gamma", "2.2", "None 3.0", "2.2 3.0", "--divisor", id="exporter"),
]


@pytest.mark.parametrize(("command", "needed", "name", "value", "default", "given", "neighbour"), CASES)
def test_a_further_field_is_a_further_setting_everywhere(
    command: click.Command,
    needed: list[str],
    name: str,
    value: str,
    default: str,
    given: str,
    neighbour: str,
    tmp_path: Path,
) -> None:
    root = RootGroup("camgraph", commands={command.name: command}, context_settings=cli.context_settings)
    (tmp_path / "camgraph.toml").write_text(f"[{command.name}]\n{name} = {value}\n")

    def run(*arguments: str, **environment: str) -> str:
        words = [str(command.name), *needed, neighbour, "3", *arguments]
        return CliRunner().invoke(root, words, env=environment, prog_name="camgraph").output.strip()

    assert run() == default
    assert run(f"--{name}", value) == given
    assert run(**{f"CAMGRAPH_{command.name}_{name}".upper(): value}) == given
    assert run("--config", str(tmp_path / "camgraph.toml")) == given
    assert "is not in the range" in run(f"--{name}", "-1")
    section = "\n".join(cli_page.section(cli_page.root_context(), str(command.name), command))
    assert f"| `--{name} FLOAT RANGE` | " in section
    assert f"| `CAMGRAPH_{command.name}_{name}` | `{name}` |".upper() in section.upper()


def test_python_checks_it_and_says_what_it_does() -> None:
    with pytest.raises(UsageError, match="patience must be at least 0, not -1"):
        MoreConfig(Path(), patience=-1)
    with pytest.raises(UsageError, match="gamma must be greater than 0, not 0"):
        MoreInput(gamma=0)

    @keywords_of(MoreInput)
    def describe(options: MoreInput, name: str) -> str:
        """Describe an input."""
        return f"{name} {options.gamma} {options.divisor}"

    assert describe("raised", gamma=2.2, divisor=255) == "raised 2.2 255"
    assert inspect.signature(describe).parameters["gamma"].annotation == float | None
    assert "gamma: Exponent of the pixels." in str(describe.__doc__)
