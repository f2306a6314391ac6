"""ListModels and GetModel, and which model answers."""

from __future__ import annotations

import grpc
import pytest

from camgraph.v1 import explanation_pb2 as pb
from camgraph.v1.explanation_pb2_grpc import ExplanationServiceStub
from support.serving import PATIENCE, png, running_server, write_model
from support.tiny_graph import TinyGraph


@pytest.fixture
def repository(tmp_path):
    write_model(tmp_path, "tiny", 2)
    write_model(tmp_path, "tiny", 10, TinyGraph(labels=("yes", "no")))
    (tmp_path / "flat.onnx").write_bytes(TinyGraph().serialize())
    (tmp_path / "torn.onnx").write_bytes(TinyGraph().serialize()[:700])
    return tmp_path


async def test_models_are_listed_with_state_and_reason(stub):
    models = (await stub.ListModels(pb.ListModelsRequest(), timeout=PATIENCE)).models
    assert [(model.name, model.version) for model in models] == [
        ("flat", "1"),
        ("tiny", "2"),
        ("tiny", "10"),
        ("torn", "1"),
    ]
    assert [model.state for model in models] == [
        pb.MODEL_STATE_READY,
        pb.MODEL_STATE_READY,
        pb.MODEL_STATE_READY,
        pb.MODEL_STATE_FAILED,
    ]
    assert models[0].num_classes == 5
    assert models[0].layers == ["features", "conv"]
    assert models[0].execution_provider == "CPUExecutionProvider"
    assert "torn.onnx" in models[3].reason


async def test_newest_version_answers_unless_another_is_named(stub):
    image = pb.EncodedImage(data=png())
    newest = await stub.Explain(pb.ExplainRequest(model_name="tiny", image=image), timeout=PATIENCE)
    assert newest.model_version == "10"
    assert newest.predictions[0].label in {"yes", "no"}
    named = pb.ExplainRequest(model_name="tiny", model_version="2", image=image)
    assert (await stub.Explain(named, timeout=PATIENCE)).model_version == "2"


async def test_model_with_its_whole_manifest(stub):
    response = await stub.GetModel(pb.GetModelRequest(name="flat"), timeout=PATIENCE)
    assert response.model.name == "flat"
    assert response.manifest == TinyGraph().manifest()


async def test_failed_model_is_described_and_refused(stub):
    described = await stub.GetModel(pb.GetModelRequest(name="torn"), timeout=PATIENCE)
    assert described.model.state == pb.MODEL_STATE_FAILED
    request = pb.ExplainRequest(model_name="torn", image=pb.EncodedImage(data=png()))
    with pytest.raises(grpc.RpcError) as caught:
        await stub.Explain(request, timeout=PATIENCE)
    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert "torn" in caught.value.details()


@pytest.mark.parametrize(
    ("name", "version", "status", "text"),
    [
        ("tinny", "", grpc.StatusCode.NOT_FOUND, "'tiny'"),
        ("tiny", "3", grpc.StatusCode.NOT_FOUND, "no version '3'"),
        ("../tiny", "", grpc.StatusCode.NOT_FOUND, "no model '../tiny'"),
        ("", "", grpc.StatusCode.INVALID_ARGUMENT, "Name a model"),
    ],
)
async def test_unknown_names(stub, name, version, status, text):
    for call, request in (
        (stub.GetModel, pb.GetModelRequest(name=name, version=version)),
        (stub.Explain, pb.ExplainRequest(model_name=name, model_version=version)),
    ):
        with pytest.raises(grpc.RpcError) as caught:
            await call(request, timeout=PATIENCE)
        assert caught.value.code() is status
        assert text in caught.value.details()


async def test_a_failed_newest_version_leaves_the_one_before_in_service(tmp_path, connect):
    write_model(tmp_path, "fresh", 1)
    write_model(tmp_path, "fresh", 2).write_bytes(b"not a model")
    async with running_server(tmp_path) as server:
        stub = ExplanationServiceStub(connect(server.address))
        request = pb.ExplainRequest(model_name="fresh", image=pb.EncodedImage(data=png()))
        assert (await stub.Explain(request, timeout=PATIENCE)).model_version == "1"
