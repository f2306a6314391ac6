"""The documents say what is so: links lead somewhere, commands and options exist, targets of make are there."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from camgraph_cli.main import cli

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = (".", "docs", "benchmarks", "examples/models", "examples/photos", "tests/data")
DOCUMENTS = sorted(path for folder in FOLDERS for path in (ROOT / folder).glob("*.md"))
documents = pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))


def shell_lines(text: str) -> Iterator[str]:
    """Commands in the fenced shell blocks, with continued lines joined and comments cut off."""
    for block in re.findall(r"^\s*```sh\n(.*?)^\s*```", text, re.MULTILINE | re.DOTALL):
        for line in re.sub(r"\\\n\s*", "", block).splitlines():
            yield re.sub(r"(^|\s)#.*", "", line).strip()


@documents
def test_every_relative_link_leads_to_a_file(path: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8"))
    local = [link.partition("#")[0] for link in links if "://" not in link and not link.startswith("#")]
    assert [link for link in local if not (path.parent / link).exists()] == []


@documents
def test_every_camgraph_command_parses(path: Path) -> None:
    """Checks names and options, not whether the files are there."""
    for line in shell_lines(path.read_text(encoding="utf-8")):
        for command in re.findall(r"(?:^|\s)(?:\.venv/bin/)?camgraph ([a-z]+ [^|&]*)", line):
            name, *arguments = shlex.split(command)
            known = cli.get_command(click.Context(cli), name)
            assert known is not None, line
            options = {option for parameter in known.params for option in parameter.opts}
            used = {word.partition("=")[0] for word in arguments if re.match(r"--?[a-z]", word)}
            assert used <= options, line


@documents
def test_every_make_target_exists(path: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    text = path.read_text(encoding="utf-8")
    used = set(re.findall(r"(?:`|^|\s)make (?:PYTHON=\S+ )?([a-z]+)`", text))
    used |= {match[1] for line in shell_lines(text) if (match := re.match(r"make ([a-z]+)", line))}
    for target in used:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


@documents
def test_every_named_file_of_the_repository_exists(path: Path) -> None:
    """Paths in back-quotes that begin with a folder of the repository."""
    folders = "benchmarks|client|deploy|docs|examples|exporter|proto|runtime|scripts|server|tests"
    named = re.findall(rf"[`\s]((?:{folders})/[\w./-]+)", path.read_text(encoding="utf-8"))
    made = re.findall(r"new\s+file\s+`([\w/.]+)`", path.read_text(encoding="utf-8"))
    assert {name for name in named if not (ROOT / name.rstrip(".")).exists()} == set(made), "but for those to be made"


def test_the_documents_were_found() -> None:
    names = {str(path.relative_to(ROOT)) for path in DOCUMENTS}
    assert {"README.md", "CONTRIBUTING.md", "docs/deployment.md", "benchmarks/README.md"} <= names
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert sum(line.startswith("camgraph ") for line in shell_lines(readme)) >= 5


def test_the_index_has_every_page() -> None:
    index = (ROOT / "docs/README.md").read_text(encoding="utf-8")
    pages = [path.name for path in (ROOT / "docs").glob("*.md") if path.name != "README.md"]
    assert len(pages) >= 5
    assert [name for name in pages if f"]({name})" not in index] == []


def test_every_call_of_the_service_is_documented() -> None:
    proto = (ROOT / "proto/camgraph/v1/explanation.proto").read_text(encoding="utf-8")
    page = (ROOT / "docs/api.md").read_text(encoding="utf-8")
    calls = re.findall(r"^\s*rpc (\w+)", proto, re.MULTILINE)
    assert len(calls) >= 3
    assert [call for call in calls if f"| `{call}` " not in page] == []
