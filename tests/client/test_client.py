"""Both faces of the client against a real server."""

from __future__ import annotations

import asyncio
import inspect
import socket
import subprocess
import sys
import time
from concurrent import futures
from contextlib import contextmanager

import grpc
import numpy as np
import pytest

import camgraph_client
from camgraph.v1 import explanation_pb2 as pb
from camgraph.v1 import explanation_pb2_grpc
from camgraph_client import (
    AsyncClient,
    Client,
    Connection,
    DeadlineError,
    RemoteError,
    Tls,
    UnavailableError,
)
from camgraph_core.errors import (
    InvalidInputError,
    TargetError,
    UnknownLayerError,
    UnsupportedError,
    UsageError,
)
from camgraph_runtime import Explainer, Target
from support.compare import assert_same
from support.fresh import loaded_by
from support.serving import GatedLoader, photo, png, server_thread, write_certificate, write_model
from support.tiny_graph import TinyGraph


@pytest.fixture(params=["sync", "async"])
def call(request, address):
    """Calls a method of a client by name, through either face."""

    def method(client, name, model, version):
        return getattr(client.model(model, version) if name in ("explain", "details") else client, name)

    async def through_async(connection, name, model, version, /, *arguments, **options):
        async with AsyncClient(connection) as client:
            return await method(client, name, model, version)(*arguments, **options)

    def run(name, /, *arguments, connection=None, model="", version="", **options):
        connection = connection or address
        if request.param == "async":
            return asyncio.run(through_async(connection, name, model, version, *arguments, **options))
        with Client(connection) as client:
            return method(client, name, model, version)(*arguments, **options)

    return run


@pytest.fixture(params=["bytes", "path", "text", "pixels"])
def source(request, image):
    return {"bytes": png(), "path": image, "text": str(image), "pixels": photo()}[request.param]


def test_explain_gives_what_the_runtime_gives(call, source, graph):
    options = {
        "targets": [Target.of_label("dog"), Target.index(0, contrast=Target.of_rank(1))],
        "top_k": 1,
        "request_id": "r1",
    }
    result = call("explain", source, model="tiny", **options)
    expected = Explainer(graph).explain(png(), **options)
    assert_same(result, expected)
    assert result.explanations[1].contrast.class_index == expected.predictions[0].class_index
    assert (result.model_name, result.model_version, result.request_id) == ("tiny", "1", "r1")
    assert result.image_size == (40, 30)
    assert result.timings.total_ms > 0
    np.testing.assert_array_equal(result.photo, expected.photo)


def test_models(call):
    [info] = call("list_models")
    assert (info.name, info.version, info.state, info.num_classes) == ("tiny", "1", "ready", 5)
    assert info.layers == ("features", "conv")
    for details in (call("get_model", "tiny"), call("details", model="tiny"), call("details")):
        assert details.info == info
        assert details.manifest == TinyGraph().manifest()


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"targets": [Target.index(9)]}, TargetError, "0 to 4"),
        ({"targets": [Target.of_label("dgo")]}, TargetError, "'dog'"),
        ({"layers": ["nowhere"]}, UnknownLayerError, "last, conv"),
        ({"model": "tinny"}, UsageError, "'tiny'"),
        ({"version": "7"}, UsageError, "version '7'"),
        ({"method": "gradcam"}, UsageError, "Did you mean grad-cam"),
        ({"outputs": ["picture"]}, UsageError, "heatmap"),
        ({"colormap": "rainbow"}, UsageError, "jet"),
        ({"image_weight": 2.0}, UsageError, "0..1"),
    ],
)
def test_errors_are_those_of_the_runtime(call, options, error, text):
    with pytest.raises(error, match=text) as caught:
        call("explain", png(), **options)
    assert "rpc" not in str(caught.value).lower()


def test_unusable_images(call, tmp_path):
    with pytest.raises(InvalidInputError, match="not an image"):
        call("explain", b"no image")
    with pytest.raises(InvalidInputError, match=r"gone\.png cannot be read"):
        call("explain", tmp_path / "gone.png")
    with pytest.raises(InvalidInputError, match="either an image or a tensor"):
        call("explain")


def test_request_beyond_the_server_limit(call):
    with pytest.raises(InvalidInputError, match="larger"):
        call("explain", bytes(40_000_000))


def test_missing_gradients(call, tmp_path):
    write_model(tmp_path, graph=TinyGraph(gradients=False))
    with server_thread(tmp_path) as server, pytest.raises(UnsupportedError, match="--gradients"):
        call("explain", png(), method="hires-cam", connection=server.address)


def test_nobody_listens(call):
    connection = Connection(f"127.0.0.1:{closed_port()}", attempts=1, timeout=10)
    with pytest.raises(UnavailableError, match="No server answers at 127"):
        call("list_models", connection=connection)


def test_another_grpc_server(call):
    other = grpc.server(futures.ThreadPoolExecutor(1))
    port = other.add_insecure_port("127.0.0.1:0")
    other.start()
    with pytest.raises(RemoteError, match="not one of camgraph"):
        call("list_models", connection=f"127.0.0.1:{port}")
    other.stop(None).wait()


