"""Which files a server loads at all: certified ones, unchanged ones, pinned ones, signed ones."""

from __future__ import annotations

import hashlib
from pathlib import Path

import onnx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.errors import InvalidGraphError, UsageError
from camgraph_runtime.digest import digest_of_file
from camgraph_runtime.manifest import METADATA_KEY, manifest_to_json
from camgraph_server.config import ServerConfig
from camgraph_server.models import signature
from camgraph_server.models.file_loader import FileLoader
from camgraph_server.models.model import ModelState
from camgraph_server.models.repository import ModelRepository
from support.serving import write_model
from support.tiny_graph import TinyGraph


class Uncertified(TinyGraph):
    def manifest(self) -> pb.Manifest:
        manifest = super().manifest()
        manifest.ClearField("certificate")
        return manifest


class Failed(TinyGraph):
    def manifest(self) -> pb.Manifest:
        manifest = super().manifest()
        manifest.certificate.CopyFrom(pb.Certificate(passed=False, checks=[pb.Check(name="registration")]))
        return manifest


def load(path: Path, repository: Path, **settings) -> None:
    loader = FileLoader(ServerConfig(repository, trial_load=False, **settings), repository)
    try:
        loader(path).close()
    finally:
        loader.close()


@pytest.mark.parametrize(
    ("graph", "text"), [(Uncertified(), "has no certificate"), (Failed(), r"did not pass its certificate \(registr")]
)
@pytest.mark.parametrize("trial", [False, True])
def test_a_graph_that_is_not_proven_is_served_only_if_it_is_allowed(tmp_path, graph, text, trial):
    path = write_model(tmp_path, graph=graph)
    loader = FileLoader(ServerConfig(tmp_path, trial_load=trial), tmp_path)
    with pytest.raises(InvalidGraphError, match=f"{text}.*--allow-uncertified"):
        loader(path)
    loader.close()
    load(path, tmp_path, allow_uncertified=True)


