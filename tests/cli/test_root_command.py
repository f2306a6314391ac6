"""What the root command adds to every command: configuration, environment, failures as one line."""

from __future__ import annotations

import subprocess
from importlib.metadata import EntryPoint, entry_points

import click
import pytest
from click.testing import CliRunner

from camgraph_cli import main as root
from camgraph_cli.listing import listed
from camgraph_cli.main import RootGroup
from camgraph_core.errors import InvalidInputError, UsageError
from support.fresh import loaded_by, run_fresh
from support.serving import camgraph_command, run_camgraph


@click.command()
@click.option("--size", type=int, default=1)
@click.option("--tag", "tags", multiple=True)
@click.option("--dry-run", is_flag=True)
@click.option("--fail", default="")
def work(size, tags, dry_run, fail):
    """Do some work."""
    if fail:
        raise FAILURES[fail]
    click.echo(f"{size} {','.join(tags)} {dry_run}")


FAILURES = {
    "camgraph": InvalidInputError("The image is broken."),
    "usage": UsageError("There is no layer 'x'."),
    "os": FileNotFoundError(2, "No such file or directory", "lost.txt"),
    "os-bare": OSError("the disk is gone"),
    "interrupt": KeyboardInterrupt(),
    "bug": ZeroDivisionError("division by zero\nsecond line"),
    "empty-bug": AssertionError(),
    "memory": MemoryError(),
    "extra": ModuleNotFoundError("No module named 'onnx_ir'", name="onnx_ir"),
    "other-module": ModuleNotFoundError("No module named 'nonsense'", name="nonsense"),
}


@pytest.fixture
def run():
    cli = RootGroup("camgraph", commands={"work": work}, context_settings=root.cli.context_settings)

    def invoke(*arguments, **environment):
        return CliRunner().invoke(cli, arguments, env=environment, prog_name="camgraph")

    return invoke


def test_flags_environment_and_file_say_the_same(run, tmp_path):
    config = tmp_path / "camgraph.toml"
    config.write_text('[work]\nsize = 7\ntag = ["a", "b"]\ndry-run = true\n[other]\nx = 1\n')
    flags = run("work", "--size", "7", "--tag", "a", "--tag", "b", "--dry-run")
    environment = run("work", CAMGRAPH_WORK_SIZE="7", CAMGRAPH_WORK_TAG="a b", CAMGRAPH_WORK_DRY_RUN="1")
    file = run("work", "--config", str(config))
    named_by_environment = run("work", CAMGRAPH_WORK_CONFIG=str(config))
    results = (flags, environment, file, named_by_environment)
    assert {result.output for result in results} == {"7 a,b True\n"}
    assert {result.exit_code for result in results} == {0}


def test_flag_beats_environment_beats_file_beats_default(run, tmp_path):
    config = tmp_path / "camgraph.toml"
    config.write_text("[work]\nsize = 3\ntag = 'one'\n")
    assert run("work").output == "1  False\n"
    assert run("work", "--config", str(config)).output == "3 one False\n"
    assert run("work", "--config", str(config), CAMGRAPH_WORK_SIZE="4").output == "4 one False\n"
    flagged = run("work", "--config", str(config), "--size", "5", CAMGRAPH_WORK_SIZE="4")
    assert flagged.output == "5 one False\n"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[work]\nsise = 3\n", "the closest is 'size'"),
        ("[work]\ncolour = 3\n", "no option 'colour'"),
        ("[serve]\nsize = 3\n", "no table [work]"),
        ("work = 3\n", "no table [work]"),
        ("[work\n", "not valid TOML"),
        ("[work]\nsize = " + "[" * 5000, "not valid TOML"),
        ("[work]\nsize = " + "9" * 5000, "not valid TOML"),
        ("[work]\nsize = 'many'\n", "'many' is not a valid integer"),
    ],
)
def test_faults_in_the_file(run, tmp_path, text, complaint):
    config = tmp_path / "camgraph.toml"
    config.write_text(text)
    result = run("work", "--config", str(config))
    assert result.exit_code == 2
    assert complaint in result.stderr
    assert result.stderr.count("\n") == 1


