"""This server and a real Triton are asked the same over HTTP, see `http_conformance.py`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from comparing import by_names, differing, unexplained
from http_conformance import HTTP_CASES, HTTP_DIFFERENCES, HttpCase, http_page_section

from support.serving import ServerProcess
from support.triton_server import TritonServer

PAGE = Path(__file__).resolve().parents[2] / "docs" / "triton.md"


def answer(address: str, case: HttpCase) -> httpx.Response:
    method, path = case.path.split()
    more: dict[str, Any] = {}
    if case.body is not None:
        is_ready = isinstance(case.body, str | bytes)
        more = {"content": case.body if is_ready else json.dumps(case.body)}  # which has NaN, unlike that of httpx
    return httpx.request(method, f"http://{address}{path}", timeout=60, headers=case.headers, **more)


def by_name(case: HttpCase) -> str:
    return case.what


@pytest.mark.parametrize("case", HTTP_CASES, ids=by_name)
def test_this_server_gives_the_status_of_the_table(case: HttpCase, server: ServerProcess) -> None:
    given = answer(server.http_address, case)
    assert given.status_code == case.ours, given.text


@pytest.mark.parametrize("case", HTTP_CASES, ids=by_name)
def test_triton_gives_the_same_status_but_where_the_table_says_why_not(case: HttpCase, triton: TritonServer) -> None:
    given = answer(triton.http, case)
    assert given.status_code == (case.triton or case.ours), given.text
    assert bool(case.triton) == bool(case.why) == (case.triton not in (0, case.ours))


def test_answers_are_equal_but_for_what_the_table_explains(server: ServerProcess, triton: TritonServer) -> None:
    seen: set[tuple[str, str]] = set()
    wrong = []
    for case in HTTP_CASES:
        one, other = answer(server.http_address, case), answer(triton.http, case)
        if one.status_code == other.status_code == 200:
            fields = differing(view(one), view(other))
            missing = unexplained(HTTP_DIFFERENCES, case.path, case.what, fields, seen)
            wrong += [f"{case.what}: {name}" for name in missing]
    assert not wrong, "\n".join(wrong)
    assert seen == {(item.method, field) for item in HTTP_DIFFERENCES for field in item.fields}


def view(answer: httpx.Response) -> dict[str, Any]:
    """The fields of an answer that say something; a list of models as the field `models`, bytes as numbers."""
    end = int(answer.headers.get("Inference-Header-Content-Length", len(answer.content)))
    value, rest = json.loads(answer.content[:end] or "{}"), answer.content[end:]
    for output in value.get("outputs", ()) if isinstance(value, dict) else ():
        if size := output.get("parameters", {}).pop("binary_data_size", 0):
            output["data"], rest = np.frombuffer(rest[:size], np.float32).tolist(), rest[size:]
    value = _without_defaults(value)
    fields: dict[str, Any] = {"models": value} if isinstance(value, list) else value
    by_names(fields)
    return fields


def _without_defaults(value: Any) -> Any:
    """The value without what JSON states although it says nothing: empty texts and lists, zeros, a format of none."""
    if isinstance(value, list):
        return [_without_defaults(item) for item in value]
    if not isinstance(value, dict):
        return value
    inner = {name: _without_defaults(item) for name, item in value.items()}
    return {name: item for name, item in inner.items() if item not in ("", [], {}, 0, False, None, "FORMAT_NONE")}


def test_the_page_lists_the_differences() -> None:
    assert http_page_section() in PAGE.read_text(encoding="utf-8")
