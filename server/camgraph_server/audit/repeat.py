"""Repeats a request of the audit log, and compares the result bit for bit."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from camgraph_core.clips import AnyResult
from camgraph_core.errors import InvalidInputError, NotFoundError
from camgraph_core.outputs import DEFAULT_OUTPUTS
from camgraph_core.request import Addressed
from camgraph_core.types import AnyArray
from camgraph_runtime.explainers import AnyExplainer
from camgraph_server.audit.entry import entry_of, graph_of, request_of
from camgraph_server.models.subjects import check_subject, network_input_of


def entry_in(path: Path, identifier: str) -> dict[str, Any]:
    """The line of an audit log that has an identifier: its own, or the request's.

    Raises:
        InvalidInputError: The file cannot be read, or several lines have it.
        NotFoundError: No line has it.
    """
    try:
        with path.open(encoding="utf-8", errors="replace") as lines:  # which may be more than memory holds
            found = [entry for entry in map(_parsed, lines) if identifier in (entry.get("id"), entry.get("request_id"))]
    except OSError as error:
        raise InvalidInputError(f"{path} cannot be read: {error.strerror}.") from error
    if not found:
        raise NotFoundError(f"{path} has no line with the id {identifier!r}.")
    if len(found) > 1:
        raise InvalidInputError(f"{path} has {len(found)} lines with {identifier!r}; give the id of one of them.")
    return found[0]


def differences(
    entry: Mapping[str, Any], explainer: AnyExplainer, images: Sequence[bytes], tensor: AnyArray | None
) -> list[str]:
    """Does a request again. What is not as it was then, each in words; nothing if every bit is.

    Args:
        entry: The line of the audit log.
        explainer: The graph.
        images: The image that the request was about; of a clip its frames.
        tensor: The tensor that it was about.

    Raises:
        InvalidInputError: It was about another image or graph, or it was not answered.
    """
    addressed = request_of(entry, images, tensor)
    if entry["graph"] != json.loads(json.dumps(graph_of(explainer, addressed))):
        raise InvalidInputError("The request was answered by another graph: its digest or certificate is another.")
    again = json.loads(json.dumps(entry_of(explainer, addressed, _result(explainer, addressed))))
    return list(_differences(entry, again))


def _result(explainer: AnyExplainer, addressed: Addressed) -> AnyResult:
    """The result with the outputs that were asked for, by the steps of a server."""
    check_subject(explainer, addressed)
    plan = explainer.plan(addressed.request, has_photo=addressed.has_photo)
    network_input = network_input_of(explainer, addressed)
    plan = explainer.fit(plan, network_input)
    [inference] = explainer.infer([network_input], [plan])
    result: Any = explainer.finish(plan, network_input, inference)
    names = plan.request.outputs or DEFAULT_OUTPUTS
    found: AnyResult = replace(
        result,
        explanations=[
            replace(one, given={name: one.output(name) for name in filter(one.gives, names)})
            for one in result.explanations
        ],
    )
    return found


def _differences(entry: Mapping[str, Any], again: Mapping[str, Any]) -> Iterator[str]:
    for part in ("predictions", "explanations"):
        if len(entry[part]) != len(again[part]):
            yield f"{len(again[part])} {part} in place of {len(entry[part])}"
            continue
        for number, (then, now) in enumerate(zip(entry[part], again[part], strict=True), 1):
            for name in then.keys() | now.keys():
                if then.get(name) != now.get(name):
                    yield f"{part.removesuffix('s')} {number}: {name}"
    changed = {name for name in entry["environment"] if entry["environment"][name] != again["environment"].get(name)}
    for name in sorted(changed):
        yield f"environment: {name} was {entry['environment'][name]} and is {again['environment'].get(name)}"


def _parsed(line: str) -> dict[str, Any]:
    """A line; empty if it is damaged, as by a disk that was full."""
    try:
        entry = json.loads(line)
    except ValueError:
        return {}
    return entry if isinstance(entry, dict) else {}