def test_timeout(call, repository):
    loader = GatedLoader()
    with server_thread(repository, loader) as server:
        with pytest.raises(DeadlineError, match=r"within 0\.3 s"):
            call("explain", png(), connection=Connection(server.address, timeout=0.3))
        loader.loaded.release.set()


@pytest.mark.parametrize("size", [100, 2_000_000])
def test_unavailable_is_tried_again_whatever_the_size(call, size):
    with flaky_server(failures=2, status=grpc.StatusCode.UNAVAILABLE) as (flaky, port):
        result = call("explain", bytes(size), connection=f"127.0.0.1:{port}")
    assert result.model_name == "flaky"
    assert flaky.calls == 3


def test_other_failures_are_not_tried_again(call):
    refused = pytest.raises(RemoteError, match="not now")
    with flaky_server(failures=2, status=grpc.StatusCode.INTERNAL) as (flaky, port), refused:
        call("explain", b"x", connection=f"127.0.0.1:{port}")
    assert flaky.calls == 1


def test_retries_can_be_turned_off(call):
    refused = pytest.raises(UnavailableError)
    with flaky_server(failures=1, status=grpc.StatusCode.UNAVAILABLE) as (flaky, port), refused:
        call("explain", b"x", connection=Connection(f"127.0.0.1:{port}", attempts=1))
    assert flaky.calls == 1


def test_tls(call, repository, tmp_path):
    authority, certificate, key = write_certificate(tmp_path)
    settings = {"listen": "localhost:0", "tls_cert": certificate, "tls_key": key}
    with server_thread(repository, **settings) as server:
        port = server.address.rpartition(":")[2]
        assert call("list_models", connection=Connection(server.address, Tls(authority)))
        by_number = Connection(f"127.0.0.1:{port}", Tls(authority, "localhost"))
        assert call("list_models", connection=by_number)
        plain = Connection(server.address, attempts=1, timeout=10)
        with pytest.raises(UnavailableError, match="TLS"):
            call("list_models", connection=plain)


def test_unusable_connections(tmp_path):
    for arguments in ({"address": ""}, {"timeout": 0}, {"attempts": 0}, {"attempts": 9}):
        with pytest.raises(UsageError):
            Connection(**{"address": "x:1"} | arguments)
    with pytest.raises(UsageError, match=r"gone\.pem"):
        Client(Connection("x:1", Tls(tmp_path / "gone.pem")))


async def test_many_calls_at_once_over_one_async_client(address):
    async with AsyncClient(address) as client:
        started = time.monotonic()
        results = await asyncio.gather(*(client.model().explain(png(seed=i), request_id=str(i)) for i in range(20)))
        assert time.monotonic() - started < 20
    assert [result.request_id for result in results] == [str(i) for i in range(20)]


def test_public_names_are_importable_and_no_others():
    for name in camgraph_client.__all__:
        assert getattr(camgraph_client, name).__name__ == name
    with pytest.raises(AttributeError):
        camgraph_client.nothing  # noqa: B018 - reading it must fail


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_a_call_shows_what_it_takes_and_what_it_does(kind):
    call = kind.__new__(kind).get_model  # which needs no connection
    assert list(inspect.signature(call).parameters) == ["name", "version"]
    assert "without a version the newest" in call.__doc__
    assert "without a version the newest" in kind.get_model.__doc__


def test_the_package_loads_without_grpc():
    code = "import sys; sys.modules['grpc'] = None; import camgraph_cli.main, camgraph_client.cli.explain"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_a_client_takes_numpy_and_no_library_of_pictures_or_inference():
    loaded = loaded_by(
        """
import asyncio
import inspect
from camgraph.v1 import explanation_pb2 as pb
from camgraph_client import AsyncClient, Client, Connection, Target, Tls, UnavailableError
from camgraph_client.sending import result_of
from camgraph_core.request import Request
from camgraph_core.request import Addressed

with Client(Connection("localhost:1", Tls(), attempts=1)) as client:
    try:
        client.model("m").explain(b"image", targets=[Target.of_label("tabby")], method="grad-cam")
    except UnavailableError:
        pass
sent = Addressed(request=Request(), image=b"image")
[explanation] = result_of(pb.ExplainResponse(explanations=[pb.Explanation()]), sent).explanations
assert not hasattr(explanation, "heatmap")
"""
    )
    assert {"grpc", "numpy"} <= loaded
    assert not loaded & {"cv2", "PIL", "onnxruntime", "onnx", "click", "rich", "torch"}


class Flaky(explanation_pb2_grpc.ExplanationServiceServicer):
    def __init__(self, failures, status):
        self.failures, self.status, self.calls = failures, status, 0

    def Explain(self, _, context):  # noqa: N802 - the protocol's name
        self.calls += 1
        if self.calls <= self.failures:
            context.abort(self.status, "not now")
        return pb.ExplainResponse(model_name="flaky")


@contextmanager
def flaky_server(failures, status):
    flaky = Flaky(failures, status)
    server = grpc.server(futures.ThreadPoolExecutor(2))
    explanation_pb2_grpc.add_ExplanationServiceServicer_to_server(flaky, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield flaky, port
    finally:
        server.stop(None).wait()


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