def test_file_that_is_not_there(run, tmp_path):
    result = run("work", "--config", str(tmp_path / "gone.toml"))
    assert result.exit_code == 2
    assert "Cannot read the config file" in result.stderr


@pytest.mark.parametrize(
    ("fail", "code", "line"),
    [
        ("camgraph", 1, "Error: The image is broken."),
        ("usage", 2, "Error: There is no layer 'x'."),
        ("os", 1, "Error: Cannot use 'lost.txt': No such file or directory."),
        ("os-bare", 1, "Error: the disk is gone."),
        ("interrupt", 1, "Error: Stopped before the work was done."),
        ("bug", 1, "Error: Unexpected ZeroDivisionError: division by zero. This is a fault of camgraph"),
        ("empty-bug", 1, "Error: Unexpected AssertionError. This is a fault of camgraph"),
        ("memory", 1, "Error: There is not enough memory."),
        ("extra", 1, "Error: This command needs the package 'onnx_ir': install it with pip install"),
        ("other-module", 1, "Error: Unexpected ModuleNotFoundError: No module named 'nonsense'."),
    ],
)
def test_failures_are_one_line_and_an_exit_code(run, fail, code, line):
    result = run("work", "--fail", fail)
    assert result.exit_code == code
    assert result.stderr.lstrip("\n").startswith(line)
    assert "Traceback" not in result.stderr
    debugged = run("work", "--fail", fail, "--debug")
    assert debugged.exit_code == code
    assert "Traceback" in debugged.stderr
    assert "Traceback" in run("work", "--fail", fail, CAMGRAPH_WORK_DEBUG="1").stderr


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["work", "--size", "many"], "'many' is not a valid integer"),
        (["work", "--sise", "1"], "--size"),
        (["wrok"], "No such command 'wrok'"),
        (["work", "extra"], "unexpected extra argument"),
    ],
)
def test_wrong_usage(run, arguments, complaint):
    result = run(*arguments)
    assert result.exit_code == 2
    assert complaint in result.stderr
    assert result.stderr.startswith("Error: ")


def test_no_arguments_show_the_help(run):
    result = run()
    assert result.exit_code == 2
    assert "Do some work." in result.stderr


class FakeEntry:
    """An installed command whose import ends as told."""

    module, attr, value = "nowhere", "command", "nowhere:command"

    def __init__(self, name, outcome):
        self.name, self._outcome = name, outcome

    def load(self):
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return self._outcome


@pytest.fixture
def installed(monkeypatch):
    def install(**outcomes):
        entries = [FakeEntry(name, outcome) for name, outcome in outcomes.items()]

        def find(group, name=None):
            found = [entry for entry in entries if name in {None, entry.name}]
            return Names(found)

        monkeypatch.setattr(root, "entry_points", find)

    return install


class Names(list):
    @property
    def names(self):
        return {entry.name for entry in self}


def test_missing_extra_is_named_and_does_not_hide_the_others(installed):
    installed(
        export=ModuleNotFoundError("No module named 'onnx'", name="onnx"),
        serve=ModuleNotFoundError("No module named 'grpc'", name="grpc"),
        work=work,
    )
    runner = CliRunner()
    listing = runner.invoke(root.cli, ["--help"])
    assert listing.exit_code == 0
    assert "Do some work." in listing.output
    assert "export" in listing.output
    for arguments in (["export"], ["export", "--help"], ["export", "model.onnx", "-o", "out.onnx"]):
        result = runner.invoke(root.cli, arguments)
        assert result.exit_code == 1
        assert result.stderr == (
            "Error: camgraph export needs the package 'onnx': install it with pip install 'camgraph[export]'.\n"
        )
    assert "camgraph[serve]" in runner.invoke(root.cli, ["serve"]).stderr
    assert runner.invoke(root.cli, ["work"]).output == "1  False\n"


