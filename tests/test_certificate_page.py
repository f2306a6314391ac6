"""docs/certificate.md lists the checks as they are run, with what they allow."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from camgraph.v1 import manifest_pb2 as pb
from camgraph_exporter.certificate import differences
from support.exporting import in_memory
from support.nets import classifier

PAGE = (Path(__file__).resolve().parent.parent / "docs/certificate.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> pb.Certificate:
    """The certificate of a small classifier."""
    return in_memory(classifier(), tmp_path_factory.mktemp("certificate")).manifest.certificate


def test_every_check_stands_on_the_page_with_its_tolerance(certificate: pb.Certificate) -> None:
    rows = re.findall(r"^\| `([\w-]+)` +\|.*\| +([\d.e-]+|any) \|$", PAGE, re.MULTILINE)
    assert rows == [
        (check.name, "any" if check.is_statement else f"{check.tolerance:g}") for check in certificate.checks
    ]


def test_the_steps_are_those_of_the_page() -> None:
    first, *middle, last = (f"{step:.0e}".replace("e-0", "e-") for step in differences.STEPS)
    assert f"steps {', '.join([first, *middle])} and {last}" in " ".join(PAGE.split())
