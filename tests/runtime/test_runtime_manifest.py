"""The manifest as JSON."""

from __future__ import annotations

import json

import pytest

from camgraph_core.errors import InvalidGraphError
from camgraph_runtime.manifest import (
    FORMAT_VERSION,
    METADATA_KEY,
    manifest_from_json,
    manifest_from_metadata,
    manifest_to_json,
)
from support.tiny_graph import TinyGraph


def test_a_manifest_survives_the_way_through_json() -> None:
    manifest = TinyGraph().manifest()
    manifest.input.mean[:] = [0.485, 1 / 3, 1e-30]
    text = manifest_to_json(manifest)
    assert manifest_from_json(text) == manifest
    assert manifest_from_metadata({METADATA_KEY: text}) == manifest
    assert "format_version" in json.loads(text)


def test_unknown_fields_and_values_are_ignored() -> None:
    fields = json.loads(manifest_to_json(TinyGraph().manifest()))
    fields |= {"invented_later": {"a": 1}, "task": "TASK_INVENTED_LATER"}
    assert manifest_from_json(json.dumps(fields)).class_labels[0] == "cat"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "damaged"),
        ("[]", "no format version"),
        ("{", "damaged"),
        ('{"format_version": "x"}', "damaged"),
        ("{}", "no format version"),
        (f'{{"format_version": {FORMAT_VERSION + 1}}}', f"reads versions up to {FORMAT_VERSION}"),
    ],
)
def test_what_cannot_be_read_is_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidGraphError, match=message):
        manifest_from_json(text)


def test_a_graph_without_a_manifest_is_named() -> None:
    with pytest.raises(InvalidGraphError, match=r"resnet\.onnx is not an explainable graph.*camgraph export"):
        manifest_from_metadata({}, "resnet.onnx")
