"""The pages on other protocols list all inputs, outputs and parameters, and these say all that our own request can."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format

from camgraph.v1 import explanation_pb2 as pb
from camgraph_core.place import Polygon
from camgraph_core.target import Target
from camgraph_wire.kserve_v1 import FIELDS
from camgraph_wire.open_inference.explanation_outputs import OUTPUTS
from camgraph_wire.open_inference.explanation_parameters import PARAMETERS
from camgraph_wire.open_inference.explanations import INPUTS
from camgraph_wire.targets import target_from

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/kserve.md").read_text(encoding="utf-8")


def column(heading: str, page: str = PAGE) -> set[str]:
    """The names in the first column of the table with a heading."""
    start = page.index(f"| {heading} |")
    rows = page[start : page.index("\n\n", start)].splitlines()[2:]
    return {name for row in rows for name in re.findall(r"`([^`]+)`", row.split("|")[1])}


@pytest.mark.parametrize(
    ("heading", "known"),
    [
        ("input", set(INPUTS)),
        ("output", set(OUTPUTS)),
        ("parameter", set(PARAMETERS)),
        ("field of a target", {entry.name for entry in pb.Target.DESCRIPTOR.fields}),
    ],
)
def test_the_page_lists_all_that_there_is(heading: str, known: set[str]) -> None:
    assert column(heading) == known


def test_the_target_of_the_page_is_one() -> None:
    [example] = re.findall(r"^```json\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    target = target_from(json_format.Parse(example, pb.Target()))
    assert target == Target.of_label("cow", place=Polygon([(2, 3), (30, 4), (9, 28)]))


def test_the_page_of_http_lists_what_an_instance_has() -> None:
    page = (ROOT / "docs/http.md").read_text(encoding="utf-8")
    [row] = [line for line in page.splitlines() if line.startswith("| `instances` |")]
    assert all(f'"{name}"' in row or f"`{name}`" in row for name in FIELDS)


SAID_OTHERWISE = {
    "model_name": "the model's name", "model_version": "its version", "image": "image", "tensor": "NAME.tensors",
    "frames": "NAME.tensors",
    "targets": "target", "bank": "outputs of distances", "outputs": "outputs", "overlay": "its fields",
    "request_id": "id", "data": "image",
}  # fmt: skip  # a table of names
"""Fields of our own request that are no parameters, and what says the same."""


@pytest.mark.parametrize("message", [pb.ExplainRequest, pb.EncodedImage, pb.OverlayOptions])
def test_every_field_of_our_own_request_can_be_said(message: Any) -> None:
    fields = {entry.name for entry in message.DESCRIPTOR.fields}
    assert fields - SAID_OTHERWISE.keys() <= PARAMETERS