def with_weights(folder: Path, name: str = "model.onnx", *, state_digest: bool = True) -> Path:
    """The tiny graph with its weights in a file of their own."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    model = TinyGraph().model()
    del model.metadata_props[:]
    onnx.save(model, path, save_as_external_data=True, location="weights.bin", size_threshold=100)
    model = onnx.load(path, load_external_data=False)
    manifest = TinyGraph().manifest()
    if state_digest:
        manifest.digest.CopyFrom(digest_of_file(path))
    model.metadata_props.add(key=METADATA_KEY, value=manifest_to_json(manifest))
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize("trial", [False, True])
@pytest.mark.parametrize("changed", ["model.onnx", "weights.bin"])
def test_a_changed_weight_is_found_at_loading(tmp_path, changed, trial):
    path = with_weights(tmp_path / "tiny")
    loader = FileLoader(ServerConfig(tmp_path, trial_load=trial), tmp_path)
    loader(path).close()
    file = path.with_name(changed)
    data = file.read_bytes()
    place = data.index(b"kernel") if changed == "model.onnx" else len(data) // 2
    file.write_bytes(data[:place] + b"Kernel"[:1] + data[place + 1 :])
    with pytest.raises(InvalidGraphError, match=r"has changed since it was exported|cannot be loaded"):
        loader(path)
    loader.close()


def pin(repository: Path, file: Path, *paths: Path) -> None:
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(repository)}" for path in paths]
    file.write_text("# pins\n\n" + "\n".join(lines))


@pytest.mark.parametrize("name", ["tiny/model.onnx", "tiny/3/model.onnx", "tiny.onnx"])
def test_pinned_files_are_loaded_and_no_others(tmp_path, name):
    repository, pins = tmp_path / "models", tmp_path / "pins"
    path = with_weights((repository / name).parent, Path(name).name)
    weights = path.with_name("weights.bin")
    other = write_model(repository, "other")
    pin(repository, pins, path, weights)
    load(path, repository, pins=pins)
    with pytest.raises(InvalidGraphError, match=r"other/1/model\.onnx has no hash in"):
        load(other, repository, pins=pins)
    pin(repository, pins, path)
    with pytest.raises(InvalidGraphError, match=r"weights\.bin has no hash in"):
        load(path, repository, pins=pins)
    pin(repository, pins, path, weights)
    path.write_bytes(path.read_bytes() + onnx.ModelProto(doc_string="x").SerializeToString())
    with pytest.raises(InvalidGraphError, match="has not the hash that"):
        load(path, repository, pins=pins)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no hash"),
        (f"{'0' * 64}  tiny/1/model.onnx\n", "has not the hash"),
        (f"{'0' * 63}  tiny/1/model.onnx\n", "Line 1 of"),
        ("tiny 1 abc\n", "Line 1 of"),
        (f"{'0' * 64}  a\n{'1' * 64}  a\n", "two hashes of a"),
        (b"\xff", "cannot be read"),
        (None, "cannot be read"),
    ],
)
def test_pins_that_are_unclear_load_nothing(tmp_path, text, message):
    path, pins = write_model(tmp_path / "models"), tmp_path / "pins"
    if text is not None:
        pins.write_bytes(text if isinstance(text, bytes) else text.encode())
    folder = tmp_path / "models"
    repository = ModelRepository(folder, FileLoader(ServerConfig(folder, trial_load=False, pins=pins), folder))
    repository.load()
    [model] = repository.models
    assert model.state is ModelState.FAILED
    assert message in model.reason
    assert path.exists()


@pytest.fixture(scope="module")
def keys(tmp_path_factory) -> tuple[Path, Path, Path]:
    """Files with a private key, its public one, and the public one of somebody else."""
    folder = tmp_path_factory.mktemp("keys")
    private, other = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    files = folder / "private.pem", folder / "public.pem", folder / "other.pem"
    files[0].write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    for key, file in ((private, files[1]), (other, files[2])):
        file.write_bytes(
            key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        )
    return files


def sign(model: Path, signature_file: Path, key: Path) -> None:
    from model_signing import hashing, signing  # noqa: PLC0415 - slow to import

    config = hashing.Config().set_ignored_paths(paths=[signature_file])
    signing.Config().use_elliptic_key_signer(private_key=key).set_hashing_config(config).sign(model, signature_file)


def test_signed_models_are_loaded_and_no_others(tmp_path, keys):
    private, public, other = keys
    path = with_weights(tmp_path / "tiny" / "1")
    with pytest.raises(InvalidGraphError, match=r"has no signature .*model\.sig"):
        load(path, tmp_path, signature_key=public)
    sign(path.parent, path.with_name("model.sig"), private)
    load(path, tmp_path, signature_key=public)
    with pytest.raises(InvalidGraphError, match=r"does not hold for model\.onnx"):
        load(path, tmp_path, signature_key=other)
    weights = path.with_name("weights.bin")
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(InvalidGraphError, match=r"does not hold .*weights\.bin"):
        load(path, tmp_path, signature_key=public)
    path.with_name("model.sig").write_text("{}")
    with pytest.raises(InvalidGraphError, match="does not hold"):
        load(path, tmp_path, signature_key=public)


def test_the_signature_of_a_file_does_not_cover_weights_beside_it(tmp_path, keys):
    private, public, _ = keys
    whole, parted = tmp_path / "whole.onnx", with_weights(tmp_path, "parted.onnx")
    whole.write_bytes(TinyGraph().serialize())
    for path in (whole, parted):
        sign(path, path.with_name(f"{path.name}.sig"), private)
    load(whole, tmp_path, signature_key=public)
    with pytest.raises(InvalidGraphError, match=r"does not cover weights\.bin"):
        load(parted, tmp_path, signature_key=public)


def test_a_signature_that_leaves_the_graph_out(tmp_path, keys):
    from model_signing import hashing, signing  # noqa: PLC0415 - slow to import

    private, public, _ = keys
    path = write_model(tmp_path)
    (path.parent / "labels.txt").write_text("cat")
    config = hashing.Config().set_ignored_paths(paths=[path.with_name("model.sig"), path])
    signer = signing.Config().use_elliptic_key_signer(private_key=private).set_hashing_config(config)
    signer.sign(path.parent, path.with_name("model.sig"))
    with pytest.raises(InvalidGraphError, match=r"does not cover model\.onnx"):
        load(path, tmp_path, signature_key=public)


def test_signatures_need_their_package(tmp_path, monkeypatch, keys):
    monkeypatch.setattr(signature, "find_spec", lambda _: None)
    with pytest.raises(UsageError, match=r"camgraph\[signing\]"):
        FileLoader(ServerConfig(tmp_path, signature_key=keys[1]), tmp_path)
