"""The alert rules and the dashboard of deploy/ ask for metrics and labels that a server really has."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from camgraph.v1 import explanation_pb2
from camgraph_server.access.client import Client
from camgraph_server.budget import Budget, Share
from camgraph_server.call import Call
from camgraph_wire.open_inference.messages import POOL, SERVICE
from metrics_page import after_two_calls

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
SCRAPED = {"instance", "job"}  # labels that Prometheus adds
WORDS = {
    *("sum", "min", "max", "abs", "rate", "increase", "avg_over_time", "histogram_quantile", "time", "label_values"),
    *("by", "on", "group_left", "offset", "or", "vector"),
}
"""Functions and keywords of PromQL, and one of Grafana."""


def of_rules() -> Iterator[tuple[str, str]]:
    for group in yaml.safe_load((DEPLOY / "prometheus-rules.yaml").read_text("utf-8"))["groups"]:
        for rule in group["rules"]:
            yield rule.get("alert") or rule["record"], rule["expr"]


def of_dashboard() -> Iterator[tuple[str, str]]:
    board = json.loads((DEPLOY / "grafana-dashboard.json").read_text("utf-8"))
    for panel in board["panels"]:
        for target in panel.get("targets", ()):
            yield f"{panel['title']} {target['refId']}", target["expr"]
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            yield f"${variable['name']}", variable["definition"]


@pytest.fixture(scope="module")
def labels_of() -> dict[str, set[str]]:
    """The labels of each sample that a server gives, and of each that the rules record."""
    labels: dict[str, set[str]] = {}
    for metric in after_two_calls().collect():
        for sample in metric.samples:
            labels.setdefault(sample.name, set()).update(sample.labels, SCRAPED)
    for name, _ in of_rules():
        if ":" in name:
            labels[name] = {"model", "version"}
    return labels


def wrong_in(expression: str, labels_of: dict[str, set[str]]) -> set[str]:
    """What a query asks for that a server does not have: names of metrics, and labels that none of them has."""
    bare = re.sub(r'"[^"]*"', '""', expression)
    bare = re.sub(r"\[[^\]]*\]|\b\d[\d.]*[a-z]?\d*\b", "", bare)  # ranges, durations, numbers
    asked = set(re.findall(r"([a-z_]+)\s*(?:=~|!=|!~|=)\s*\"\"", bare))
    for group in re.findall(r"(?:by|on|group_left) \(([^)]*)\)", bare):
        asked |= set(group.replace(",", " ").split())
    asked |= set(re.findall(r"label_values\([^,]*, (\w+)\)", bare))
    names = set(re.findall(r"[a-z_][a-z_0-9:]*", bare)) - WORDS - asked
    known = set().union(*(labels_of.get(name, set()) for name in names))
    return (names - labels_of.keys()) | (asked - known)


@pytest.mark.parametrize(("title", "expression"), [*of_rules(), *of_dashboard()])
def test_every_query_asks_for_what_there_is(title: str, expression: str, labels_of: dict[str, set[str]]) -> None:
    assert wrong_in(expression, labels_of) == set()


@pytest.mark.parametrize(
    ("expression", "wrong"),
    [
        ('sum by (stage) (rate(camgraph_stage_seconds_sum{instance=~"$instance"}[5m]))', set()),
        ("camgraph_stage_seconds_total", {"camgraph_stage_seconds_total"}),
        ('camgraph_jobs{stage="queue"}', {"stage"}),
        ("sum by (model) (camgraph_jobs)", {"model"}),
        ("quantile(0.5, camgraph_jobs)", {"quantile"}),
    ],
)
def test_what_there_is_not_is_found(expression: str, wrong: set[str], labels_of: dict[str, set[str]]) -> None:
    assert wrong_in(expression, labels_of) == wrong


METHODS = [
    *explanation_pb2.DESCRIPTOR.services_by_name["ExplanationService"].methods_by_name,
    *POOL.FindServiceByName(SERVICE).methods_by_name,
    *("Predict", "ModelReady", "ListModels", "Alive", "Metrics"),  # of HTTP
]


@pytest.mark.parametrize(("title", "expression"), [*of_rules(), *of_dashboard()])
def test_a_query_about_explanations_sees_them_in_every_protocol(title: str, expression: str) -> None:
    for pattern in re.findall(r'grpc_method=~"([^"]*)"', expression):
        for method in METHODS:
            call = Call("", method, "", Client(""), None, Share(Budget(1)), item="1")
            assert bool(re.fullmatch(pattern, method)) == call.explains, f"{title}: {method}"


def test_panels_do_not_overlap() -> None:
    cells: dict[tuple[int, int], str] = {}
    panels: list[dict[str, Any]] = json.loads((DEPLOY / "grafana-dashboard.json").read_text("utf-8"))["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        place = panel["gridPos"]
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert cells.setdefault((x, y), panel["title"]) == panel["title"]
                assert x < 24
