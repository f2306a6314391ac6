"""`camgraph load` against a real server, as people call it."""

from __future__ import annotations

import json
import signal
import socket
from pathlib import Path

import pytest

from support.serving import png, run_camgraph, server_process, write_model
from support.tiny_graph import TinyGraph


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    path.write_bytes(png())
    return path


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    write_model(tmp_path / "models")
    return tmp_path / "models"


def test_calls_on_streams_have_the_answers_of_this_process(tmp_path: Path, photo: Path, repository: Path) -> None:
    record, graph = tmp_path / "run.json", repository / "tiny" / "1" / "model.onnx"
    with server_process(repository, "--log-format", "json") as server:
        done = run_camgraph(
            *("load", str(photo), "--server", server.address, "--callers", "4", "--duration", "1", "--warm-up", "0"),
            *("--stream", "--connections", "2", "--graph", str(graph), "--json", str(record)),
        )
        server.signal(signal.SIGTERM)
        _, log = server.wait()
    assert done.returncode == 0, done.stderr
    assert "4 callers, streams" in done.stdout
    [run] = json.loads(record.read_text())["runs"]
    assert run["summary"]["wrong"] == 0
    lines = [json.loads(line) for line in log.splitlines()]
    calls = [line for line in lines if line["message"] == "call"]
    assert [(line["rpc"], line["status"]) for line in calls] == [("ExplainStream", "OK")] * 2
    assert sum(line["items"] for line in calls) == run["summary"]["codes"]["OK"]


def test_a_ramp_gives_figures_a_record_and_a_report(tmp_path: Path, photo: Path, repository: Path) -> None:
    record, report = tmp_path / "run.json", tmp_path / "run.html"
    with server_process(repository) as server:
        done = run_camgraph(
            *("load", str(photo), "--server", server.address, "--rate", "5,10", "--duration", "1", "--warm-up", "0.5"),
            *("--arrivals", "constant", "--target", "1", "--target", "-1", "--output-kind", "overlay-jpeg"),
            *("--json", str(record), "--report", str(report)),
        )
    assert done.returncode == 0, done.stderr
    assert done.stderr == "", "no progress bar where nobody looks"
    assert "5 calls/s" in done.stdout
    runs = json.loads(record.read_text())["runs"]
    assert [run["summary"]["codes"] for run in runs] == [{"OK": 5}, {"OK": 10}]
    assert [run["summary"]["wrong"] for run in runs] == [0, 0]
    assert runs[0]["summary"]["stages"]["inference"] > 0
    assert report.read_text().count("<svg") == 5


def test_a_closed_loop_and_a_comparison(tmp_path: Path, photo: Path, repository: Path) -> None:
    record, report = tmp_path / "run.json", tmp_path / "both.html"
    with server_process(repository) as server:
        options = ("--callers", "2", "--duration", "6", "--warm-up", "0", "--processes", "2", "--json", str(record))
        done = run_camgraph("load", str(photo), "--server", server.address, *options)
    assert done.returncode == 0, done.stderr
    compared = run_camgraph("compare-loads", str(record), str(record), "--report", str(report))
    assert compared.returncode == 0, compared.stderr
    assert "1.000" in compared.stdout
    assert "<svg" in report.read_text()


def test_answers_are_held_against_the_graph_to_the_bit(tmp_path: Path, photo: Path, repository: Path) -> None:
    graph = next(repository.rglob("*.onnx"))
    other = write_model(tmp_path / "others", graph=TinyGraph(seed=5))
    with server_process(repository) as server:
        options = ("--rate", "10", "--duration", "0.5", "--warm-up", "0", "--output-kind", "overlay-png")
        call = ("load", str(photo), "--server", server.address, *options, "--target", "0", "--graph")
        same, different = run_camgraph(*call, str(graph)), run_camgraph(*call, str(other))
    assert same.returncode == 0, same.stderr
    assert "not what was asked for" not in same.stdout
    assert "answers were not what was asked for" in different.stdout


def test_what_a_server_refuses_is_a_figure(photo: Path, repository: Path) -> None:
    with server_process(repository) as server:
        options = (
            "--server",
            server.address,
            "--rate",
            "10",
            "--duration",
            "0.5",
            "--warm-up",
            "0",
            "--model",
            "other",
        )
        done = run_camgraph("load", str(photo), *options)
    assert done.returncode == 0, done.stderr
    assert "NOT_FOUND" in done.stdout


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "--rate"),
        (("--rate", "x"), "'x' is not a rate"),
        (("--rate", "10,5"), "do not rise"),
        (("--rate", "1", "--target", "-0"), "Ranks start at 1"),
        (("--rate", "1", "--timeout", "0.2"), "did not accept a connection"),
        (("--rate", "1", "--output-kind", "sculpture"), "sculpture"),
    ],
)
def test_what_cannot_be_sent_is_said_at_once(photo: Path, options: tuple[str, ...], said: str) -> None:
    done = run_camgraph("load", str(photo), "--server", "127.0.0.1:9", *options)
    assert done.returncode == 2
    assert said in done.stderr


def test_what_the_server_takes_is_in_the_report(tmp_path: Path, photo: Path, repository: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as found:
        address = f"127.0.0.1:{found.getsockname()[1]}"
    report = tmp_path / "run.html"
    options = ("--callers", "1", "--duration", "3", "--warm-up", "0", "--report", str(report))
    with server_process(repository, "--metrics", address) as server:
        call = ("load", str(photo), "--server", server.address, *options, "--metrics-url")
        done = run_camgraph(*call, f"http://{address}/metrics")
        other = run_camgraph(*call, f"http://{address}/healthz")
    nobody = run_camgraph(*call, f"http://{address}/metrics")
    assert done.returncode == 0, done.stderr
    assert "the server used" in done.stdout
    assert "What the server takes" in report.read_text()
    assert "has no metrics of a server" in other.stderr
    assert "cannot be read" in nobody.stderr