def test_entry_point_that_is_no_command(installed):
    installed(odd="a text")
    result = CliRunner().invoke(root.cli, ["odd"])
    assert result.exit_code == 1
    assert "not a click command" in result.stderr


HEAVY = {"numpy", "google", "rich", "pygments", "grpc", "cv2", "PIL", "onnx", "onnx_ir", "onnxruntime", "torch"}


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], [], ["nonsense"], ["doctor", "--help"]])
def test_what_needs_no_command_loads_none(arguments):
    loaded = loaded_by(
        f"""
from camgraph_cli.main import cli
try:
    cli({arguments}, prog_name="camgraph")
except SystemExit:
    pass"""
    )
    assert "click" in loaded
    assert not loaded & HEAVY


@pytest.mark.parametrize(
    ("typed", "completed"),
    [("ex", {"explain", "export"}), ("ser", {"serve"}), ("--ver", {"--version"}), ("--he", {"--help"}), ("zz", set())],
)
def test_a_shell_completes_without_loading_commands(typed, completed):
    loaded, printed = run_fresh(
        f"""
import os
from camgraph_cli.main import cli
os.environ |= {{"_CAMGRAPH_COMPLETE": "bash_complete", "COMP_WORDS": "camgraph {typed}", "COMP_CWORD": "1"}}
try:
    cli(prog_name="camgraph")
except SystemExit:
    pass"""
    )
    assert {line.partition(",")[2] for line in printed.split()} == completed
    assert not loaded & HEAVY


def installed_commands():
    return sorted(entry_points(group=root.COMMAND_GROUP), key=lambda entry: entry.name)


@pytest.mark.parametrize("entry", installed_commands(), ids=lambda entry: entry.name)
def test_the_listing_says_what_the_command_says(entry):
    stand_in = listed(entry)
    assert stand_in is not None
    command = entry.load()
    for limit in (30, 60, 200):
        assert stand_in.get_short_help_str(limit) == command.get_short_help_str(limit)
    assert (stand_in.name, stand_in.hidden, stand_in.deprecated) == (entry.name, command.hidden, command.deprecated)


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("@click.command()\ndef work():\n    'Does some work.'", "Does some work."),
        ("@click.command()\ndef work():\n    pass", ""),
        ("@click.command(hidden=True)\ndef work():\n    'Does some work.'", None),
        ("@click.command(help='Works.')\ndef work():\n    'Does some work.'", None),
        ("def work():\n    'Does some work.'", None),
        ("from elsewhere import work", None),
        ("work = make_command()", None),
        ("def work(", None),
    ],
)
def test_a_command_that_its_source_does_not_tell_is_not_guessed(source, told, tmp_path, monkeypatch):
    (tmp_path / "listed_example.py").write_text(f"import click\n{source}\n")
    monkeypatch.syspath_prepend(tmp_path)
    stand_in = listed(EntryPoint("work", "listed_example:work", root.COMMAND_GROUP))
    assert (stand_in and stand_in.get_short_help_str()) == told


def test_a_command_whose_source_does_not_tell_is_imported_for_the_list(installed):
    installed(work=work, hidden=click.Command("hidden", help="Nothing to see.", hidden=True))
    listing = CliRunner().invoke(root.cli, ["--help"]).output
    assert "Do some work." in listing
    assert "hidden" not in listing


def test_version_and_help_as_a_process():
    version = run_camgraph("--version")
    assert version.returncode == 0
    assert version.stdout.startswith("camgraph, version ")
    unknown = run_camgraph("nonsense")
    assert (unknown.returncode, unknown.stdout) == (2, "")
    assert unknown.stderr == "Error: No such command 'nonsense'. See camgraph --help.\n"


def test_closed_pipe_is_no_traceback():
    process = subprocess.Popen(
        camgraph_command(["explain", "--help"]), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    process.stdout.close()
    _, errors = process.communicate(timeout=60)
    assert "Traceback" not in errors
