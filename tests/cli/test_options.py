"""Settings that are declared once: the check of their values, and the options that are made of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

import click
import pytest
from click.testing import CliRunner

from camgraph_cli.config_file import public_name
from camgraph_cli.main import RootGroup, cli
from camgraph_cli.options import options_of
from camgraph_core.errors import UsageError
from camgraph_core.settings import Setting, check_settings, declared


def read_size(text: str) -> tuple[int, int]:
    try:
        height, width = text.split(",")
        return int(height), int(width)
    except ValueError as error:
        raise ValueError("H,W") from error


def read_pair(text: str) -> tuple[str, int]:
    name, _, number = text.partition("=")
    return name, int(number)


@dataclasses.dataclass(frozen=True)
class Inner:
    ratio: Annotated[float, Setting("A share.", above=0, at_most=1)] = 0.5


@dataclasses.dataclass(frozen=True)
class Every:
    """One setting of each kind."""

    folder: Annotated[Path, Setting("Where to look.", path="folder")]
    inner: Inner = dataclasses.field(default_factory=Inner)
    count: Annotated[int, Setting("How many.", at_least=1)] = 2
    speed: Annotated[float, Setting("How fast.")] = 1.5
    colour: Annotated[Literal["red", "blue"], Setting("Which one.")] = "red"
    shape: Annotated[str | None, Setting("Which one.", choices=("round", "square"))] = None
    loud: Annotated[bool, Setting("Make noise.")] = False
    exact: Annotated[bool, Setting("Take care.", option_help="Do not take care.", option="--sloppy")] = True
    tags: Annotated[Sequence[str], Setting("Names.", option="-t --tag", repeated=True)] = ()
    words: Annotated[Sequence[str], Setting("A text, or several in Python.")] = ()
    size: Annotated[tuple[int, int] | None, Setting("Its size.", read=read_size, metavar="H,W")] = None
    named: Annotated[Mapping[str, int], Setting("Numbers.", option="--set", repeated=True, read=read_pair)] = (
        dataclasses.field(default_factory=dict)
    )
    of_python_alone: Annotated[int, Setting("A number.", of_python=True)] = 7

    def __post_init__(self) -> None:
        check_settings(self)


@click.command()
@click.argument("name")
@options_of(every=Every)
@click.option("--last", is_flag=True)
def work(name: str, every: Every, last: bool) -> None:
    """Do some work."""
    click.echo(f"{name} {last} {every}")


def run(*arguments: str, **environment: str) -> click.testing.Result:
    root = RootGroup("camgraph", commands={"work": work}, context_settings=cli.context_settings)
    return CliRunner().invoke(root, ["work", "x", "--folder", ".", *arguments], env=environment, prog_name="camgraph")


CASES = [
    ("count", 3, "--count", "3", "count = 3"),
    ("speed", 2.0, "--speed", "2", "speed = 2"),
    ("colour", "blue", "--colour", "blue", "colour = 'blue'"),
    ("shape", "round", "--shape", "round", "shape = 'round'"),
    ("loud", True, "--loud", "", "loud = true"),
    ("exact", False, "--sloppy", "", "sloppy = true"),
    ("words", "a b", "--words", "a b", "words = 'a b'"),
    ("tags", ("a",), "--tag", "a", "tag = ['a']"),
    ("tags", ("a b",), "-t", "a b", "tag = 'a b'"),
    ("size", (3, 4), "--size", "3,4", "size = [3, 4]"),
    ("named", {"a": 1}, "--set", "a=1", "set = ['a=1']"),
    ("inner", Inner(0.25), "--ratio", "0.25", "ratio = 0.25"),
]


@pytest.mark.parametrize(("field", "value", "flag", "text", "line"), CASES)
def test_flag_environment_and_file_set_the_field(field, value, flag, text, line, tmp_path):
    config = tmp_path / "camgraph.toml"
    config.write_text(f"[work]\n{line}\n")
    variable = f"CAMGRAPH_WORK_{line.partition(' ')[0].upper()}"
    expected = f"x False {dataclasses.replace(Every(Path()), **{field: value})}\n"
    quoted = f"'{text}'" if field == "tags" else text or "1"
    results = [run(flag, *([text] if text else [])), run(**{variable: quoted}), run("--config", str(config))]
    assert [result.output for result in results] == [expected] * 3


def test_what_is_not_given_has_the_default_of_the_field():
    assert run("--last").output == f"x True {Every(Path())}\n"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--count", "0"], "0 is not in the range x>=1"),
        (["--ratio", "0"], "0.0 is not in the range 0<x<=1"),
        (["--colour", "green"], "'green' is not one of 'red', 'blue'"),
        (["--shape", "flat"], "'flat' is not one of 'round', 'square'"),
        (["--size", "3"], "--size is H,W, not '3'."),
        (["--folder", "/nowhere"], "Directory '/nowhere' does not exist"),
    ],
)
def test_a_wrong_value_is_wrong_usage(arguments, complaint):
    result = run(*arguments)
    assert result.exit_code == 2
    assert complaint in result.stderr


def test_a_quote_that_is_not_closed():
    result = run(CAMGRAPH_WORK_TAG="'a b")
    assert result.exit_code == 2
    assert "opens a quote and does not close it" in result.stderr


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"count": 0}, "count must be at least 1, not 0."),
        ({"colour": "green"}, "There is no colour 'green'. Use one of red, blue."),
        ({"shape": "flat"}, "There is no shape 'flat'. Use one of round, square."),
    ],
)
def test_python_gets_the_same_checks(values, complaint):
    with pytest.raises(UsageError) as raised:
        Every(Path(), **values)
    assert str(raised.value) == complaint


@pytest.mark.parametrize(("ratio", "complaint"), [(0, "greater than 0, not 0"), (2, "at most 1, not 2")])
def test_limits_of_numbers(ratio, complaint):
    with pytest.raises(UsageError, match=f"ratio must be {complaint}"):
        check_settings(Inner(ratio))


def test_the_help_is_the_declaration():
    context = click.Context(work, info_name="work")
    options = [item for item in declared(Every) if not item.setting.of_python]
    records = {public_name(option): option.get_help_record(context) for option in work.params[1:]}
    assert "of_python_alone" not in records
    for item in options:
        flags, text = records[item.name.replace("-", "_")]
        assert (item.setting.option_help or item.setting.help) in text
        assert all(flag in flags for flag in item.flags)
