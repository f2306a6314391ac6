"""The digest of a graph: equal for the same graph, other for every change, and not misled by damaged files."""

from __future__ import annotations

import hashlib
import os
import random
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.errors import InvalidGraphError
from camgraph_runtime.digest import check_digest, digest_of_bytes, digest_of_file, file_sha256
from camgraph_runtime.manifest import METADATA_KEY
from support.tiny_graph import TinyGraph


def without_manifest(model: onnx.ModelProto) -> bytes:
    bare = onnx.ModelProto()
    bare.CopyFrom(model)
    kept = [entry for entry in bare.metadata_props if entry.key != METADATA_KEY]
    del bare.metadata_props[:]
    bare.metadata_props.extend(kept)
    data: bytes = bare.SerializeToString()
    return data


def with_everything() -> onnx.ModelProto:
    """A model with metadata of others, and fields of the file after the metadata."""
    model = TinyGraph().model()
    model.metadata_props.add(key="author", value="somebody")
    node = helper.make_node("Relu", ["x"], ["y"])
    model.functions.append(helper.make_function("local", "f", ["x"], ["y"], [node], [helper.make_opsetid("", 17)]))
    return model


@pytest.mark.parametrize("model", [TinyGraph().model(), with_everything()], ids=["plain", "everything"])
def test_it_is_the_hash_of_the_file_without_the_manifest(model):
    expected = hashlib.sha256(without_manifest(model)).hexdigest()
    assert digest_of_bytes(model.SerializeToString()) == pb.Digest(graph_sha256=expected)
    assert digest_of_bytes(without_manifest(model)).graph_sha256 == expected
    model.metadata_props[0].value = "another manifest"
    assert digest_of_bytes(model.SerializeToString()).graph_sha256 == expected


def external(name: str, **location: str) -> TensorProto:
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[2], data_location=TensorProto.EXTERNAL)
    for key, value in {"location": "w.bin", "offset": "0", "length": "8", **location}.items():
        tensor.external_data.add(key=key, value=value)
    return tensor


def everywhere() -> onnx.ModelProto:
    """Tensors in files wherever onnx.proto has a place for a tensor."""
    inner = helper.make_graph([], "inner", [], [], [external("i", location="inner.bin")])
    node = helper.make_node("Any", [], ["y"], one=external("t", location="attribute.bin"), graph=inner, graphs=[inner])
    several = node.attribute.add(name="several", type=onnx.AttributeProto.TENSORS)
    several.tensors.append(external("l", location="list.bin"))
    sparse = node.attribute.add(name="sparse", type=onnx.AttributeProto.SPARSE_TENSOR)
    sparse.sparse_tensor.values.CopyFrom(external("s", location="sparse.bin"))
    graph = helper.make_graph([node], "outer", [], [], [external("o"), external("u", location="w.bin")])
    graph.sparse_initializer.add().indices.CopyFrom(external("n", location="indices.bin"))
    model = helper.make_model(graph)
    model.functions.append(helper.make_function("local", "f", [], ["y"], [node], [helper.make_opsetid("", 17)]))
    model.functions[0].node[0].attribute[0].t.CopyFrom(external("f", location="function.bin"))
    model.training_info.add().algorithm.initializer.append(external("a", location="training.bin"))
    return model


def test_weights_are_found_wherever_they_are(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(everywhere().SerializeToString())
    names = ["attribute", "function", "indices", "inner", "list", "sparse", "training", "w"]
    for name in names:
        (tmp_path / f"{name}.bin").write_bytes(name.encode())
    digest = digest_of_file(path)
    assert [(file.name, file.sha256) for file in digest.data_files] == [
        (f"{name}.bin", hashlib.sha256(name.encode()).hexdigest()) for name in names
    ]
    check_digest(path, digest)
    (tmp_path / "inner.bin").write_bytes(b"other")
    with pytest.raises(InvalidGraphError, match=r"inner\.bin has changed since it was exported"):
        check_digest(path, digest)
    (tmp_path / "inner.bin").unlink()
    with pytest.raises(InvalidGraphError, match=r"inner\.bin cannot be read: No such file"):
        check_digest(path, digest)


def test_a_file_that_the_manifest_does_not_name_is_a_change(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(helper.make_model(helper.make_graph([], "g", [], [], [external("o")])).SerializeToString())
    (tmp_path / "w.bin").write_bytes(b"weights")
    digest = digest_of_file(path)
    del digest.data_files[:]
    with pytest.raises(InvalidGraphError, match=r"w\.bin has changed"):
        check_digest(path, digest)


@pytest.mark.parametrize("location", ["../w.bin", "/etc/passwd", "inside/../../w.bin", "w\0.bin"])
def test_weights_outside_the_folder_are_not_read(tmp_path, location):
    model = helper.make_model(helper.make_graph([], "g", [], [], [external("o", location=location)]))
    (tmp_path / "model.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(InvalidGraphError, match="not in its folder"):
        digest_of_file(tmp_path / "model.onnx")


def test_what_is_no_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "model.onnx")
    for read in (digest_of_file, file_sha256):
        with pytest.raises(InvalidGraphError, match=r"model\.onnx is not a file"):
            read(tmp_path / "model.onnx")


def test_every_changed_byte_is_seen(tmp_path):
    path = tmp_path / "model.onnx"
    data = TinyGraph().serialize()
    path.write_bytes(data)
    digest = digest_of_file(path)
    start = data.index(METADATA_KEY.encode())
    for place in random.Random(0).sample(range(start - 20), 100):
        path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        with pytest.raises(InvalidGraphError):
            check_digest(path, digest)


def test_damaged_files_get_a_sentence_or_a_digest(tmp_path):
    """No crash, no endless walk: 300 truncations and mutations of a file with all kinds of tensors."""
    for name in ("attribute", "function", "indices", "inner", "list", "sparse", "training", "w"):
        (tmp_path / f"{name}.bin").write_bytes(b"")
    path, dice = tmp_path / "model.onnx", random.Random(1)
    data = everywhere().SerializeToString()
    refused = 0
    for _ in range(300):
        broken = bytearray(data[: dice.randrange(len(data))] if dice.random() < 0.3 else data)
        for _ in range(dice.randrange(4)):
            if broken:
                broken[dice.randrange(len(broken))] = dice.randrange(256)
        path.write_bytes(broken)
        try:
            digest_of_file(path)
        except InvalidGraphError:
            refused += 1
    assert 100 < refused < 300


def test_graphs_inside_graphs_end_somewhere(tmp_path):
    inner = b""
    for _ in range(200):  # graph { node { attribute { g: inner } } }
        for number in (6, 5, 1):
            inner = bytes([number << 3 | 2]) + varint(len(inner)) + inner
    (tmp_path / "model.onnx").write_bytes(bytes([7 << 3 | 2]) + varint(len(inner)) + inner)
    with pytest.raises(InvalidGraphError, match="damaged"):
        digest_of_file(tmp_path / "model.onnx")


def varint(value: int) -> bytes:
    low, rest = value & 127, value >> 7
    return bytes([low | 128]) + varint(rest) if rest else bytes([low])


def test_the_hash_of_a_file_is_that_of_the_usual_tools(tmp_path: Path):
    data = np.random.default_rng(0).bytes(3_000_000)
    (tmp_path / "file").write_bytes(data)
    assert file_sha256(tmp_path / "file") == hashlib.sha256(data).hexdigest()
