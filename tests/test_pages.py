"""Pages that say what the code has are current: operators, every way to set an option, CAM methods."""

from __future__ import annotations

import dataclasses
import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
import onnx
import pytest
from PIL import Image

import cli_page
import operator_page
import python_page
from camgraph_cli.config_file import public_name, read_defaults
from camgraph_cli.main import cli
from camgraph_core.statistics import MapStatistics
from camgraph_exporter.vjp import registry
from camgraph_runtime.maps.cam import METHODS
from camgraph_runtime.maps.profiles import PROFILES
from page_text import paragraph, table
from support.nets import classifier

ROOT = Path(__file__).resolve().parent.parent

needs_newest_onnx = pytest.mark.skipif(
    onnx.defs.onnx_opset_version() < operator_page.NEWEST_OPSET,
    reason="The installed onnx does not know all operators that the page lists.",
)


def check(docs: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "scripts/generate_pages.py", "--check", "--docs", str(docs)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@needs_newest_onnx
def test_the_committed_pages_are_current() -> None:
    outcome = check(ROOT / "docs")
    assert outcome.returncode == 0, outcome.stderr


@needs_newest_onnx
def test_stale_pages_are_noticed(tmp_path: Path) -> None:
    shutil.copy(ROOT / "docs/cli.md", tmp_path)
    (tmp_path / "operators.md").write_text("# Supported operators\n")

    outcome = check(tmp_path)

    assert outcome.returncode == 1
    assert "operators.md is stale" in outcome.stderr
    assert "serve.schema.json is stale" in outcome.stderr
    assert "generate_pages.py" in outcome.stderr


# --- operators ----------------------------------------------------------------------------------------------------


def listed(page: str) -> dict[str, list[str]]:
    """The operators that each section of the page names."""
    sections = re.split(r"^## ", page, flags=re.MULTILINE)[1:]
    cells = {section.partition("\n")[0]: [row[1:-1] for row in _rows(section)] for section in sections}
    return {
        "Rules": [row.split("|")[0].strip() for row in cells["Rules"]],
        "Rewritten": [row.split("|")[0].strip() for row in cells["Rewritten"]],
        **{name: _names(cells[name]) for name in ("Stops", "Refused by name")},
    }


def _rows(section: str) -> list[str]:
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [line for line in lines if not re.match(r"\| (-|operator|why)", line)]


def _names(rows: list[str]) -> list[str]:
    return [name.strip() for row in rows for name in row.rpartition("|")[2].split(",")]


@needs_newest_onnx
def test_every_standard_operator_stands_on_the_page_once() -> None:
    named = [name for names in listed(operator_page.make()).values() for name in names if "." not in name]
    assert sorted(named) == sorted(operator_page.standard_operators())


@needs_newest_onnx
def test_a_rule_less_shows_on_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(registry._entries, ("", "Relu"))
    page = operator_page.make()
    assert "Relu" not in listed(page)["Rules"]
    assert "Relu" in listed(page)["Refused by name"]
    assert re.search(r"No rule yet +\| Relu ", page)


@needs_newest_onnx
def test_reasons_are_given_for_operators_that_have_no_rule_only() -> None:
    reasons = [name for names in operator_page.REFUSED.values() for name in names] + list(operator_page.REWRITTEN)
    assert len(set(reasons)) == len(reasons)
    assert [name for name in reasons if registry.named(name) is not None] == []
    assert set(reasons) <= operator_page.standard_operators()


def test_rows_are_counted_by_operator() -> None:
    counts = operator_page.case_counts()
    assert counts["", "Conv"] > counts["", "Trilu"] > 0
    assert counts["", "Shape"] == 0


# --- options ------------------------------------------------------------------------------------------------------

OPTIONS = [
    pytest.param(name, command, option, id=f"{name} {option.opts[-1]}")
    for name in cli.list_commands(cli_page.root_context())
    if (command := cli.get_command(cli_page.root_context(), name)) is not None
    for option in command.params
    if isinstance(option, click.Option) and option.expose_value
]


def a_value(option: click.Option) -> str:
    """Some text that the option takes."""
    if isinstance(option.type, click.Choice):
        return str(next(iter(option.type.choices)))
    return "3" if isinstance(option.type, click.types.IntParamType | click.types.FloatParamType) else "1"


@pytest.mark.parametrize(("name", "command", "option"), OPTIONS)
def test_every_documented_variable_sets_its_option(
    name: str, command: click.Command, option: click.Option, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(cli_page.environment_variable(option, name), a_value(option))
    context = command.make_context(name, [], parent=cli_page.root_context(), resilient_parsing=True)
    assert context.get_parameter_source(str(option.name)) is click.core.ParameterSource.ENVIRONMENT


@pytest.mark.parametrize(("name", "command", "option"), OPTIONS)
def test_every_documented_config_key_sets_its_option(
    name: str, command: click.Command, option: click.Option, tmp_path: Path
) -> None:
    config = tmp_path / "config.toml"
    config.write_text(f'[{name}]\n{public_name(option).replace("_", "-")} = "{a_value(option)}"\n')
    defaults, problems = read_defaults(config, command, name)
    assert problems == []
    parent = cli_page.root_context()
    context = command.make_context(name, [], parent=parent, default_map=defaults, resilient_parsing=True)
    assert context.get_parameter_source(str(option.name)) is click.core.ParameterSource.DEFAULT_MAP


def test_every_command_and_option_stands_on_the_page() -> None:
    page = cli_page.make()
    for parameter in OPTIONS:
        name, _, option = parameter.values
        section = page.partition(f"## camgraph {name}\n")[2].partition("\n## ")[0]
        assert option.opts[-1] in section


# --- Python -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", python_page.PACKAGES)
def test_the_page_lists_exactly_the_public_names(name: str) -> None:
    page = (ROOT / "docs/python.md").read_text(encoding="utf-8")
    section = page.partition(f"### `{name}`\n")[2].partition("\n### ")[0]
    listed_names = re.findall(r"^\| `(\w+)` \| [^|]", section, re.MULTILINE)
    assert sorted(listed_names) == sorted(python_page.PACKAGES[name].__all__)


def test_the_examples_of_the_page_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    onnx.save(classifier(), "model.onnx")
    Image.new("RGB", (40, 30)).save("cat.png")
    page = ROOT / "docs/python.md"
    names: dict[str, object] = {}
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        exec(compile(block, str(page), "exec"), names)
    assert Path("model.cam.onnx").exists()


# --- text ---------------------------------------------------------------------------------------------------------


def test_bars_in_tables_are_escaped() -> None:
    assert table(["a", "long"], [["|x|", "y"]]) == "| a | long |\n| -- | -- |\n| \\|x\\| | y |"


def test_paragraphs_are_broken_between_words() -> None:
    assert paragraph("one two\nthree", width=7) == "one two\nthree"


# --- methods ------------------------------------------------------------------------------------------------------


def test_every_method_stands_on_its_page_with_what_it_needs_and_its_source() -> None:
    page = (ROOT / "docs/methods.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([\w+-]+)` +\|.*\| +(`--\w+`)? +\| (.+?) +\|$", page, re.MULTILINE)
    needs = {(True, False): "`--gradients`", (False, True): "`--guided`", (False, False): ""}
    expected = [
        (method.name, needs[method.needs_gradients, method.needs_image_gradient], method.source)
        for method in METHODS.values()
    ]
    assert sorted(rows) == sorted(expected)


def test_every_statistic_stands_on_the_page_of_methods() -> None:
    page = (ROOT / "docs/methods.md").read_text(encoding="utf-8")
    assert [field.name for field in dataclasses.fields(MapStatistics) if f"`{field.name}`" not in page] == []


def test_every_profile_stands_on_the_page_of_methods() -> None:
    page = (ROOT / "docs/methods.md").read_text(encoding="utf-8")
    assert [name for name in PROFILES if f"profile `{name}`" not in " ".join(page.split())] == []
